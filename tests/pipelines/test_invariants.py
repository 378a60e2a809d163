"""What a curation promises, proved on one run with everything switched on, by plain loops over its files.

Two crawls: the second has copies within and across, lines of sites, sentences said twice, leaked benchmark items,
personal data, listed URLs, a quality model, other languages, code, scraps, and broken records.
"""

import json
import math
import shutil
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from ctllm.pipelines.curate import curate
from ctllm.pipelines.options import RunnerOptions
from ctllm.schemas.config import parse_config
from ctllm.schemas.curation_config import CurationConfig
from ctllm.schemas.cuts import LENGTH_SIGNALS
from ctllm.schemas.rules import RulesConfig
from ctllm.schemas.verdict import COPIES, NOTHING_LEFT, OTHER_LANGUAGE
from tests.pipelines.test_curate_corpus import digests

from .conftest import BASE, SPAM, menu_page, prose, write_records

ROOT = BASE.parents[2]
QUESTION = json.loads((ROOT / "examples/benchmarks/mini_zh.jsonl").read_text(encoding="utf-8").splitlines()[0])
FOOTER = "版权所有：示例新闻网，未经书面授权不得转载、摘编本站的任何内容"
JAPANESE = "これは日本語の文章です。ひらがなとカタカナが多く、漢字は少しだけ使われています。" * 8
Row = dict[str, Any]


def records() -> list[Row | str]:
    """Two of them are failures; the number in an id is that of the base text."""
    english = sorted((BASE / "en").glob("*.txt"))[0].read_text(encoding="utf-8")
    code = sorted((BASE / "code").rglob("*.py"))[0].read_text(encoding="utf-8")
    said_twice = (
        "这一句话足够长，在同一篇文章里原样说了两遍，所以第二遍是多余的，应当被切掉而且记录下来，读者不会少看到什么。"
    )
    pages = [
        {"id": f"site-{number}", "url": f"https://news.example/{number}", "text": f"{prose(number)}\n{FOOTER}"}
        for number in range(6)
    ]
    return [
        *pages,
        {"id": "url-6", "url": "https://again.example/a", "text": prose(6)},
        {"id": "url-7", "url": "https://again.example/a", "text": prose(7)},
        {"id": "exact-8", "text": prose(8)},
        {"id": "exact-8-again", "text": prose(8)},
        {"id": "near-9", "text": prose(9)},
        {"id": "near-9-again", "text": "编者按：转载时略有改动。\n" + prose(9).replace("，", ",")},
        {"id": "earlier-10", "text": prose(10)},
        {"id": "twice-11", "text": prose(11) + said_twice + "\n中间隔着一行。\n" + said_twice},
        {"id": "leak-12", "text": prose(12) + "\n" + QUESTION["question"] + "\n" + prose(13)},
        {"id": "leak-only", "text": QUESTION["question"]},
        {"id": "person-14", "text": prose(14) + "\n联系电话13912345678，邮箱 li.lei@example.org，QQ：123456789。"},
        {"id": "listed-15", "url": "https://casino.example/x", "text": prose(15)},
        {"id": "menu", "text": menu_page(3)},
        {"id": "spam", "text": SPAM},
        {"id": "scrap", "text": "太短了。"},
        {"id": "japanese", "text": JAPANESE},
        {"id": "english", "text": english + "\nWrite to john.doe@example.com or call."},
        {"id": "code", "text": code, "url": "https://git.example/a.py"},
        "{broken",
        {"id": "no-text"},
    ]


def config(directory: Path, model: Path, **more: Any) -> CurationConfig:
    """Everything on."""
    values = {
        "dedup": {"by_url": True, "containment": 0.9, "survivor_order": ["quality", "date", "num_chars", "key"]},
        "lines": {"within_document": "similar", "across_site": 3, "across_documents": 5, "substrings": 20},
        "decontamination": {"benchmarks": ["examples/benchmarks/mini_zh.jsonl"], "action": "cut"},
        "privacy": {"email": "tag", "qq": "off"},
        "url_lists": {"paths": [str(directory / "betting.txt")], "categories": ["betting"]},
        "quality": {"model": str(model)},
        "vocabularies": {"custom": [str(directory / "terms.txt")]},
        "rules": {"zh": {"min_quality_score": 0.001}},
        **more,
    }
    return parse_config(values, CurationConfig, origin="everything")


@dataclass(frozen=True)
class Crawl:
    """Where the second crawl lies, and how it was made."""

    inputs: list[str]
    index: str
    config: CurationConfig
    run: Path

    def rows(self, table: str) -> list[Row]:
        """All rows of a table of the run, in the order of its files."""
        return [
            row
            for path in sorted((self.run / table).rglob("part-*.parquet"))
            for row in pq.read_table(path).to_pylist()
        ]

    def by_key(self, table: str) -> dict[int, Row]:
        """The rows of a table with one row per document."""
        return {row["key"]: row for row in self.rows(table)}


