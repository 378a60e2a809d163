"""Curation as a whole on a small corpus: verdicts, accounts, resume, equal bytes, refusals."""

import hashlib
import signal
import subprocess
import sys
import time
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from ctllm.pipelines.curate import curate, redecide
from ctllm.pipelines.dedup.index import read_index
from ctllm.pipelines.options import RunnerOptions
from ctllm.pipelines.what_if import what_if
from ctllm.pipelines.why import explain
from ctllm.schemas.curation_config import CurationConfig, DecontaminationConfig
from ctllm.schemas.errors import ConfigError, GuardError, InputError, OutputError
from ctllm.schemas.files import read_json
from ctllm.schemas.guard_config import GuardConfig
from ctllm.schemas.rules import RulesConfig, ZhRules

from .conftest import prose, run_small, small_inputs, write_records

OPTIONS = RunnerOptions(workers=1)
NOT_DATA = ("manifest.json", "_SUCCESS", "report.html")  # they hold wall times


@pytest.fixture
def own_run(tmp_path: Path) -> Path:
    """A run made here, so that its manifest names the inputs beside it and it can be continued."""
    run_small(tmp_path)
    return tmp_path


def digests(run: Path) -> dict[str, str]:
    """sha256 of every data file of a run."""
    return {
        path.relative_to(run).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(run.rglob("*"))
        if path.is_file() and path.name not in NOT_DATA
    }


def rows(run: Path, table: str) -> list[dict[str, object]]:
    """All rows of a table of the run."""
    return [row for path in sorted((run / table).glob("*.parquet")) for row in pq.read_table(path).to_pylist()]


def verdicts(run: Path) -> dict[str, list[str]]:
    """Document id to the names of its reasons; [] is kept."""
    names = {row["key"]: str(row["id"]) for row in rows(run, "documents")}
    return {names[row["key"]]: [each["reason"] for each in row["reasons"]] for row in rows(run, "verdicts")}  # type: ignore[attr-defined]


def test_every_record_has_one_outcome(small_run: Path) -> None:
    """Good prose is kept, copies go with their reason, spam and scraps with all theirs, broken records are failures."""
    found = verdicts(small_run / "run")
    kept = sorted(name for name, reasons in found.items() if not reasons)
    assert kept == sorted(["english", "mobile", "copy-near", *(f"good-{index}" for index in (0, 2, 3, 4, 5))])
    assert found["copy-exact"] == ["exact_duplicate"]
    assert found["good-1"] == ["near_duplicate"]
    assert "max_gambling_share" in found["spam"]
    assert "min_num_chars" in found["short"]
    failures = [(row["source"], row["error"], row["offset"]) for row in rows(small_run / "run", "failures")]
    assert [each[:2] for each in failures] == [("bad", "broken_json"), ("bad", "missing_text")]
    stats = read_json(str(small_run / "run" / "stats" / "stats.json"))
    assert stats["accounts"] == {"read": 14, "kept": 8, "removed": 4, "failed": 2}
    assert stats["repaired"] == {}


def test_duplicate_names_the_document_kept(small_run: Path) -> None:
    """Every removed copy points to a kept document, with the similarity that was verified."""
    run = small_run / "run"
    names = {row["key"]: row["id"] for row in rows(run, "documents")}
    pairs = {names[row["key"]]: (names[row["kept_key"]], row["kind"]) for row in rows(run, "duplicates")}
    assert pairs == {"copy-exact": ("good-0", "exact"), "good-1": ("copy-near", "near")}


def test_published_text_is_the_text(small_run: Path) -> None:
    """What is published is the source's text to the character, personal data aside, which is recorded."""
    published = {row["id"]: row for path in ("zh", "en") for row in rows(small_run / "run" / "curated", path)}
    documents = {row["id"]: row for row in rows(small_run / "run", "documents")}
    for name, row in published.items():
        if name != "mobile":
            assert row["text"] == documents[name]["text"]
            assert row["edits"] == []
    assert "13912345678" not in str(published["mobile"]["text"])
    assert [edit["kind"] for edit in published["mobile"]["edits"]] == ["pii:mobile"]  # type: ignore[attr-defined]
    assert published["good-0"]["cluster_size"] == 2


def test_bytes_do_not_depend_on_workers(tmp_path: Path) -> None:
    """One worker and two write the same bytes in every file."""
    run_small(tmp_path, workers=2, out="two")
    run_small(tmp_path, workers=1, out="one")
    assert digests(tmp_path / "one") == digests(tmp_path / "two")


