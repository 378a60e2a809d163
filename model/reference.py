"""What DPO's frozen reference thinks of every pair: a file that runs on the same pairs and weights share.

    DIR/<pairs>-<weights>-<dtype>-<device>.parquet      the key, also inside the file: digests of the pairs' tokens, in
                                                        their order, and of the weights; what the weights computed in

The order is part of the key because neighbours in a batch decide the last bits of a log-probability.
"""

import itertools
from collections.abc import Sequence

import pyarrow as pa
import torch
from torch import Tensor

from ctllm.model.checkpoint import weights_digest
from ctllm.model.preference_pairs import PAIRS_PER_BATCH, Pair, pairs_digest, score_pairs
from ctllm.model.shared_work import SharedWork
from ctllm.model.transformer import Transformer
from ctllm.schemas.errors import AccountingError
from ctllm.schemas.files import exists, join, read_parquet, write_parquet

LEVEL_TOLERANCE_NATS = 1e-3  # chosen: rounding of a sum is far below, other weights are whole nats away

REFERENCE = pa.schema(
    [
        pa.field("chosen", pa.float64(), nullable=False, metadata={"unit": "nats, summed over the answer's tokens"}),
        pa.field("rejected", pa.float64(), nullable=False),
    ]
)
_KEY = b"ctllm.reference"


def load_reference(
    directory: str, model: Transformer, groups: Sequence[Sequence[Pair]], *, padding_id: int, work: SharedWork
) -> list[Tensor]:
    """Log-probabilities of both answers, (N, 2), float64, for each group of pairs; batches do not cross groups.

    Read from `directory` when it has them, else computed, shared between the processes, and written there. What was
    read is compared with the model on the first and the last batch of each group. Raises AccountingError when it
    differs.
    """
    digest, device = weights_digest(model), next(model.parameters()).device.type
    dtype = str(model.compute_dtype).removeprefix("torch.")
    key = f"{pairs_digest([pair for group in groups for pair in group])}-{digest[:16]}-{dtype}-{device}"
    path = join(directory, f"{key}.parquet")
    if work.world.tell(exists(path)):
        scores = _read(path, key=key, sizes=[len(group) for group in groups])
        for group, scores_N2 in zip(groups, scores, strict=True):
            _verify(model, group, scores_N2, path=path, padding_id=padding_id, work=work)
        return scores
    scores = [score_pairs(model, group, padding_id=padding_id, work=work) for group in groups]
    if work.world.is_first:
        columns = torch.cat(scores).T.numpy()
        table = pa.table([columns[0], columns[1]], schema=REFERENCE)
        write_parquet(path, table.replace_schema_metadata({_KEY: key.encode()}))
    work.world.meet()
    return scores


def _read(path: str, *, key: str, sizes: Sequence[int]) -> list[Tensor]:
    table = read_parquet(path)
    found = (table.schema.metadata or {}).get(_KEY, b"").decode()
    if found != key or table.num_rows != sum(sizes):
        raise AccountingError(
            f"{path}: holds {table.num_rows} pairs of {found or 'no key'} instead of {sum(sizes)} of {key}; delete the "
            "file to compute them again"
        )
    both_N2 = torch.tensor([table["chosen"].to_pylist(), table["rejected"].to_pylist()], dtype=torch.float64).T
    ends = list(itertools.accumulate(sizes))
    return [both_N2[end - size : end] for end, size in zip(ends, sizes, strict=True)]


def _verify(
    model: Transformer, pairs: Sequence[Pair], scores_N2: Tensor, *, path: str, padding_id: int, work: SharedWork
) -> None:
    """Compares the first and the last batch of the pairs, in the batches that they were computed in."""
    starts = range(0, len(pairs), PAIRS_PER_BATCH)
    for start in sorted({*starts[:1], *starts[-1:]}):
        batch = slice(start, start + PAIRS_PER_BATCH)
        found_B2 = score_pairs(model, pairs[batch], padding_id=padding_id, work=work)
        difference = (found_B2 - scores_N2[batch]).abs().max().item()
        if not difference <= LEVEL_TOLERANCE_NATS:
            raise AccountingError(
                f"{path}: a log-probability of pairs {start} to {start + len(found_B2) - 1} is {difference:.3g} nats "
                "from this checkpoint's; delete the file to compute them again"
            )
