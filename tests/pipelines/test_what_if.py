"""What-if: other thresholds shown without changing a byte, equal to what deciding for good would do."""

import hashlib
from pathlib import Path

import pytest

from ctllm.pipelines.curate import curate, redecide
from ctllm.pipelines.judgement import summarise
from ctllm.pipelines.options import RunnerOptions
from ctllm.pipelines.run_directory import measured_splits, read_run
from ctllm.pipelines.what_if import WhatIf, threshold_of, what_if
from ctllm.schemas.curation_config import CurationConfig, DedupConfig
from ctllm.schemas.errors import ConfigError, InputError

from .conftest import prose, write_records

OPTIONS = RunnerOptions(workers=1)


def kept(found: WhatIf) -> dict[tuple[str, str], tuple[int, int]]:
    """Lane and source to documents kept now and then."""
    return {(group.lane, group.source): (group.now.kept_documents, group.then.kept_documents) for group in found.groups}


def digests(run: Path) -> dict[str, str]:
    """Digest of every file of a run."""
    return {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in run.rglob("*") if path.is_file()}


def test_dry_run_changes_nothing_and_counts_by_lane_and_source(small_run: Path) -> None:
    """A dry run says what would be kept of every lane and source, and leaves every byte as it was."""
    before = digests(small_run / "run")
    found = what_if(str(small_run / "run"), overrides={"rules.zh.min_num_chars": 5000})
    assert kept(found) == {("en", "bad"): (1, 1), ("zh", "bad"): (1, 0), ("zh", "good"): (6, 0)}
    assert digests(small_run / "run") == before


@pytest.mark.parametrize(
    "overrides",
    [
        {"rules.zh.min_num_chars": 300},
        {"rules.zh.max_gambling_share": None, "rules.zh.max_top_2gram_share": None, "dedup.threshold": 0.8},
        {"rules.zh.min_han_share": 0.95, "rules.en.min_num_words": 100000},
    ],
)
def test_dry_run_says_what_deciding_does(small_run: Path, overrides: dict[str, object]) -> None:
    """Documents, characters and tokens of the dry run are those of the run decided for good."""
    run = str(small_run / "run")
    found = what_if(run, overrides=overrides)
    redecide(run, overrides=overrides, options=OPTIONS)
    decided = read_run(run)
    expected = summarise(decided, [split.index for split in measured_splits(decided)])
    for lane, amounts in expected.items():
        groups = [group.then for group in found.groups if group.lane == lane]
        assert sum(each.kept_documents for each in groups) == amounts.kept_documents
        assert sum(each.kept_chars for each in groups) == amounts.kept_chars
        assert sum(each.kept_tokens for each in groups) == amounts.kept_tokens


def test_fates_are_told_by_rule_with_both_bounds(small_run: Path) -> None:
    """Each rule that decides anew says how many documents it removes and brings back, and its bound now and then."""
    names = ("min_stop_word_share", "min_char_entropy", "min_num_prose_chars", "min_prose_share")
    freed = {f"rules.zh.{name}": 0 for name in names}
    overrides = {"rules.zh.max_gambling_share": None, "rules.zh.min_num_chars": 1, **freed}
    fates = {fate.reason: fate for fate in what_if(str(small_run / "run"), overrides=overrides).fates}
    assert set(fates) == {"min_num_chars"}  # the gambling page fails repetition rules too
    fate = fates["min_num_chars"]
    assert (fate.lane, fate.threshold_now, fate.threshold_then) == ("zh", 50, 1)
    assert (fate.newly_removed, fate.newly_kept) == (0, 1)


def test_border_shows_the_documents_nearest_to_the_new_bound(tmp_path: Path) -> None:
    """Of many documents that a tighter bound refuses, the best ones are shown, best first, with their text."""
    texts = [{"id": f"t{size}", "text": prose(0)[: 60 + 7 * size]} for size in range(9)]
    inputs = [str(write_records(tmp_path / "in.jsonl", texts))]
    config = CurationConfig(dedup=DedupConfig(near=False))
    curate(config, inputs=inputs, out=str(tmp_path / "run"), options=OPTIONS)
    found = what_if(str(tmp_path / "run"), overrides={"rules.zh.min_num_chars": 110})
    removed = [each for each in found.border if each.change == "newly_removed"]
    assert [(each.id, each.value) for each in removed] == [(f"t{size}", 60 + 7 * size) for size in (7, 6, 5, 4, 3)]
    assert {(each.reason, each.threshold, each.source) for each in removed} == {("min_num_chars", 110, "in")}
    assert {each.excerpt[:9] for each in removed} == {" ".join(prose(0)[:20].split())[:9]}
    redecide(str(tmp_path / "run"), overrides={"rules.zh.min_num_chars": 110}, options=OPTIONS)
    back = what_if(str(tmp_path / "run"), overrides={"rules.zh.min_num_chars": 80})
    assert [(each.change, each.id, each.threshold) for each in back.border] == [
        ("newly_kept", f"t{size}", 80) for size in (3, 4, 5, 6, 7)
    ]
    off = what_if(str(tmp_path / "run"), overrides={"rules.zh.min_num_chars": None})
    assert [(each.id, each.threshold) for each in off.border] == [(f"t{size}", 110) for size in (7, 6, 5, 4, 3)]


def test_a_survivor_that_falls_brings_its_copy_back(tmp_path: Path) -> None:
    """Copies are judged anew: when the rules refuse the document that was kept, its copy stands for itself."""
    long = prose(3) + "\n附表：" + "，".join(str(number * number) for number in range(1000, 1020))
    records = [{"id": "original", "text": long}, {"id": "copy", "text": prose(3)}]
    inputs = [str(write_records(tmp_path / "in.jsonl", records))]
    config = CurationConfig(dedup=DedupConfig(threshold=0.6))
    curate(config, inputs=inputs, out=str(tmp_path / "run"), options=OPTIONS)
    found = what_if(str(tmp_path / "run"), overrides={"rules.zh.max_digit_share": 0.1})
    changes = {(each.id, each.change, each.reason) for each in found.border}
    assert changes == {("original", "newly_removed", "max_digit_share"), ("copy", "newly_kept", "near_duplicate")}


def test_bounds_of_reasons() -> None:
    """Rules have their threshold, copies a similarity, documents of no lane nothing."""
    config = CurationConfig()
    assert threshold_of(config, "zh", "min_num_chars") == 50
    assert threshold_of(config, "zh", "near_duplicate") == config.dedup.threshold
    assert threshold_of(config, "code", "exact_duplicate") == 1.0
    assert threshold_of(config, "other", "other_language") is None


def test_unknown_key_and_no_run_are_refused(small_run: Path) -> None:
    """A misspelt rule and a directory that is no run are named before anything is read."""
    with pytest.raises(ConfigError, match="did you mean min_num_chars"):
        what_if(str(small_run / "run"), overrides={"rules.zh.min_num_char": 1})
    with pytest.raises(ConfigError, match=r"dedup\.threshold: changes what is measured"):
        what_if(str(small_run / "run"), overrides={"dedup.threshold": 0.7})
    with pytest.raises(InputError, match="not a run directory"):
        what_if(str(small_run), overrides={})
