"""Guards: what a stage drops beyond its share stops the run, with the rule, examples and the way on."""

import re
from pathlib import Path
from typing import Any

import pytest

from ctllm.pipelines.curate import RunSummary, curate, redecide
from ctllm.pipelines.options import RunnerOptions
from ctllm.schemas.curation_config import CurationConfig
from ctllm.schemas.errors import GuardError
from ctllm.schemas.guard_config import GuardConfig

from .conftest import prose, write_records

OPTIONS = RunnerOptions(workers=1)
OFF = {"max_removed_share": 1.0, "max_removed_share_per_source": 1.0, "max_share_per_rule": 1.0}
COPIES_OFF = {"max_copies_share_per_source": 1.0, "max_cluster_share": 1.0}


def run_guarded(directory: Path, *, short: int, good: int, **guard: Any) -> RunSummary:
    """Curates `short` documents that are too short, in source `scraps`, and `good` ones in source `books`."""
    scraps = [{"id": f"scrap-{number}", "text": f"短文{number}。"} for number in range(short)]
    books = [{"id": f"book-{number}", "text": prose(number)} for number in range(good)]
    inputs = [
        str(write_records(directory / f"{name}.jsonl", rows))
        for name, rows in (("scraps", scraps), ("books", books))
        if rows
    ]
    config = CurationConfig(guard=GuardConfig(**{"min_documents": 10, **OFF, **guard}))
    return curate(config, inputs=inputs, out=str(directory / "run"), options=OPTIONS)


def test_a_lane_that_loses_too_much_stops_the_run_with_rule_examples_and_option(tmp_path: Path) -> None:
    """The message names lane, share, rule, three documents with value, bound and text, and the option."""
    with pytest.raises(GuardError) as stopped:
        run_guarded(tmp_path, short=15, good=5, max_removed_share=0.7)
    message = str(stopped.value)
    assert message.startswith("lane zh: 75.0% of 20 documents removed, most of them first by min_num_chars, more than")
    assert "guard.max_removed_share=0.7 allows" in message
    for number in range(3):
        assert f"scrap-{number}  (min_num_chars: 4 against 50)  短文{number}。" in message
    assert "scrap-3" not in message
    assert f"ctllm decide {tmp_path / 'run'} --set guard.max_removed_share=1" in message
    assert stopped.value.exit_code == 6


@pytest.mark.parametrize("option", sorted(OFF))
def test_the_share_itself_is_allowed(tmp_path: Path, option: str) -> None:
    """Each share is inclusive: what drops exactly that much goes on, a little less allowed stops."""
    share = 1.0 if option == "max_removed_share_per_source" else 0.75
    run_guarded(tmp_path / "at", short=15, good=5, **{option: share})
    with pytest.raises(GuardError, match=f"guard.{option}=0.74 allows"):
        run_guarded(tmp_path / "over", short=15, good=5, **{option: 0.74})


def test_a_source_is_guarded_beside_better_ones(tmp_path: Path) -> None:
    """A source that loses everything stops the run though the lane as a whole is fine, and is named."""
    with pytest.raises(GuardError, match=r"source scraps: 100\.0% of 15 documents removed"):
        run_guarded(tmp_path, short=15, good=10, max_removed_share_per_source=0.9)


def test_a_rule_is_guarded_also_where_it_is_not_the_first(tmp_path: Path) -> None:
    """The share of a rule counts every document that fails it, here after min_num_chars."""
    with pytest.raises(GuardError, match=r"lane zh: 60\.0% of 25 documents fail min_stop_word_share"):
        run_guarded(tmp_path, short=15, good=10, max_share_per_rule=0.5)


def run_copied(directory: Path, *, copies: dict[int, int], alone: int, index: str | None = None, **guard: Any) -> None:
    """Curates `mirror`, with so many near copies of each base text, and `books`, `alone` documents without a copy."""
    edited = [
        {"id": f"copy-{index}-{number}", "text": f"第{number}号转载，编辑部略有删节。\n{prose(index)}"}
        for index, count in copies.items()
        for number in range(count)
    ]
    books = [{"id": f"book-{index}", "text": prose(index)} for index in range(10, 10 + alone)]
    inputs = [
        str(write_records(directory / f"{name}.jsonl", rows)) for name, rows in (("mirror", edited), ("books", books))
    ]
    guards = GuardConfig(**{"min_documents": 10, **OFF, **COPIES_OFF, **guard})
    config = CurationConfig(snapshot=1 if index else 0, guard=guards)
    curate(config, inputs=inputs, out=str(directory / "run"), options=OPTIONS, index=index)


def goes_on(directory: Path, **guard: float) -> bool:
    """Whether the stopped run ends when it is decided again under these shares."""
    overrides = {f"guard.{name}": value for name, value in guard.items()}
    return redecide(str(directory / "run"), overrides=overrides, options=OPTIONS).skipped == (
        "measure",
        "pairs",
        "lines",
    )


def test_one_large_cluster_stops_the_run_with_the_document_kept_examples_and_option(tmp_path: Path) -> None:
    """The message names lane, share, the document that stands for the others, three of those and both ways on.

    At the bound the run goes on, two clusters are not added up, and a lane of few documents is not guarded.
    """
    with pytest.raises(GuardError) as stopped:
        run_copied(tmp_path, copies={0: 9, 1: 9}, alone=2, max_cluster_share=0.39)
    start, *examples, end = str(stopped.value).split("\n")
    assert start.startswith("lane zh: 40.0% of 20 documents are copies of one, copy-0-0, more than ")
    assert "guard.max_cluster_share=0.39 allows" in start
    for number, line in enumerate(examples, start=1):
        assert re.match(rf"  copy-0-{number}  \(near_duplicate: [01][.0-9]* against 0\.8\)  第{number}号转载", line)
    assert len(examples) == 3
    assert f"`ctllm decide {tmp_path / 'run'} --set guard.max_cluster_share=1`" in end
    assert "--set dedup.…" in end
    assert goes_on(tmp_path, max_cluster_share=0.4)
    assert goes_on(tmp_path, max_cluster_share=0.1, min_documents=21)
    with pytest.raises(GuardError):
        goes_on(tmp_path, max_cluster_share=0.1, min_documents=20)


