"""What happens to a leaked benchmark item: its document goes, it is cut out, or it is only recorded."""

import json
import shutil
from pathlib import Path
from typing import Any

import fsspec
import pytest

from ctllm.dashboards.card import run_card
from ctllm.pipelines.comparison import compare
from ctllm.pipelines.curate import curate, redecide
from ctllm.pipelines.decontaminate.benchmark_files import BenchmarkItem
from ctllm.pipelines.decontaminate.index import BenchmarkIndex
from ctllm.pipelines.judgement import summarise
from ctllm.pipelines.options import RunnerOptions
from ctllm.pipelines.run_directory import read_run
from ctllm.pipelines.signals.words import units_of
from ctllm.pipelines.what_if import what_if
from ctllm.pipelines.why import explain
from ctllm.schemas.curation_config import CurationConfig, DecontaminationConfig
from ctllm.schemas.files import exists, join, read_parquet

QUESTION = "某商店以每件八十元的价格购进一批衬衫，若按每件一百二十元出售，则平均每天可售出二十件，求每天的利润"
TWIN = "若按每件一百二十元出售，则平均每天可售出二十件，求每天的利润，并求降价多少元时利润最大"
ENGLISH = ("A train leaves the station at noon and travels north at sixty miles an hour until it reaches the next town "
           "four hours later")  # fmt: skip
ASKED = "这道题目怎么做，请各位老师帮忙看一看，谢谢大家了。", "。想了一个晚上也没有想出来。"
PHONE = "13912345678"
OPTIONS = RunnerOptions(workers=1)


BASE = Path(__file__).resolve().parents[3] / "examples" / "corpus" / "base"


def prose(index: int) -> str:
    """The `index`-th Chinese base text of the example corpus."""
    return sorted((BASE / "zh").glob("*.txt"))[index].read_text(encoding="utf-8").rstrip()


def write_records(path: Path, records: list[dict[str, str]]) -> Path:
    """A JSONL file."""
    path.write_text("".join(json.dumps(each, ensure_ascii=False) + "\n" for each in records), encoding="utf-8")
    return path


def english(index: int) -> str:
    """The `index`-th English base text of the example corpus."""
    return sorted((BASE / "en").glob("*.txt"))[index].read_text(encoding="utf-8").rstrip()


def leaky_run(directory: Path) -> str:
    """A run under `cut`: a page with two overlapping questions, a post of one and little else, and others."""
    quiz = write_records(directory / "quiz.jsonl", [
        {"id": "q1", "question": QUESTION}, {"id": "q2", "question": TWIN},
        {"id": "q3", "question": f"{QUESTION[:30]}{PHONE}{QUESTION[30:]}"}, {"id": "q4", "question": ENGLISH},
    ])  # fmt: skip
    both = QUESTION + TWIN.removeprefix(QUESTION[QUESTION.index("若按") :])
    inputs = write_records(directory / "in.jsonl", [
        {"id": "page", "text": f"{prose(0)}\n{both}。\n手机号是{PHONE}。\n{prose(1)}"},
        {"id": "mostly", "text": f"{ASKED[0]}{QUESTION}{ASKED[1]}"},
        {"id": "only", "text": f"{QUESTION}。"},
        {"id": "clean", "text": prose(2)},
        {"id": "number", "text": f"{prose(3)}\n{QUESTION[:30]}{PHONE}{QUESTION[30:]}。\n{prose(4)}"},
        {"id": "train", "text": f"{english(0)}\n{ENGLISH}.\n{english(1)}"},
    ])  # fmt: skip
    config = CurationConfig(decontamination=DecontaminationConfig(benchmarks=(str(quiz),), action="cut"))
    curate(config, inputs=[str(inputs)], out=str(directory / "run"), options=OPTIONS)
    return str(directory / "run")


def published(run: str) -> dict[str, dict[str, Any]]:
    """Published rows by id."""
    opened = read_run(run)
    paths = [path for lane in ("zh", "en") if exists(path := opened.part(join("curated", lane), 0))]
    return {row["id"]: row for path in paths for row in read_parquet(path).to_pylist()}


