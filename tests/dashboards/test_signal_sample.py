"""The sample of signals as a page carries it: nothing lost in packing, never too large."""

import base64
import zlib

import numpy as np
import pyarrow as pa
import pytest

from ctllm.dashboards import signal_sample
from ctllm.dashboards.signal_sample import COPY, HAS_COPIES, KEPT, NOTHING_LEFT, REFUSED, packed_sample
from ctllm.schemas.rules import CodeRules, ZhRules
from ctllm.schemas.stats import SIGNAL_SAMPLE

RULES = {"zh": ZhRules(), "code": CodeRules()}
FATES = {
    KEPT: {"kept": True},
    REFUSED: {},
    COPY | HAS_COPIES: {"is_copy": True, "has_copies": True},
    REFUSED | NOTHING_LEFT: {"nothing_left": True},
}


def sample_of(documents: int) -> pa.Table:
    """Half Chinese, half code, with values of all sizes, every kind of fate."""
    dice = np.random.default_rng(3)
    columns = {name: dice.lognormal(0, 3, documents).astype(np.float32) for name in SIGNAL_SAMPLE.names[8:]}
    columns["quality_score"] = np.full(documents, np.nan, np.float32)
    rows = [list(FATES.values())[row % len(FATES)] for row in range(documents)]
    columns |= {name: [row.get(name, False) for row in rows] for name in SIGNAL_SAMPLE.names[2:6]}
    columns |= {
        "key": np.arange(documents),
        "lane": ["zh"] * (documents // 2) + ["code"] * (documents - documents // 2),
    }
    columns |= {"chars": dice.integers(1, 1 << 31, documents), "tokens": dice.integers(1, 1 << 31, documents)}
    return pa.table([columns[name] for name in SIGNAL_SAMPLE.names], schema=SIGNAL_SAMPLE)


def unpacked(card: dict[str, object]) -> dict[str, dict[str, np.ndarray]]:
    """Lane → column → values, read as the docstring of the module says they are written."""
    flat = zlib.decompress(base64.b64decode(str(card["packed"])))
    result, start = {}, 0
    for lane in card["lanes"]:  # type: ignore[attr-defined]
        columns = result.setdefault(lane["lane"], {})
        for name in lane["columns"]:
            kind = np.dtype({"fate": "u1", "chars": "<u4", "tokens": "<u4"}.get(name, "<f4"))
            size = lane["documents"] * kind.itemsize
            planes = np.frombuffer(flat[start : start + size], np.uint8).reshape(kind.itemsize, -1)
            columns[name] = np.ascontiguousarray(planes.T).view(kind).ravel()
            start += size
    assert start == len(flat)
    return result


def test_packing_loses_nothing() -> None:
    """Every value of every signal that a lane's rules bound comes out as it went in, missing ones too."""
    table = sample_of(200)
    found = unpacked(packed_sample(table, RULES))
    for lane, ruleset in RULES.items():
        rows = table.filter(pa.compute.equal(table["lane"], lane))
        for rule in ruleset.rules():
            np.testing.assert_array_equal(found[lane][rule.signal], rows[rule.signal].to_numpy())
        for name in ("chars", "tokens"):
            np.testing.assert_array_equal(found[lane][name], rows[name].to_numpy())
        assert found[lane]["fate"].tolist() == [list(FATES)[row % 4] for row in range(100)]


def test_large_sample_is_thinned_to_its_first_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    """What does not fit is left out at the end of every lane, so that the first rows are the smaller sample."""
    table = sample_of(4000)
    whole = unpacked(packed_sample(table, RULES))
    assert len(whole["zh"]["fate"]) == 2000
    monkeypatch.setattr(signal_sample, "MAX_PACKED_BYTES", 150_000)
    card = packed_sample(table, RULES)
    assert 100_000 < len(str(card["packed"])) <= 150_000
    for lane, columns in unpacked(card).items():
        for name, values in columns.items():
            np.testing.assert_array_equal(values, whole[lane][name][: len(values)])
