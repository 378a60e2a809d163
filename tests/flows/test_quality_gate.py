"""The gate of a new version: both sides of every bound."""

from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from ctllm.flows.quality_gate import check_bits_per_byte, check_curation
from ctllm.schemas.files import write_parquet
from ctllm.schemas.stats import FUNNEL
from ctllm.schemas.train_version_config import GateConfig
from ctllm.schemas.tuning_run import EvaluationResult

ALL_OFF = dict.fromkeys(
    (
        "max_failed_share", "max_removed_share", "max_kept_share_drop", "max_bits_per_byte",
        "max_bits_per_byte_increase",
    )
)  # fmt: skip


def run_with(path: Path, *rows: tuple[str, str, int]) -> str:
    """A run whose funnel has these rows: lane, outcome, documents."""
    values = [
        {"source": "s", "lane": lane, "outcome": outcome, "reason": "", "documents": number, "chars": 0, "tokens": 0}
        for lane, outcome, number in rows
    ]
    write_parquet(str(path / "stats" / "funnel.parquet"), pa.Table.from_pylist(values, schema=FUNNEL))
    return str(path)


def result(**bits: float) -> EvaluationResult:
    """An evaluation with these bits per byte."""
    values: dict[str, Any] = dict.fromkeys(("checkpoint", "weights_digest", "tokenizer_digest"), "")
    values |= {"step": 1, "num_parameters": 1, "config": {}, "plan_digest": None, "choice": {}, "preferences": None}
    lanes = {lane: {"bits_per_byte": value} for lane, value in bits.items()}
    return EvaluationResult(**values, seconds=0, bits_per_byte=lanes)


@pytest.mark.parametrize(
    ("bound", "rows", "reason"),
    [
        ({"min_kept_documents": 8}, [("zh", "kept", 8)], ""),
        ({"min_kept_documents": 9}, [("zh", "kept", 8)], "8 documents kept, min_kept_documents is 9"),
        ({"max_failed_share": 0.2}, [("zh", "kept", 8), ("", "failed", 2)], ""),
        ({"max_failed_share": 0.19}, [("zh", "kept", 8), ("", "failed", 2)], "20.0% of the records failed"),
        ({"max_removed_share": 0.2}, [("zh", "kept", 8), ("zh", "removed", 2), ("other", "removed", 99)], ""),
        ({"max_removed_share": 0.19}, [("zh", "kept", 8), ("zh", "removed", 2)], "lane zh: 20.0% removed"),
    ],
)
def test_bounds_of_a_curation(tmp_path: Path, bound: Any, rows: list[tuple[str, str, int]], reason: str) -> None:
    """A share at its bound passes, one above it is named with value and bound; what is in no lane does not count."""
    found = check_curation(run_with(tmp_path, *rows), None, GateConfig(**ALL_OFF | bound))
    assert bool(found) == bool(reason)
    assert reason in "".join(found)


def test_a_lane_that_keeps_much_less_than_before(tmp_path: Path) -> None:
    """The drop is compared with the accepted run lane by lane; few documents move by chance and are not compared."""
    before = run_with(tmp_path / "1", ("zh", "kept", 90), ("zh", "removed", 10), ("en", "kept", 50))
    now = run_with(tmp_path / "2", ("zh", "kept", 70), ("zh", "removed", 30), ("en", "removed", 50))
    gate = GateConfig(**ALL_OFF | {"max_kept_share_drop": 0.19})
    assert check_curation(now, before, gate) == [
        "lane zh: keeps 70.0%, the accepted version 90.0%; max_kept_share_drop is 0.19"
    ]
    assert check_curation(now, before, gate.model_copy(update={"max_kept_share_drop": 0.21})) == []


def test_bits_per_byte_beside_the_accepted_model() -> None:
    """At most the configured share worse in every lane; a new lane has nothing to be compared with."""
    gate = GateConfig(**ALL_OFF | {"max_bits_per_byte_increase": 0.5})
    before = result(zh=2.0, en=2.0)
    assert check_bits_per_byte(result(zh=3.0, en=1.0, code=9.0), before, gate) == []
    (reason,) = check_bits_per_byte(result(zh=3.01, en=1.0), before, gate)
    assert reason == "lane zh: 3.010 bits per byte, the accepted model 2.000; max_bits_per_byte_increase is 0.5"
    assert check_bits_per_byte(result(zh=99.0), None, gate) == []


def test_an_absolute_bound_and_nothing_measured() -> None:
    """A first version has only the absolute bound; a model without a measurement is never accepted."""
    gate = GateConfig(**ALL_OFF | {"max_bits_per_byte": 3.0})
    assert check_bits_per_byte(result(zh=3.0), None, gate) == []
    assert "3.100 bits per byte" in check_bits_per_byte(result(zh=3.1), None, gate)[0]
    assert check_bits_per_byte(result(), None, gate) == ["no bits per byte were measured"]