def test_finished_run_is_not_repeated(own_run: Path) -> None:
    """A second run of the same command skips every stage and touches no file."""
    before = {path: path.stat().st_mtime_ns for path in (own_run / "run").rglob("*.parquet")}
    summary = run_small(own_run)
    assert summary.skipped == ("measure", "pairs", "lines", "decide", "publish")
    assert summary.accounts == {"read": 14, "kept": 8, "removed": 4, "failed": 2}
    assert {path: path.stat().st_mtime_ns for path in (own_run / "run").rglob("*.parquet")} == before


@pytest.mark.parametrize(
    "lost",
    [
        "documents/_SUCCESS",
        "pairs/_SUCCESS",
        "common_lines/_SUCCESS",
        "verdicts/part-00000.parquet",
        "curated/_SUCCESS",
    ],
)
def test_unfinished_stage_is_continued_to_the_same_bytes(own_run: Path, lost: str) -> None:
    """A run that lost a manifest or a file, as a kill leaves it, ends in the same bytes."""
    run = own_run / "run"
    expected = digests(run)
    (run / lost).unlink()
    summary = run_small(own_run)
    assert digests(run) == expected
    assert len(summary.skipped) < 5


@pytest.mark.slow
def test_kills_in_every_stage_change_nothing(tmp_path: Path) -> None:
    """Killed with SIGKILL in every stage, the same command ends in the same bytes, and only then is in the index.

    The killed run shuffles through files and chooses by component: the bytes are those of a run that does not.
    """
    records = [{"id": str(number), "text": f"第{number}篇。" + prose(number % 50)} for number in range(600)]
    for part in range(4):
        write_records(tmp_path / "in" / f"part{part}.jsonl", records[part::4])
    inputs = [str(tmp_path / "in")]
    curate(CurationConfig(), inputs=inputs, out=str(tmp_path / "whole"), options=OPTIONS)
    out = tmp_path / "killed"
    command = [sys.executable, "-m", "ctllm.cli.main", "curate", "configs/curation/plain.yaml", "--input", *inputs]
    (tmp_path / "configs" / "curation").mkdir(parents=True)
    (tmp_path / "configs" / "curation" / "plain.yaml").write_text("{}")
    index = tmp_path / "index"
    command += ["--shuffle", "files", "--max-pairs-in-memory", "0", "--index", str(index)]
    for sign in (
        "documents/part-*", "pairs/shuffle/*", "common_lines/part-*", "duplicates/components/*", "verdicts/part-*",
        "stats/parts/part-*",
    ):  # fmt: skip
        process = subprocess.Popen([*command, "--out", str(out)], cwd=tmp_path, stdout=subprocess.DEVNULL)
        while not list(out.glob(sign)) and process.poll() is None:
            time.sleep(0.01)
        process.kill()
        assert process.wait() == -signal.SIGKILL, f"ended before {sign} was there"
        assert not index.exists()
    options = RunnerOptions(workers=1, shuffle="files", max_pairs_in_memory=0)
    summary = curate(CurationConfig(), inputs=inputs, out=str(out), options=options, index=str(index))
    assert [each.kept for each in read_index(str(index))] == [summary.accounts["kept"]]
    assert digests(out) == digests(tmp_path / "whole")


def test_changed_threshold_measures_nothing_again(small_run: Path) -> None:
    """`decide --set` changes verdicts and shards, and leaves documents, signals and bands untouched."""
    run = small_run / "run"
    before = digests(run)
    summary = redecide(str(run), overrides={"rules.zh.min_num_chars": 5000}, options=OPTIONS)
    assert summary.skipped == ("measure", "pairs", "lines")
    assert summary.lanes["zh"].kept_documents == 0
    after = digests(run)
    for table in ("documents", "signals", "bands", "pairs"):
        assert {k: v for k, v in after.items() if k.startswith(table)} == {
            k: v for k, v in before.items() if k.startswith(table)
        }


