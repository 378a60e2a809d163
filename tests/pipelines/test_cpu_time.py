"""What CPU time a curation would take, on a clock that the tests set."""

from collections.abc import Callable
from pathlib import Path

import pytest

from ctllm.pipelines import curate as stages
from ctllm.pipelines.cpu_time import PAIR_SHARE, READ_SHARE, Growth, cpu_seconds, further_pairs
from ctllm.pipelines.curate import curate
from ctllm.pipelines.forecast import NO_GUARD, forecast
from ctllm.pipelines.options import RunnerOptions
from ctllm.pipelines.run_directory import read_run
from ctllm.pipelines.strata import Estimate
from ctllm.schemas.curation_config import CurationConfig
from ctllm.schemas.guard_config import GuardConfig
from tests.pipelines.conftest import prose, write_records

Stage = Callable[..., dict[str, int]]
UNGUARDED = CurationConfig(guard=GuardConfig.model_validate(NO_GUARD))
ONE = RunnerOptions(workers=1)
NOTHING = Estimate(0.0, 0.0, 0.0)


def near_copy(number: int) -> str:
    """A text whose 100th character is another one for each number."""
    return prose(3)[:100] + chr(0x4E00 + number) + prose(3)[101:]


class Clock:
    """CPU seconds that only curations spend: 3 each, 1 for a document, what is said of a compared pair."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.seconds = 0.0
        monkeypatch.setattr("time.process_time", lambda: self.seconds)
        for name, spent in (
            ("count_records", lambda counts: 3 + counts["documents"]),
            ("find_pairs", lambda counts: PAIR_SHARE * (counts["pairs"] + counts["refused"])),
        ):
            monkeypatch.setattr(stages, name, self._spending(getattr(stages, name), spent))

    def _spending(self, stage: Stage, spent: Callable[[dict[str, int]], float]) -> Stage:
        def timed(*args: object, **kwargs: object) -> dict[str, int]:
            counts = stage(*args, **kwargs)
            self.seconds += spent(counts)
            return counts

        return timed


def test_pairs_that_no_sample_met_are_in_the_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A quarter of 96 near copies meets a sixteenth of the 4,560 pairs, which are half of the time of all."""
    monkeypatch.setattr("ctllm.pipelines.strata.MIN_PIECES", 8)
    monkeypatch.setattr("ctllm.pipelines.forecast.MIN_SAMPLE_BYTES", 0)
    for number in range(32):
        records = [{"id": f"{number}-{copy}", "text": near_copy(3 * number + copy)} for copy in range(3)]
        write_records(tmp_path / "in" / f"{number}.jsonl", records)
    clock, inputs = Clock(monkeypatch), [str(tmp_path / "in")]
    found = forecast(UNGUARDED, inputs=inputs, share=0.25, scratch=str(tmp_path / "scratch")).totals["CPU seconds"]
    clock.seconds = 0.0
    summary = curate(UNGUARDED, inputs=inputs, out=str(tmp_path / "run"), options=ONE)
    assert summary.accounts["kept"] == 1
    assert clock.seconds == pytest.approx(3 + 96 + PAIR_SHARE * 4560, rel=0.02)  # some pairs share no band
    assert found.value == pytest.approx(clock.seconds, rel=0.15)
    assert found.low < clock.seconds < found.high


def test_a_pair_across_pieces_stands_for_more_than_one_within(tmp_path: Path) -> None:
    """Of one pair within and two across in a half there are 2 and 8 in all, 4 more than twice those met."""
    write_records(tmp_path / "in" / "0.jsonl", [{"id": str(copy), "text": near_copy(copy)} for copy in range(2)])
    write_records(tmp_path / "in" / "1.jsonl", [{"id": "2", "text": near_copy(2)}, {"id": "other", "text": prose(5)}])
    curate(UNGUARDED, inputs=[str(tmp_path / "in")], out=str(tmp_path / "run"), options=ONE)
    run = read_run(str(tmp_path / "run"))
    assert further_pairs(run, share=0.5).value == 4.0
    assert further_pairs(run, share=1.0).value == 0.0


def test_without_a_pair_there_may_be_some(tmp_path: Path) -> None:
    """None in the estimate; the interval says how many a sample of a tenth could have missed."""
    write_records(tmp_path / "in.jsonl", [{"id": str(index), "text": prose(index)} for index in range(2)])
    curate(UNGUARDED, inputs=[str(tmp_path / "in.jsonl")], out=str(tmp_path / "run"), options=ONE)
    assert further_pairs(read_run(str(tmp_path / "run")), share=0.1) == Estimate(0.0, 0.0, pytest.approx(300.0))


def test_time_is_the_sum_of_what_grows() -> None:
    """Start, text, what of it is published, splits and pairs; without more input it is the start."""
    growth = Growth(judged_byte=0.04, published_byte=0.01, split=0.1, timed_bytes=1000.0)
    text, pairs = Estimate(5000.0, 4000.0, 6000.0), Estimate(100.0, 50.0, 200.0)
    spent = cpu_seconds(2.0, growth, text=text, num_splits=9, pairs=pairs, document_bytes=80.0, still_kept=0.5)
    published = 0.01 * (READ_SHARE + (1 - READ_SHARE) * 0.5)
    assert spent.value == pytest.approx(2 + (0.04 + published) * 5000 + 0.9 + PAIR_SHARE * 80 * 0.04 * 100)
    assert spent.high - spent.value > spent.value - spent.low > 0.15 * spent.value
    nothing = cpu_seconds(2.0, growth, text=NOTHING, num_splits=0, pairs=NOTHING, document_bytes=80.0, still_kept=1.0)
    assert (nothing.value, nothing.low) == (2.0, 2.0)