def reasons(run: str, name: str) -> list[tuple[str, float]]:
    """Failing rules of a document, with what was measured."""
    return [(each["reason"], each["value"]) for each in explain(run, name).reasons]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The run under `cut`; tests only read it."""
    return leaky_run(tmp_path_factory.mktemp("leaks"))


def test_a_cut_item_is_not_in_the_published_text(run: str) -> None:
    """The page stays without its questions, which overlap and are one cut; the text around them is untouched."""
    row = published(run)["page"]
    assert row["text"] == f"{prose(0)}\n。\n手机号是<手机号>。\n{prose(1)}"
    assert [edit["kind"] for edit in row["edits"]] == ["benchmark:quiz", "pii:mobile"]
    assert row["num_chars"] == len(row["text"])
    items = tuple(BenchmarkItem("quiz", name, text, ()) for name, text in (("q1", QUESTION), ("q2", TWIN)))
    index = BenchmarkIndex.build(items, config=DecontaminationConfig())
    assert index.best_item(row["text"]) is None
    assert published(run)["train"]["text"] == f"{english(0)}\n.\n{english(1)}"
    assert published(run)["clean"]["text"] == prose(2)
    assert published(run)["clean"]["edits"] == []


def test_a_document_that_is_cut_wholly_goes_without_any_rule(run: str) -> None:
    """Of a question alone a full stop is left: not published with the length rule off either; the post comes back."""
    assert [reason for reason, _ in reasons(run, "only")][:2] == ["nothing_left", "min_num_chars"]
    found = what_if(run, overrides={"rules.zh.min_num_chars": 0})
    assert [(each.change, each.id) for each in found.border] == [("newly_kept", "mostly")]


def test_kept_amounts_count_what_is_published(run: str) -> None:
    """Funnel, summary and dry run count the characters that cuts leave, before personal data is replaced."""
    chars = {"zh": 0, "en": 0}
    for row in published(run).values():
        redacted = [edit for edit in row["edits"] if edit["kind"].startswith("pii:")]
        longer = sum(edit["end"] - edit["start"] - len(edit["replacement"]) for edit in redacted)
        chars[row["lane"]] += row["num_chars"] + longer
    opened = read_run(run)
    assert {lane: each.kept_chars for lane, each in summarise(opened, [0]).items()} == chars
    assert {group.lane: group.now.kept_chars for group in what_if(run, overrides={}).groups} == chars
    funnel = read_parquet(join(run, "stats", "funnel.parquet")).to_pylist()
    assert {row["lane"]: row["chars"] for row in funnel if row["outcome"] == "kept"} == chars


def test_what_a_cut_leaves_is_judged(run: str) -> None:
    """A post of a question and little else is too short without it, and says so with what is left."""
    left = len("".join(ASKED))
    assert reasons(run, "mostly") == [("min_num_chars", left)]
    assert left < 50 < left + len(QUESTION)
    found = explain(run, "mostly")
    assert [(cut["kind"], cut["end"] - cut["start"]) for cut in found.cuts] == [("benchmark:quiz", len(QUESTION))]
    assert next(rule.value for rule in found.rules if rule.reason == "min_num_chars") == left
    assert found.signals["num_chars"] == left + len(QUESTION)


def test_cuts_are_counted(run: str) -> None:
    """stats/edits.parquet counts the cuts of published documents; read = kept + removed + failed still holds."""
    rows = read_parquet(join(run, "stats", "edits.parquet")).to_pylist()
    counts = {(row["lane"], row["kind"]): (row["documents"], row["edits"], row["replaced"]) for row in rows}
    assert counts == {
        ("zh", "benchmark:quiz"): (2, 2, 2), ("zh", "pii:mobile"): (1, 1, 1), ("en", "benchmark:quiz"): (1, 1, 1),
    }  # fmt: skip
    assert read_run(run).manifest.stages["publish"]["counts"] == {"read": 6, "kept": 4, "removed": 2, "failed": 0}


def test_the_rule_removes_nothing_where_leaks_are_cut(run: str) -> None:
    """Verdicts, `why`, the dry run, the comparison and the report agree that the rule on overlap is off."""
    found = explain(run, "page")
    assert found.kept
    assert next(rule.threshold for rule in found.rules if rule.reason == "max_benchmark_overlap") is None
    assert next(rule[3] for rule in run_card(run)["rules"]["zh"] if rule[0] == "max_benchmark_overlap") is None
    then = what_if(run, overrides={"decontamination.action": "drop"})
    fates = {
        (fate.lane, fate.reason): (fate.threshold_now, fate.threshold_then, fate.newly_removed) for fate in then.fates
    }
    assert fates == {("zh", "max_benchmark_overlap"): (None, 0.8, 2), ("en", "max_benchmark_overlap"): (None, 0.8, 1)}
    assert not [rule for rule in compare([run]).rules if rule.reason == "max_benchmark_overlap"]


@pytest.fixture
def own_run(run: str, tmp_path: Path) -> str:
    """A copy that a test may decide anew; its inputs and benchmark files are not there."""
    return str(shutil.copytree(run, tmp_path / "run"))


def test_the_action_changes_without_measuring(run: str, own_run: str) -> None:
    """A measured run is decided under each action, back and forth, also when inputs and benchmark files are gone."""
    quiz = Path(run).parent / "quiz.jsonl"
    quiz.rename(quiz.with_suffix(".away"))
    summary = redecide(own_run, overrides={"decontamination.action": "flag"}, options=OPTIONS)
    assert summary.skipped == ("measure", "pairs", "lines")
    rows = published(own_run)
    assert set(rows) == {"page", "mostly", "only", "clean", "number", "train"}
    assert rows["mostly"]["text"].count(QUESTION) == 1
    (note,) = rows["mostly"]["edits"]
    assert (note["kind"], note["replacement"], note["end"] - note["start"]) == ("benchmark:quiz", None, len(QUESTION))
    assert PHONE not in rows["number"]["text"]
    assert [edit["kind"] for edit in rows["number"]["edits"]] == ["benchmark:quiz", "pii:mobile"]
    redecide(own_run, overrides={"decontamination.action": "drop"}, options=OPTIONS)
    assert set(published(own_run)) == {"clean"}
    assert reasons(own_run, "page") == [("max_benchmark_overlap", 1.0)]
    assert explain(own_run, "page").cuts == []
    redecide(own_run, overrides={"decontamination.action": "cut"}, options=OPTIONS)
    assert published(own_run) == published(run)
    quiz.with_suffix(".away").rename(quiz)


def test_items_up_to_the_bound_stay(own_run: str) -> None:
    """An item is cut above its lane's bound, not at it, and where the rule is off none is."""
    bounds = {"rules.zh.max_benchmark_overlap": 1.0, "rules.en.max_benchmark_overlap": None}
    redecide(own_run, overrides=bounds, options=OPTIONS)
    assert QUESTION in published(own_run)["page"]["text"]
    assert ENGLISH in published(own_run)["train"]["text"]
    redecide(own_run, overrides={"rules.zh.max_benchmark_overlap": 0.99}, options=OPTIONS)
    assert QUESTION not in published(own_run)["page"]["text"]


