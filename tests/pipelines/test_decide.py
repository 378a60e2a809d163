"""Deciding: rules first, then survivors among what the rules keep."""

from pathlib import Path

from ctllm.pipelines.curate import curate, redecide
from ctllm.pipelines.judgement import summarise
from ctllm.pipelines.options import RunnerOptions
from ctllm.pipelines.run_directory import read_run
from ctllm.schemas.curation_config import CurationConfig, DedupConfig
from ctllm.schemas.files import read_parquet

from .conftest import prose, write_records

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
