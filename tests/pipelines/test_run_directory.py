"""The run directory: what belongs to it, and when a stage has to run again."""

import json
from pathlib import Path

import pytest

from ctllm.pipelines.run_directory import STAGES, code_digest, open_run, read_run
from ctllm.pipelines.sources.split import plan_splits
from ctllm.schemas.curation_config import (
    CurationConfig,
    DecontaminationConfig,
    DedupConfig,
    PrivacyConfig,
    SourceConfig,
)
from ctllm.schemas.errors import InputError, OutputError
from ctllm.schemas.rules import RulesConfig, ZhRules


def test_fingerprints_follow_what_a_stage_reads(small_run: Path) -> None:
    """A rule or the order of survivors touches decide and publish, what is a copy pairs too, signatures everything."""
    run = read_run(str(small_run / "run"))

    def touched(config: CurationConfig) -> list[str]:
        changed = run.with_config(config)
        return [stage for stage in STAGES if run.fingerprint(stage) != changed.fingerprint(stage)]

    assert touched(CurationConfig()) == []
    assert touched(CurationConfig(privacy=PrivacyConfig(email="off"))) == ["publish"]
    assert touched(CurationConfig(rules=RulesConfig(zh=ZhRules(min_num_chars=10)))) == ["decide", "publish"]
    assert touched(CurationConfig(dedup=DedupConfig(threshold=0.9))) == list(STAGES)
    for changed in ({"verify": False}, {"containment": 0.9}, {"max_bucket": 9}, {"by_url": True}):
        compared = CurationConfig(dedup=DedupConfig.model_validate(changed))
        assert touched(compared) == ["pairs", "lines", "decide", "publish"]
    assert touched(CurationConfig(dedup=DedupConfig(shingle_chars=6))) == list(STAGES)
    assert touched(CurationConfig(dedup=DedupConfig(survivor_order=("date",)))) == ["decide", "publish"]
    assert touched(CurationConfig(dedup=DedupConfig(source_priority=("books",)))) == ["decide", "publish"]
    assert touched(CurationConfig(rules=RulesConfig(zh_set="ctllm_zh"))) == list(STAGES)  # asks for more signals


def test_a_benchmark_with_other_content_measures_anew(small_run: Path) -> None:
    """A benchmark file that was replaced under its name changes the fingerprint of measuring."""
    inputs = small_run / "inputs" / "good.jsonl"
    config = CurationConfig(decontamination=DecontaminationConfig(benchmarks=(str(small_run / "quiz.jsonl"),)))
    splits = plan_splits([str(inputs)], config=SourceConfig())
    fingerprints = []
    for question in ("长江全长约六千三百公里", "黄河全长约五千四百公里", "长江全长约六千三百公里"):
        (small_run / "quiz.jsonl").write_text(json.dumps({"question": question}))
        fingerprints.append(open_run(str(small_run / "other"), config, splits).fingerprint("measure"))
    assert fingerprints[0] == fingerprints[2] != fingerprints[1]


def test_interrupted_stage_keeps_only_its_own_files(small_run: Path) -> None:
    """Files of an interrupted attempt stay for the same result and are deleted for another."""
    run = read_run(str(small_run / "run"))
    left_over = small_run / "run" / "curated" / "zh" / "part-00001.parquet"
    run.begin("publish")
    assert left_over.exists()
    run.with_config(CurationConfig(privacy=PrivacyConfig(email="off"))).begin("publish")
    assert not left_over.exists()


def test_results_without_manifest_are_refused(tmp_path: Path) -> None:
    """A directory that holds results of unknown origin is not overwritten."""
    (tmp_path / "run" / "documents").mkdir(parents=True)
    (tmp_path / "in.jsonl").write_text('{"text": "一"}\n')
    splits = plan_splits([str(tmp_path / "in.jsonl")], config=SourceConfig())
    with pytest.raises(OutputError, match=r"no manifest\.json"):
        open_run(str(tmp_path / "run"), CurationConfig(), splits)


def test_changed_input_is_noticed(small_run: Path) -> None:
    """An input replaced by another of the same name is not taken for the old one."""
    path = small_run / "new.jsonl"
    path.write_text('{"text": "一"}\n')
    splits = plan_splits([str(path)], config=SourceConfig())
    open_run(str(small_run / "other"), CurationConfig(), splits)
    path.write_text('{"text": "二"}\n')
    splits = plan_splits([str(path)], config=SourceConfig())
    with pytest.raises(OutputError, match="same names, other content"):
        open_run(str(small_run / "other"), CurationConfig(), splits)


def test_directory_without_a_run_is_refused(tmp_path: Path) -> None:
    """Reading a run where there is none says what to give instead."""
    with pytest.raises(InputError, match=r"not a run directory"):
        read_run(str(tmp_path))


def test_code_digest_is_stable() -> None:
    """The digest of the code is the same within a process and 16 hex digits long."""
    assert code_digest() == code_digest()
    assert len(code_digest()) == 16
