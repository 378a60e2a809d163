"""Deciding: rules first, then survivors among what the rules keep."""

from pathlib import Path

from ctllm.pipelines.curate import curate, redecide
from ctllm.pipelines.judgement import read_duplicates, summarise
from ctllm.pipelines.options import RunnerOptions
from ctllm.pipelines.run_directory import read_run
from ctllm.pipelines.what_if import what_if
from ctllm.schemas.curation_config import CurationConfig, DedupConfig, QualityConfig
from ctllm.schemas.files import read_parquet

from .conftest import menu_page, prose, write_records

OPTIONS = RunnerOptions(workers=1)


def kept_ids(run: str) -> set[str]:
    """Ids of the documents that a run keeps."""
    opened = read_run(run)
    parts = range(len(opened.manifest.inputs))
    return {
        name
        for part in parts
        for name, kept in zip(
            read_parquet(opened.part("documents", part))["id"].to_pylist(),
            read_parquet(opened.part("verdicts", part))["kept"].to_pylist(),
            strict=True,
        )
        if kept
    }


def test_copy_of_a_refused_document_survives(tmp_path: Path) -> None:
    """When a rule refuses the document that stood for its copy, the copy is kept: nothing vanishes with both."""
    long = prose(3) + "\n附表：" + "，".join(str(number * number) for number in range(1000, 1020))
    records = [{"id": "original", "text": long}, {"id": "copy", "text": prose(3)}]
    inputs = [str(write_records(tmp_path / "in.jsonl", records))]
    config = CurationConfig(dedup=DedupConfig(threshold=0.6))
    curate(config, inputs=inputs, out=str(tmp_path / "run"), options=OPTIONS)
    assert kept_ids(str(tmp_path / "run")) == {"original"}
    redecide(str(tmp_path / "run"), overrides={"rules.zh.max_digit_share": 0.1}, options=OPTIONS)
    assert kept_ids(str(tmp_path / "run")) == {"copy"}


def test_preferred_source_survives(tmp_path: Path) -> None:
    """Of two equal documents the one of the preferred source is kept, whatever its name or place."""
    for name in ("crawl", "library"):
        write_records(tmp_path / "in" / f"{name}.jsonl", [{"id": name, "text": prose(4)}])
    inputs = [str(tmp_path / "in")]
    config = CurationConfig(dedup=DedupConfig(source_priority=("library",)))
    curate(config, inputs=inputs, out=str(tmp_path / "run"), options=OPTIONS)
    assert kept_ids(str(tmp_path / "run")) == {"library"}


def test_summary_counts_documents_and_characters(small_run: Path) -> None:
    """The summary of a run adds up to its tables, lane by lane."""
    run = read_run(str(small_run / "run"))
    summary = summarise(run, [0, 1])
    assert {lane: (each.documents, each.kept_documents) for lane, each in summary.items()} == {
        "en": (1, 1),
        "zh": (11, 7),
    }
    assert 0 < summary["zh"].kept_chars < summary["zh"].chars
    assert 0 < summary["zh"].kept_tokens < summary["zh"].kept_chars


def test_newest_or_best_copy_stays(tmp_path: Path, quality_model: Path) -> None:
    """`survivor_order` by date or by score, decided anew without measuring, by component too, and as what-if says."""
    texts = [prose(3), prose(3) + "\n" + menu_page(3)[:60], prose(3).replace("，", ","), prose(3) + "\n完。"]
    dates = ["2019", "2024-05-01T01:00:00+08:00", None, "2024-04-30T18:00:00Z"]  # the last is an hour later
    records = [{"id": f"copy-{row}", "text": text, "date": dates[row]} for row, text in enumerate(texts)]
    inputs = [str(write_records(tmp_path / "in.jsonl", [*records, {"id": "other", "text": prose(4)}]))]
    run = str(tmp_path / "run")
    config = CurationConfig(quality=QualityConfig(model=str(quality_model)), dedup=DedupConfig(survivor_order=("key",)))
    curate(config, inputs=inputs, out=run, options=OPTIONS)
    assert kept_ids(run) == {"copy-0", "other"}
    by_date: dict[str, object] = {"dedup.survivor_order": ["date"]}
    foretold = what_if(run, overrides=by_date)
    assert {each.id: each.change for each in foretold.border} == {"copy-0": "newly_removed", "copy-3": "newly_kept"}
    assert redecide(run, overrides=by_date, options=OPTIONS).skipped == ("measure", "pairs", "lines")
    assert kept_ids(run) == {"copy-3", "other"}
    scores = read_parquet(read_run(run).part("signals", 0))["quality_score"].to_pylist()[: len(texts)]
    assert len(set(scores)) > 2
    redecide(run, overrides={"dedup.survivor_order": ["quality", "date"]}, options=OPTIONS)
    assert kept_ids(run) == {f"copy-{scores.index(max(scores))}", "other"}
    whole = read_duplicates(read_run(run))
    redecide(run, overrides=by_date, options=OPTIONS)
    by_component = RunnerOptions(workers=1, max_pairs_in_memory=1)
    redecide(run, overrides={"dedup.survivor_order": ["quality", "date"]}, options=by_component)
    assert read_duplicates(read_run(run)) == whole
