"""The sample of signals as a page carries it: packed arrays, as many documents as a file may hold.

`packed` is base64 of a deflate stream of, lane by lane and column by column, the bytes of little-endian values: first
every value's lowest byte, then every next one, which packs a quarter smaller. `page/sample.js` reads it.
"""

import base64
import zlib
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ctllm.schemas.rules import RuleSet
from ctllm.schemas.stats import MAX_SAMPLED_DOCUMENTS

MAX_PACKED_BYTES = 1_100_000  # of base64: plotly.js has 4.8 of the 8 MB, the largest other tables have 1.9
LEVEL = 6  # of deflate; 9 takes six times as long for 1 % fewer bytes (2026-11-26)
KEPT, REFUSED, COPY = 0, 1, 2
HAS_COPIES, NOTHING_LEFT = 4, 8
"""`fate` of a document: one of the first line and what of the second is true of it, added. The page has the same."""


def packed_sample(sample: pa.Table, rules: dict[str, RuleSet]) -> dict[str, Any]:
    """The documents of SIGNAL_SAMPLE with the signals that their lane's `rules` can bound.

    `lanes` names documents and columns of each lane in the order of the bytes: `fate` (uint8), `chars` and `tokens`
    (uint32), then signals (float32; NaN is not measured). When all do not fit, of every lane that has more as many
    first rows: a smaller sample.
    """
    rows_per_lane = MAX_SAMPLED_DOCUMENTS
    while True:
        lanes, packed = _packed(sample, rules, rows_per_lane=rows_per_lane)
        if len(packed) <= MAX_PACKED_BYTES:
            return {"lanes": lanes, "packed": packed}
        largest = max(lane["documents"] for lane in lanes)
        rows_per_lane = int(largest * 0.95 * MAX_PACKED_BYTES / len(packed))


def _packed(sample: pa.Table, rules: dict[str, RuleSet], *, rows_per_lane: int) -> tuple[list[dict[str, Any]], str]:
    lanes, blocks = [], []
    for lane, ruleset in rules.items():
        table = sample.filter(pc.equal(sample["lane"], lane))[:rows_per_lane]
        signals = list(dict.fromkeys(rule.signal for rule in ruleset.rules()))
        columns = {
            "fate": _fates(table),
            **{name: table[name].to_numpy().astype("<u4") for name in ("chars", "tokens")},
        }
        columns |= {name: table[name].to_numpy().astype("<f4") for name in signals}
        lanes.append({"lane": lane, "documents": table.num_rows, "columns": list(columns)})
        blocks += [_by_byte(values) for values in columns.values()]
    return lanes, base64.b64encode(zlib.compress(b"".join(blocks), LEVEL)).decode()


def _fates(table: pa.Table) -> np.ndarray:
    is_copy, kept = table["is_copy"].to_numpy(), table["kept"].to_numpy()
    more = HAS_COPIES * table["has_copies"].to_numpy() + NOTHING_LEFT * table["nothing_left"].to_numpy()
    fates: np.ndarray = (np.select([is_copy, kept], [COPY, KEPT], REFUSED) + more).astype(np.uint8)
    return fates


def _by_byte(values: np.ndarray) -> bytes:
    return np.ascontiguousarray(values.view(np.uint8).reshape(-1, values.itemsize).T).tobytes()
