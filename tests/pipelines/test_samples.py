"""Documents to look at: those nearest to a bound are found, and nothing personal is shown."""

import json
from pathlib import Path

import numpy as np
import pyarrow as pa

from ctllm.pipelines.run_directory import read_run
from ctllm.pipelines.samples import EXCERPT_CHARS, masked, sampled_documents
from ctllm.schemas.files import read_parquet
from ctllm.schemas.rules import RulesConfig, ZhRules
from ctllm.schemas.verdict import VERDICTS

RULES = RulesConfig(zh=ZhRules(max_digit_share=0.2, max_url_list=None))


def test_nearest_documents_of_both_sides_stand_at_the_border() -> None:
    """Of kept documents and of those that a rule alone refuses the two nearest are candidates, within a quarter."""
    shares = [0.01, 0.16, 0.18, 0.19, 0.21, 0.22, 0.24, 0.9, 0.2]
    fails = [{"reason": "max_digit_share", "value": 0.0, "threshold": 0.2}]
    also = [*fails, {"reason": "max_menu_share", "value": 0.9, "threshold": 0.5}]
    reasons = [[], [], [], [], also, fails, fails, fails, []]
    keys = np.arange(9, dtype=np.uint64)
    kept = [not each for each in reasons]
    verdicts = pa.table([keys, ["zh"] * 9, kept, reasons], schema=VERDICTS)
    signals = {
        rule.signal: np.full(9, np.nan, np.float32) for rules in RULES.by_lane().values() for rule in rules.rules()
    }
    judged = pa.table(signals | {"digit_share": pa.array(shares, pa.float32())})
    first = np.array([each[0]["reason"] if each else "" for each in reasons], object)
    found = [each for each in sampled_documents(judged, verdicts, first, rules=RULES) if each["border"]]
    assert [each["key"] for each in found] == [8, 3, 5, 6]
    assert [round(each["border"]["value"], 6) for each in found] == [0.2, 0.19, 0.22, 0.24]
    assert {each["border"]["threshold"] for each in found} == {0.2}
    far = judged.set_column(judged.column_names.index("digit_share"), "digit_share", pa.array([0.01] * 9, pa.float32()))
    assert not any(each["border"] for each in sampled_documents(far, verdicts, first, rules=RULES))


def test_samples_show_what_rules_count(small_run: Path) -> None:
    """The spam sample is marked where its vocabulary stands, under every rule that it fails and that has a place."""
    samples = {row["id"]: row for row in read_parquet(str(small_run / "run" / "stats" / "samples.parquet")).to_pylist()}
    spam, short = samples["spam"], samples["short"]
    marks = json.loads(spam["marks"])
    words = [spam["excerpt"][start:end] for start, end in marks["max_gambling_share"]]
    assert any("百家乐" in word for word in words)
    assert not any("，" in word for word in words)
    assert set(marks) == {each["reason"] for each in json.loads(spam["reasons"])} - {
        "min_num_chars",
        "min_char_entropy",
    }
    assert "min_num_chars" not in json.loads(short["marks"])
    assert all(len(row["excerpt"]) <= EXCERPT_CHARS for row in samples.values())


def test_no_sample_shows_personal_data(small_run: Path) -> None:
    """The mobile number of a kept document is redacted in its excerpt, also where the excerpt would cut it in two."""
    run = read_run(str(small_run / "run"))
    samples = read_parquet(run.directory("stats/samples.parquet")).to_pylist()
    assert not any("13912345678" in row["excerpt"] for row in samples)
    text = "字" * 20 + "，电话13912345678，谢谢。"
    assert masked([text], run, num_chars=28) == ["字" * 20 + "，电话<手机号>"[:8]]
    assert masked([text], run, num_chars=100) == ["字" * 20 + "，电话<手机号>，谢谢。"]