@pytest.fixture(scope="module")
def crawl(tmp_path_factory: pytest.TempPathFactory, quality_model: Path) -> Crawl:
    """Both crawls, curated; the second with one worker, grouping in memory."""
    directory = tmp_path_factory.mktemp("everything")
    (directory / "betting.txt").write_text("casino.example\n")
    (directory / "terms.txt").write_text("示例新闻网\n", encoding="utf-8")
    index, options = str(directory / "index"), RunnerOptions(workers=1)
    earlier = [str(write_records(directory / "earlier.jsonl", [{"id": "first-10", "text": prose(10)}]))]
    everything = config(directory, quality_model)
    curate(everything, inputs=earlier, out=str(directory / "earlier"), options=options, index=index)
    shutil.copytree(index, directory / "index-before")
    everything = config(directory, quality_model, snapshot=1)
    rows = records()
    inputs = [str(write_records(directory / "in" / f"{part}.jsonl", rows[part::3])) for part in range(3)]
    curate(everything, inputs=inputs, out=str(directory / "run"), options=options, index=index)
    return Crawl(inputs, index, everything, directory / "run")


def left_of(crawl: Crawl) -> dict[int, Row]:
    """Signals of every document, its lengths after the cuts that stand in `cuts/`."""
    documents, cut = crawl.by_key("documents"), Counter[int]()
    for row in crawl.rows("cuts"):
        if row["replacement"] is not None:
            cut[row["key"]] += row["end"] - row["start"]
    signals = crawl.by_key("signals")
    for key, row in signals.items():
        assert row["num_chars"] == len(documents[key]["text"])
        for name in LENGTH_SIGNALS:
            left = row[name] * (1 - cut[key] / max(len(documents[key]["text"]), 1))
            row[name] = float(np.rint(left)) if isinstance(row[name], int) else float(np.float32(left))
    return signals


def failing(signals: Row, lane: str, rules: RulesConfig) -> list[tuple[str, float, float]]:
    """Name, value and bound of every rule that one document fails, decided one by one."""
    found = []
    for rule in rules.of_lane(lane).rules():
        value = signals[rule.signal]
        if rule.threshold is None or value is None or math.isnan(value):
            continue
        bound = rule.threshold if float(value).is_integer() else float(np.float32(rule.threshold))
        if value < bound if rule.is_minimum else value > bound:
            found.append((rule.name, float(value), rule.threshold))
    return found


def test_what_was_planted_is_in_the_run(crawl: Crawl) -> None:
    """The corpus has every kind of removal, cut and failure that the run knows: nothing below is proved on nothing."""
    reasons = Counter(reason["reason"] for row in crawl.rows("verdicts") for reason in row["reasons"])
    named = {*COPIES.values(), OTHER_LANGUAGE, NOTHING_LEFT, "max_gambling_share", "max_url_list", "min_num_chars"}
    assert named <= reasons.keys()
    kinds = {row["kind"] for row in crawl.rows("cuts")}
    assert {"benchmark:mini_zh", "line:site", "sentence:similar"} <= kinds
    edits = {(edit["kind"], edit["replacement"] is None) for row in crawl.rows("curated") for edit in row["edits"]}
    assert {("pii:mobile", False), ("pii:email", True)} <= edits
    assert not [kind for kind, _ in edits if kind == "pii:qq"]
    assert sorted(row["error"] for row in crawl.rows("failures")) == ["broken_json", "missing_text"]


def test_every_record_is_kept_removed_or_failed(crawl: Crawl) -> None:
    """By name: each input record is one document with one verdict, or one failure; kept ones are published, once."""
    given = Counter(row["id"] for row in records() if isinstance(row, dict) and "text" in row)
    documents, verdicts = crawl.by_key("documents"), crawl.by_key("verdicts")
    assert Counter(row["id"] for row in documents.values()) == given
    assert documents.keys() == verdicts.keys() == crawl.by_key("signals").keys() == crawl.by_key("bands").keys()
    assert len(documents) + len(crawl.rows("failures")) == len(records())
    kept = Counter((documents[key]["id"], row["lane"]) for key, row in verdicts.items() if row["kept"])
    published = Counter((row["id"], lane) for lane in ("zh", "en", "code") for row in crawl.rows(f"curated/{lane}"))
    assert published == kept