def test_changed_comparison_signs_nothing_again(tmp_path: Path) -> None:
    """`decide --set dedup.by_url` compares the signatures anew: two texts of one URL become one, and say so.

    The pairs need not be in memory at once. A dry run, which compares nothing, refuses.
    """
    records: list[dict[str, object] | str] = [
        {"id": str(number), "url": f"https://a.example/{number // 2}", "text": prose(number)} for number in (2, 3)
    ]
    inputs = [str(write_records(tmp_path / "in.jsonl", records))]
    run = tmp_path / "run"
    assert curate(CurationConfig(), inputs=inputs, out=str(run), options=OPTIONS).accounts["kept"] == 2
    with pytest.raises(ConfigError, match=r"dedup\.by_url: changes what stage pairs finds"):
        what_if(str(run), overrides={"dedup.by_url": True})
    before = digests(run)
    options = RunnerOptions(workers=1, max_pairs_in_memory=0)
    summary = redecide(str(run), overrides={"dedup.by_url": True}, options=options)
    assert summary.skipped == ("measure",)
    assert summary.accounts == {"read": 2, "kept": 1, "removed": 1, "failed": 0}
    kept = max((2, 3), key=lambda number: len(prose(number)))
    removed = explain(str(run), str(5 - kept))
    assert [each["reason"] for each in removed.reasons] == ["url_duplicate"]
    assert removed.kept_instead is not None
    assert (removed.kept_instead["kind"], removed.kept_instead["other"]["id"]) == ("url", str(kept))
    after, measured = digests(run), ("documents", "signals", "bands")
    assert all(after[name] == digest for name, digest in before.items() if name.startswith(measured))


def test_run_stopped_by_a_guard_goes_on_under_another_share(tmp_path: Path) -> None:
    """What a stopped run wrote stays: the same command with the option raised ends it without measuring again."""
    records = [{"id": str(number), "text": f"短文{number}。"} for number in range(60)]
    inputs = [str(write_records(tmp_path / "in.jsonl", records))]
    strict = CurationConfig(guard=GuardConfig(min_documents=50))
    with pytest.raises(GuardError):
        curate(strict, inputs=inputs, out=str(tmp_path / "run"), options=OPTIONS)
    assert not explain(str(tmp_path / "run"), "7").kept
    loose = CurationConfig(
        guard=GuardConfig(min_documents=50, max_removed_share=1, max_removed_share_per_source=1, max_share_per_rule=1)
    )
    summary = curate(loose, inputs=inputs, out=str(tmp_path / "run"), options=OPTIONS)
    assert summary.skipped == ("measure", "pairs", "lines")
    assert summary.accounts == {"read": 60, "kept": 0, "removed": 60, "failed": 0}
    with pytest.raises(OutputError, match=r"different: rules\.zh\.min_num_chars"):
        curate(
            loose.model_copy(update={"rules": RulesConfig(zh=ZhRules(min_num_chars=1))}),
            inputs=inputs,
            out=str(tmp_path / "run"),
            options=OPTIONS,
        )


def test_unknown_threshold_is_refused(small_run: Path) -> None:
    """A misspelled rule is refused with a suggestion before anything is decided."""
    with pytest.raises(ConfigError, match="did you mean min_num_chars"):
        redecide(str(small_run / "run"), overrides={"rules.zh.min_num_char": 1}, options=OPTIONS)


def test_directory_of_another_run_is_refused(small_run: Path) -> None:
    """Another config or other inputs never mix with what is there; the message names what differs and the way out."""
    inputs = small_inputs(small_run / "inputs")
    run = str(small_run / "run")
    other = CurationConfig(snapshot=1)
    with pytest.raises(OutputError, match=r"different: snapshot.*--fresh"):
        curate(other, inputs=inputs, out=run, options=OPTIONS)
    with pytest.raises(OutputError, match=r"other inputs.*good\.jsonl"):
        curate(CurationConfig(), inputs=inputs[:1], out=run, options=OPTIONS)


def test_missing_input_is_refused(tmp_path: Path) -> None:
    """An input that is not there stops the run before anything is written."""
    with pytest.raises(InputError, match="nowhere"):
        curate(CurationConfig(), inputs=[str(tmp_path / "nowhere.jsonl")], out=str(tmp_path / "run"), options=OPTIONS)
    assert not (tmp_path / "run").exists()


def test_missing_benchmark_stops_before_work_starts(small_run: Path) -> None:
    """A benchmark file that is not there is named before anything is measured."""
    config = CurationConfig(decontamination=DecontaminationConfig(benchmarks=("no/such.jsonl",)))
    out = small_run / "other"
    with pytest.raises(InputError, match=r"decontamination\.benchmarks: nothing matches no/such\.jsonl"):
        curate(config, inputs=small_inputs(small_run / "inputs"), out=str(out), options=OPTIONS)
    assert not out.exists()


def test_inputs_without_a_document_are_refused(tmp_path: Path) -> None:
    """When nothing could be read, the run ends with an error that says where the reasons stand."""
    (tmp_path / "empty.jsonl").write_text("")
    with pytest.raises(InputError, match=r"none of 1 records .*failures"):
        curate(CurationConfig(), inputs=[str(tmp_path)], out=str(tmp_path / "run"), options=OPTIONS)
    assert [row["error"] for row in rows(tmp_path / "run", "failures")] == ["empty_file"]
