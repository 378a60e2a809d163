"""Rows of converted chat data for SFT or DPO: a held-out part, a language ratio, an order; all by hashes of texts.

Held out are whole *openings*: every row whose first user message hashes below `held_out_share`. So the pairs of one
prompt never stand on both sides, and with one share SFT never sees what DPO is measured on (docs/decisions/0027).
"""

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from ctllm.schemas.conversations import TABLES, ConversationKind
from ctllm.schemas.errors import ConfigError, InputError
from ctllm.schemas.files import exists, join, list_files, read_parquet, written_whole
from ctllm.schemas.manifest import SUCCESS
from ctllm.schemas.mixture import key_hash
from ctllm.schemas.training_config import ModelConfig
from ctllm.schemas.tuning_config import DpoConfig, SftConfig, TuningDataConfig
from ctllm.schemas.tuning_run import ROW_CUTS, RowCut

Row = dict[str, Any]
"""A row of CONVERSATIONS or PREFERENCES."""

SALT = 2  # chosen; another than the tokenizer sample's (1)
HELD_OUT_SALT = 3  # another than the order's, so that a bound on held-out rows does not follow the hashes


@dataclass(frozen=True)
class TuningData:
    """What is trained on and what is measured on; both in hash order."""

    train: list[Row]
    held_out: list[Row]

    @property
    def digest(self) -> str:
        """16 hex digits that change when, and only when, a row or the order changes."""
        parts = (row["digest"] for rows in (self.train, [{"digest": "|"}], self.held_out) for row in rows)
        return hashlib.sha256(" ".join(parts).encode()).hexdigest()[:16]


def all_rows(rows: list[Row]) -> list[Row]:
    """Selects nothing."""
    return rows


def read_tuning_data(
    directory: str,
    *,
    kind: ConversationKind,
    config: TuningDataConfig,
    select: Callable[[list[Row]], list[Row]] = all_rows,
) -> TuningData:
    """The rows of `directory` that `config` chooses.

    `select` chooses among the rows that are not held out, before the ratio is made. Held out are the openings with a
    hash below `held_out_share`, or the one with the smallest; of their rows the first `max_held_out` are measured.
    They do not depend on the language ratio, and the rows of 8:1 are among those of 4:1, so that ratios can be
    compared. Raises InputError when the directory is not a finished conversion of this kind, ConfigError when
    a language of the ratio is missing.
    """
    rows = read_rows(directory, kind=kind)
    is_held_out = _are_held_out(rows, share=config.held_out_share)
    held_out = [row for row, is_out in zip(rows, is_held_out, strict=True) if is_out]
    rest = [row for row, is_out in zip(rows, is_held_out, strict=True) if not is_out]
    train = _with_ratio(select(rest), config, directory=directory)
    if not train:
        raise InputError(f"{directory}: {len(rows)} rows, all held out; lower data.held_out_share or give more rows")
    return TuningData(train, held_out[: config.max_held_out])


def _are_held_out(rows: list[Row], *, share: float) -> np.ndarray:
    """(rows,), bool."""
    hashes = key_hash(np.array([_opening(row) for row in rows], dtype=np.uint64), salt=HELD_OUT_SALT)
    is_held_out: np.ndarray = (hashes < share) | ((hashes == hashes.min(initial=1.0)) & (share > 0))
    return is_held_out


def _opening(row: Row) -> int:
    """64 bits of the first user message, which a conversation shares with the pairs made from it."""
    messages = row["messages"] if "messages" in row else row["prompt"]
    first = next((message["content"] for message in messages if message["role"] == "user"), "")
    return int.from_bytes(hashlib.blake2b(first.strip().encode(), digest_size=8).digest(), "big")


def read_rows(directory: str, *, kind: ConversationKind) -> list[Row]:
    """All rows of a finished conversion, in the order of their hashes. Raises InputError."""
    name, _ = TABLES[kind]
    parts = list_files(join(directory, name), suffix=".parquet")
    if not parts or not exists(join(directory, SUCCESS)):
        raise InputError(f"{directory}: no finished {name} here; run `ctllm conversations --kind {name}` first")
    rows = [row for part in parts for row in read_parquet(part).to_pylist()]
    hashes = key_hash(np.array([int(row["digest"][:16], 16) for row in rows], dtype=np.uint64), salt=SALT)
    return [rows[number] for number in np.argsort(hashes, kind="stable")]


def rows_by_language(rows: list[Row]) -> dict[str, int]:
    """How many rows each of the two languages has."""
    return {lane: sum(row["lane"] == lane for row in rows) for lane in ("zh", "en")}


def _with_ratio(rows: list[Row], config: TuningDataConfig, *, directory: str) -> list[Row]:
    """The largest choice with the ratio; of each language the first rows. The order stays."""
    zh_to_en, bound = config.zh_to_en, config.max_rows_per_language or len(rows)
    available = {lane: min(count, bound) for lane, count in rows_by_language(rows).items()}
    if zh_to_en == "all":
        left = available
    elif zh_to_en.endswith("only"):
        lane = zh_to_en.split(maxsplit=1)[0]
        left = {lane: available[lane]}
    else:
        zh, en = map(int, zh_to_en.split(":"))
        units = min(available["zh"] // zh, available["en"] // en)
        left = {"zh": units * zh, "en": units * en}
    if zh_to_en != "all" and not all(left.values()):
        found = f"{available['zh']} Chinese and {available['en']} English rows"
        raise ConfigError(f"data.zh_to_en {zh_to_en}: {directory} has {found} to train on; choose another ratio or all")
    chosen = []
    for row in rows:
        if left.get(row["lane"], 0):
            left[row["lane"]] -= 1
            chosen.append(row)
    return chosen


def rows_of_step(step: int, *, num_rows: int, rows_per_step: int, seed: int) -> list[int]:
    """Numbers of the rows of optimizer step `step`; each pass over all rows has its own order, drawn from the seed."""
    orders: dict[int, np.ndarray] = {}
    numbers = []
    for position in range(step * rows_per_step, (step + 1) * rows_per_step):
        number_of_pass, place = divmod(position, num_rows)
        if number_of_pass not in orders:
            orders[number_of_pass] = np.random.default_rng([seed, number_of_pass]).permutation(num_rows)
        numbers.append(int(orders[number_of_pass][place]))
    return numbers


def write_row_cuts(run: str, cuts: Iterable[RowCut]) -> None:
    """Writes `RUN/row_cuts.jsonl`, one line for each row that was shortened or dropped."""
    with written_whole(join(run, ROW_CUTS)) as file:
        for cut in cuts:
            file.write(cut.model_dump_json().encode() + b"\n")


def tuning_context_length(asked: int | None, *, model: ModelConfig) -> int:
    """Tokens per sequence. Raises ConfigError when more are asked for than the model has."""
    if asked is not None and asked > model.context_length:
        raise ConfigError(
            f"context_length {asked} is above the model's {model.context_length}; lower it or leave it out"
        )
    return asked or model.context_length


def tuning_identity(
    config: SftConfig | DpoConfig, *, data: TuningData, weights: str, tokenizer: str, context_length: int
) -> dict[str, Any]:
    """Everything that decides the outcome of a run; paths do not, what they lead to does."""
    paths: Any = {
        **dict.fromkeys(("checkpoint", "conversations", "preferences", "out", "reference"), True),
        "select": {"checkpoint"},
    }
    return {
        **config.model_dump(mode="json", exclude=paths),
        "data_digest": data.digest,
        "weights": weights,
        "tokenizer": tokenizer,
        "context_length": context_length,
    }