@pytest.mark.private_data
def test_a_leak_of_every_real_file_under_each_action(private_data: Path, tmp_path: Path) -> None:
    """One item of every published file, written into real articles: dropped, cut out or flagged, each of them."""
    folders = ("open/eval", "restricted/eval/cmmlu", "restricted/eval/ceval/val_zhtw_original")
    paths = tuple(str(private_data / each) for each in folders)
    decontamination = DecontaminationConfig(benchmarks=paths, action="flag")
    index = BenchmarkIndex.load(decontamination)
    alone = index.best(units_of([item.with_options for item in index.items])).shares
    firsts = {item.benchmark: item for item, share in zip(index.items, alone, strict=True) if share > 0.99}
    articles = str(private_data / "open" / "zh_docs.jsonl.zst")
    with fsspec.open(articles, "rt", compression="infer", encoding="utf-8") as file:
        texts = [text for line in file if len(text := json.loads(line)["text"]) > 1500]
    pages = {
        name: f"{text[:700]}\n{item.with_options}\n{text[-700:]}"
        for text, (name, item) in zip(texts, firsts.items(), strict=False)
    }
    assert len(pages) > 150
    inputs = write_records(tmp_path / "in.jsonl", [{"id": name, "text": text} for name, text in pages.items()])
    config = CurationConfig(decontamination=decontamination)
    run = str(tmp_path / "run")
    curate(config, inputs=[str(inputs)], out=run, options=OPTIONS)
    flagged = published(run)
    assert len(flagged) > 0.8 * len(pages)  # the articles meet the other rules too
    for row in flagged.values():
        assert any(edit["kind"].startswith("benchmark:") and edit["replacement"] is None for edit in row["edits"])
    redecide(run, overrides={"decontamination.action": "drop"}, options=OPTIONS)
    assert published(run) == {}
    redecide(run, overrides={"decontamination.action": "cut"}, options=OPTIONS)
    cut = published(run)
    assert set(cut) <= set(flagged)
    assert len(cut) > 0.9 * len(flagged)
    shares = index.best(units_of([row["text"] for row in cut.values()])).shares
    assert [name for name, share in zip(cut, shares, strict=True) if share > 0.8] == []
    assert all(len(row["text"]) < len(flagged[name]["text"]) for name, row in cut.items())