def test_cluster_behind_an_earlier_snapshot_is_guarded_too(tmp_path: Path) -> None:
    """The kept document is named by its key, as its own run may be gone; the copies shown are of this run."""
    index = str(tmp_path / "index")
    earlier = [str(write_records(tmp_path / "earlier.jsonl", [{"id": "original", "text": prose(0)}]))]
    curate(CurationConfig(), inputs=earlier, out=str(tmp_path / "earlier"), options=OPTIONS, index=index)
    with pytest.raises(GuardError) as stopped:
        run_copied(tmp_path, copies={0: 8}, alone=8, index=index, max_cluster_share=0.49)
    start, *examples, _ = str(stopped.value).split("\n")
    assert start.startswith("lane zh: 50.0% of 16 documents are copies of one, key 0 of an earlier snapshot, more than")
    assert [line.split("  ")[1] for line in examples] == ["copy-0-0", "copy-0-1", "copy-0-2"]


def test_a_source_that_loses_too_many_copies_stops_the_run(tmp_path: Path) -> None:
    """Copies of several documents count together, of that source only; at the bound the run goes on."""
    with pytest.raises(GuardError) as stopped:
        run_copied(tmp_path, copies={0: 5, 1: 5}, alone=10, max_copies_share_per_source=0.79)  # each loses four
    start, *examples, end = str(stopped.value).split("\n")
    assert start.startswith("source mirror: 80.0% of 10 documents are copies of documents that stay, more than ")
    assert "guard.max_copies_share_per_source=0.79 allows" in start
    assert [line.split("  ")[1] for line in examples] == ["copy-0-1", "copy-0-2", "copy-0-3"]
    assert "--set guard.max_copies_share_per_source=1`" in end
    assert goes_on(tmp_path, max_copies_share_per_source=0.8)


def test_few_documents_are_not_guarded(tmp_path: Path) -> None:
    """A share of fewer documents than the config's minimum is noise."""
    assert run_guarded(tmp_path, short=9, good=0, max_removed_share=0.0).accounts["removed"] == 9


def test_documents_of_no_lane_do_not_count(tmp_path: Path) -> None:
    """Text in a language that nobody asked for is refused by design and trips no guard."""
    text = "Съешь же ещё этих мягких французских булок, да выпей чаю, и приходи завтра к нам в гости. " * 3
    records = [{"id": str(number), "text": f"{text} {number}"} for number in range(20)]
    inputs = [str(write_records(tmp_path / "ru.jsonl", records))]
    config = CurationConfig(guard=GuardConfig(min_documents=10))
    summary = curate(config, inputs=inputs, out=str(tmp_path / "run"), options=OPTIONS)
    assert summary.accounts["removed"] == 20


def test_a_source_whose_records_fail_stops_the_run_with_kinds_examples_and_option(tmp_path: Path) -> None:
    """The worst source, its share, the kinds, three records, and the way on, which measures nothing again."""
    (tmp_path / "torn.jsonl").write_text('{"text": 5}\n' + "{\n" * 19)
    half = [{"text": prose(number)} for number in range(5)] + [{"content": "x"}] * 6
    inputs = [str(tmp_path / "torn.jsonl"), str(write_records(tmp_path / "half.jsonl", half))]
    out = str(tmp_path / "run")
    with pytest.raises(GuardError) as stopped:
        curate(CurationConfig(), inputs=inputs, out=out, options=OPTIONS)
    message = str(stopped.value)
    assert message.startswith("source torn: 20 of 20 records failed (broken_json 19, not_text 1), more than")
    assert "guard.max_failed_share=0.5 allows" in message
    assert f"{inputs[0]} at 12: broken_json" in message
    assert message.count("torn.jsonl at") == 3
    before = (tmp_path / "run" / "documents" / "part-00000.parquet").stat().st_mtime_ns
    allowed = CurationConfig(guard=GuardConfig(max_failed_share=1))
    assert curate(allowed, inputs=inputs, out=out, options=OPTIONS).accounts["failed"] == 26
    assert (tmp_path / "run" / "documents" / "part-00000.parquet").stat().st_mtime_ns == before


def test_a_failed_share_at_the_bound_is_allowed(tmp_path: Path) -> None:
    """The bound is inclusive; sources of fewer than ten records are not guarded."""
    rows = [{"text": prose(number)} for number in range(5)] + [{"content": "x"}] * 5
    few = [{"content": "x"}] * 9
    inputs = [str(write_records(tmp_path / f"{name}.jsonl", each)) for name, each in (("rows", rows), ("few", few))]
    curate(
        CurationConfig(guard=GuardConfig(max_failed_share=0.5)), inputs=inputs, out=str(tmp_path / "a"), options=OPTIONS
    )
    with pytest.raises(GuardError, match=r"source rows: 5 of 10 records failed \(missing_text 5\)"):
        curate(
            CurationConfig(guard=GuardConfig(max_failed_share=0.49)),
            inputs=inputs,
            out=str(tmp_path / "b"),
            options=OPTIONS,
        )