def test_removed_documents_have_all_their_reasons(crawl: Crawl) -> None:
    """Rules asked one by one of what the cuts leave give the verdicts' reasons, values, bounds and order."""
    documents, duplicates = crawl.by_key("documents"), crawl.by_key("duplicates")
    signals, rules = left_of(crawl), crawl.config.deciding_rules
    for key, verdict in crawl.by_key("verdicts").items():
        found = [(each["reason"], each["value"], each["threshold"]) for each in verdict["reasons"]]
        expected = failing(signals[key], verdict["lane"], rules)
        if key in duplicates:
            assert expected == [], documents[key]["id"]
            row = duplicates[key]
            assert [(name, value) for name, value, _ in found] == [(COPIES[row["kind"]], row["jaccard"])]
        else:
            special = [each[0] for each in found if each[0] in (OTHER_LANGUAGE, NOTHING_LEFT)]
            assert found[len(special) :] == expected, documents[key]["id"]
            assert (special == [OTHER_LANGUAGE]) == (verdict["lane"] == "other")
        assert verdict["kept"] == (not found)


def test_a_copy_names_a_document_that_is_kept(crawl: Crawl) -> None:
    """In this crawl, where its verdict is kept and its cluster counts the copies, or in the earlier one."""
    verdicts, published = crawl.by_key("verdicts"), crawl.by_key("curated")
    copies = Counter[int]()
    for row in crawl.rows("duplicates"):
        assert not verdicts[row["key"]]["kept"]
        copies[row["kept_key"]] += 1
        if row["kept_snapshot"] == 1:
            assert verdicts[row["kept_key"]]["kept"]
    assert {row["kept_snapshot"] for row in crawl.rows("duplicates")} == {0, 1}
    assert all(row["cluster_size"] == 1 + copies[key] for key, row in published.items())


def test_published_text_is_the_text_but_for_its_edits(crawl: Crawl) -> None:
    """The recorded edits, made backwards in the document's own text, give what is published, to the character."""
    documents = crawl.by_key("documents")
    given = {row["id"]: row["text"] for row in records() if isinstance(row, dict) and "text" in row}
    cuts = {(row["key"], row["kind"], row["start"], row["end"]) for row in crawl.rows("cuts")}
    for row in crawl.rows("curated"):
        text = documents[row["key"]]["text"]
        assert text == given[row["id"]]
        planned = {(row["key"], each["kind"], each["start"], each["end"]) for each in row["edits"]} & cuts
        assert planned == {each for each in cuts if each[0] == row["key"]}
        for edit in reversed(row["edits"]):
            if edit["replacement"] is not None:
                text = text[: edit["start"]] + edit["replacement"] + text[edit["end"] :]
        assert row["text"] == text
        assert row["num_chars"] == len(text)


def test_the_dashboards_count_what_is_there(crawl: Crawl) -> None:
    """Funnel and rules, counted again from the verdicts: documents by first reason, failing, alone, first."""
    documents = crawl.by_key("documents")
    funnel, failed = Counter[tuple[str, ...]](), Counter[tuple[str, ...]]()
    for key, verdict in crawl.by_key("verdicts").items():
        names = [each["reason"] for each in verdict["reasons"]]
        group = documents[key]["source"], verdict["lane"]
        funnel[*group, "removed" if names else "kept", names[0] if names else ""] += 1
        for name in names:
            failed[*group, name, "failing"] += 1
            failed[*group, name, "first"] += name == names[0]
            failed[*group, name, "only"] += len(names) == 1
    for row in crawl.rows("failures"):
        funnel[row["source"], "", "failed", row["error"]] += 1
    shown = pq.read_table(crawl.run / "stats/funnel.parquet").to_pylist()
    assert {(row["source"], row["lane"], row["outcome"], row["reason"]): row["documents"] for row in shown} == funnel
    rules = pq.read_table(crawl.run / "stats/rules.parquet").to_pylist()
    assert {
        (row["source"], row["lane"], row["reason"], name): row[name]
        for row in rules
        for name in ("failing", "first", "only")
    } == failed


def test_the_way_it_runs_changes_no_byte(crawl: Crawl, tmp_path: Path) -> None:
    """Two workers, grouping in files, survivors component by component: the same bytes in every table."""
    index = tmp_path / "index"
    shutil.copytree(Path(crawl.index).parent / "index-before", index)
    options = RunnerOptions(workers=2, shuffle="files", max_pairs_in_memory=0)
    curate(crawl.config, inputs=crawl.inputs, out=str(tmp_path / "run"), options=options, index=str(index))
    assert digests(tmp_path / "run") == digests(crawl.run)


def test_what_kills_leave_ends_in_the_same_bytes(crawl: Crawl) -> None:
    """Of every stage some files are there and no manifest, as after a kill in each: the same bytes again."""
    whole = digests(crawl.run)
    for path in crawl.run.rglob("*"):
        if path.name in ("_SUCCESS", "part-00001.parquet"):
            path.unlink()
    options = RunnerOptions(workers=2)
    summary = curate(crawl.config, inputs=crawl.inputs, out=str(crawl.run), options=options, index=crawl.index)
    assert summary.skipped == ()
    assert digests(crawl.run) == whole
