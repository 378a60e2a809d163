"""Which items count as contaminated."""

from pathlib import Path

import pyarrow as pa
import pytest

from ctllm.model.evaluation.contaminated import read_contaminated
from ctllm.schemas.contamination import CONTAMINATION
from ctllm.schemas.cuts import CUTS
from ctllm.schemas.errors import InputError
from ctllm.schemas.files import write_parquet
from ctllm.schemas.verdict import VERDICTS


def test_only_what_was_kept_counts(tmp_path: Path) -> None:
    """An item counts when a kept document covers more of it than the bound, and it was not cut out of that document."""
    found = [
        {"key": key, "benchmark": benchmark, "item_id": item, "overlap": overlap, "start": 0, "end": 9}
        for key, benchmark, item, overlap in (
            (1, "ceval/val/logic_val", "3", 0.9),
            (1, "ceval/val/logic_val", "4", 0.5),
            (2, "ceval/val/logic_val", "5", 1.0),  # the document is removed
            (3, "gsm8k/test", "7", 1.0),  # the item is cut out
            (1, "gsm8k/test", "8", 0.50001),
        )
    ]
    verdicts = [{"key": key, "lane": "zh", "kept": key != 2, "reasons": []} for key in (1, 2, 3)]
    cuts = [
        {"key": 3, "kind": "benchmark:gsm8k/test", "start": 0, "end": 9, "replacement": ""},
        {"key": 1, "kind": "benchmark:gsm8k/test", "start": 0, "end": 9, "replacement": None},  # only noted
    ]
    for name, rows, schema in (
        ("contamination", found, CONTAMINATION), ("verdicts", verdicts, VERDICTS), ("cuts", cuts, CUTS),
    ):  # fmt: skip
        write_parquet(str(tmp_path / name / "part-00000.parquet"), pa.Table.from_pylist(rows, schema=schema))
    items = read_contaminated(str(tmp_path), max_overlap=0.5)
    assert items.of("/data/ceval/val/logic_val") == {"3"}
    assert items.of("/data/eval/gsm8k/test") == {"8"}
    assert items.of("/data/eval/other_gsm8k/test") == frozenset()
    assert read_contaminated(str(tmp_path), max_overlap=0.9).of("ceval/val/logic_val") == frozenset()
    with pytest.raises(InputError, match="give the directory that `ctllm curate` wrote"):
        read_contaminated(str(tmp_path / "nothing"), max_overlap=0.5)
