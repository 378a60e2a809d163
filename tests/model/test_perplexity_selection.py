"""Conversations chosen by perplexity: which are kept, that it is recorded, and that a resume does not ask again."""

import math
from pathlib import Path
from typing import Any

import pytest

from ctllm.model.perplexity_selection import kept_rows, select_rows
from ctllm.schemas.errors import InputError
from ctllm.schemas.files import list_files, read_parquet
from ctllm.schemas.tuning_config import PerplexitySelection


def row(number: int, answer: str, lane: str = "zh") -> dict[str, Any]:
    """A conversation."""
    messages = [{"role": "user", "content": "说"}, {"role": "assistant", "content": answer}]
    return {"digest": f"{number:032x}", "lane": lane, "messages": messages}


def test_the_least_surprising_of_each_language_are_kept() -> None:
    """Half of each language stays, rounded up, the lowest losses first, of equal ones the earlier; no loss, no row."""
    config = PerplexitySelection(checkpoint="k", keep_share=0.5)
    lanes = ["zh", "zh", "zh", "zh", "zh", "en", "en"]
    losses = [3.0, 1.0, 2.0, 2.0, None, 9.0, 8.0]
    assert kept_rows(lanes, losses, config=config) == [False, True, True, True, False, False, True]
    assert kept_rows(["en"], [None], config=config) == [False]


def test_answers_that_only_repeat_are_left_out() -> None:
    """An answer exactly at the minimum perplexity stays, one below it goes, and another takes its place."""
    config = PerplexitySelection(checkpoint="k", keep_share=0.5, min_perplexity=math.e)
    assert kept_rows(["zh"] * 4, [0.5, 1.0, 2.0, 3.0], config=config) == [False, True, True, False]


def test_the_choice_is_recorded_and_made_once(checkpoint: str, tmp_path: Path) -> None:
    """The losses stand in RUN/selection; another run of the same choice reads them; other settings are another file."""
    rows = [row(number, "好" * (number + 1)) for number in range(6)]
    config = PerplexitySelection(checkpoint=checkpoint, keep_share=0.5)
    chosen = select_rows(rows, config, run=str(tmp_path))
    (path,) = list_files(f"{tmp_path}/selection")
    table = read_parquet(path)
    assert [each for each, kept in zip(rows, table["kept"].to_pylist(), strict=True) if kept] == chosen
    losses = table["loss"].to_pylist()
    assert sorted(losses)[:3] == sorted(
        loss for loss, kept in zip(losses, table["kept"].to_pylist(), strict=True) if kept
    )
    before = Path(path).stat().st_mtime_ns
    assert select_rows(rows, config, run=str(tmp_path)) == chosen
    assert Path(path).stat().st_mtime_ns == before
    select_rows(rows, config.model_copy(update={"keep_share": 0.9}), run=str(tmp_path))
    assert len(list_files(f"{tmp_path}/selection")) == 2
    with pytest.raises(InputError, match="no conversation is kept"):
        select_rows(rows, config.model_copy(update={"min_perplexity": 1e9}), run=str(tmp_path))
