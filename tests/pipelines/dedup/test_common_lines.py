"""Lines that many documents share, from counting to the published text, against counting in Python."""

import json
import random
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from ctllm.pipelines.batch import TextBatch
from ctllm.pipelines.curate import curate, redecide
from ctllm.pipelines.dedup.common_lines import copy_keys, count_all, count_split, find_common_lines, find_lines
from ctllm.pipelines.dedup.line_tables import LineMeasurer
from ctllm.pipelines.options import RunnerOptions
from ctllm.pipelines.run_directory import read_run
from ctllm.pipelines.why import explain
from ctllm.schemas.curation_config import CurationConfig, LinesConfig
from ctllm.schemas.duplicates import PAIRS
from ctllm.schemas.files import exists, join, read_parquet, write_parquet
from ctllm.schemas.lines import LINE, LINES, PARAGRAPH, RUN

Row = tuple[int, int, int, int, int, int]
"""A row of LINES."""

BASE = Path(__file__).resolve().parents[3] / "examples" / "corpus" / "base"
FOOTER = "版权所有：示例新闻网，未经书面授权不得转载、摘编本站的任何内容"
MENU = ["首页", "国内新闻", "国际新闻", "体育频道", "财经频道"]


def _found(
    directory: Path, splits: list[list[Row]], *, copies: tuple[int, ...] = (), workers: int = 1, **bounds: Any
) -> list[list[tuple[int, str, int, int]]]:
    """Key, kind, start and documents of what is found in each split."""
    files = []
    for number, rows in enumerate(splits):
        columns = list(zip(*rows, strict=True)) or [()] * len(LINES)
        table = pa.table(
            [pa.array(column, field.type) for column, field in zip(columns, LINES, strict=True)], schema=LINES
        )
        files.append(str(directory / "lines" / f"part-{number:05d}.parquet"))
        write_parquet(files[-1], table)
    pairs = [{"key_a": 0, "key_b": key, "kind": "near", "jaccard": 0.9, "containment": 1.0} for key in copies]
    write_parquet(str(directory / "pairs" / "part-00000.parquet"), pa.Table.from_pylist(pairs, schema=PAIRS))
    out = str(directory / f"found{workers}")
    config = LinesConfig(**bounds)
    options = RunnerOptions(workers=workers)
    counts = find_common_lines(files, pairs=str(directory / "pairs"), out=out, config=config, options=options)
    tables = [read_parquet(join(out, f"part-{number:05d}.parquet")).to_pylist() for number in range(len(files))]
    assert counts["common"] == sum(map(len, tables))
    return [[(row["key"], row["kind"], row["start"], row["documents"]) for row in table] for table in tables]


def _line(key: int, value: int, *, site: int = 7, start: int = 0, unit: int = LINE) -> Row:
    return key, unit, site, value, start, start + 10


@pytest.mark.parametrize("workers", [1, 2])
def test_common_lines_are_those_that_counting_gives(tmp_path: Path, workers: int) -> None:
    """In three splits exactly the lines that more documents of a site, or of all, hold than allowed; workers or not."""
    chance = random.Random(1)
    splits: list[list[Row]] = [[], [], []]
    for key in range(60):
        site = chance.choice([0, 1 << 63, 5])
        rows = [
            _line(key, chance.choice([1, 2, 3, 2**64 - 1, 1 << 63]), site=site, start=10 * place,
                  unit=chance.choice([LINE, PARAGRAPH]))
            for place in range(6)
        ]  # fmt: skip
        splits[key // 20] += sorted(rows, key=lambda row: (row[1], row[4]))
    copies = (3, 17, 40, 41)
    holders: defaultdict[tuple[int, int, int | None], set[int]] = defaultdict(set)
    for key, unit, site, value, *_ in (row for rows in splits for row in rows):
        if key not in copies:
            holders[unit, value, site].add(key)
            holders[unit, value, None].add(key)
    expected = []
    for rows in splits:
        hits = []
        for key, unit, site, value, start, _ in rows:
            of_site, of_all = len(holders[unit, value, site]), len(holders[unit, value, None])
            if site and of_site > 8:
                hits.append((key, f"{('line', 'paragraph')[unit]}:site", start, of_site))
            elif of_all > 24:
                hits.append((key, f"{('line', 'paragraph')[unit]}:corpus", start, of_all))
        expected.append(sorted(hits, key=lambda hit: (hit[0], hit[2])))
    kinds = {hit[1] for hits in expected for hit in hits}
    assert kinds == {"line:site", "paragraph:site", "line:corpus", "paragraph:corpus"}
    found = _found(tmp_path, splits, copies=copies, workers=workers, across_site=8, across_documents=24)
    assert found == expected


def test_a_line_in_as_many_documents_as_allowed_stays(tmp_path: Path) -> None:
    """Two documents are not more than two; a third is, however often one of them says it."""
    two = [_line(1, 9), _line(1, 9, start=10), _line(2, 9)]
    assert _found(tmp_path, [two], across_site=2) == [[]]
    assert _found(tmp_path, [two, [_line(3, 9)]], across_site=2) == [
        [(1, "line:site", 0, 3), (1, "line:site", 10, 3), (2, "line:site", 0, 3)], [(3, "line:site", 0, 3)],
    ]  # fmt: skip


def test_copies_do_not_count_but_are_cut(tmp_path: Path) -> None:
    """A page and two copies of it are one document; a boilerplate line goes from the copies too."""
    lines = [[_line(key, 9) for key in (1, 2, 3)]]
    assert _found(tmp_path, lines, copies=(2, 3), across_site=1) == [[]]
    assert [row[0] for row in _found(tmp_path, [[*lines[0], _line(4, 9)]], copies=(2, 3), across_site=1)[0]] == [
        1,
        2,
        3,
        4,
    ]


def test_the_first_occurrence_of_a_run_stays(tmp_path: Path) -> None:
    """Runs are cut in all but the earliest document and but once there; not in copies, which may take its place."""
    splits = [
        [_line(5, 9, unit=RUN), _line(5, 9, unit=RUN, start=50), _line(6, 8, unit=RUN)],
        [_line(7, 9, unit=RUN), _line(8, 9, unit=RUN)],
    ]
    found = _found(tmp_path, splits, copies=(8,), across_site=None, substrings=20)
    assert found == [[(5, "run:earlier", 50, 3)], [(7, "run:earlier", 0, 3)]]


def test_a_passage_of_an_earlier_document_is_cut_out() -> None:
    """The second of two English texts loses the 60 words they share, but for 7 at each end; Chinese keeps all."""
    own = [" ".join(f"{name}{number}" for number in range(40)) for name in ("first", "second", "third", "fourth")]
    shared = " ".join(f"Common{number}" for number in range(60))
    texts = [f"{own[0]} {shared} {own[1]}", f"{own[2]} {shared.lower()}, {own[3]}"]
    for lane, most_left in (("en", 14), ("zh", 60)):
        column = pa.array(texts, pa.large_string())
        keys = pa.array([1, 2], pa.uint64())
        documents = pa.record_batch({"key": keys, "lane": [lane] * 2, "url": pa.array([None, None], pa.string())})
        config = LinesConfig(within_document="off", across_site=None, substrings=20)
        measurer, batch = LineMeasurer(config, fold_variants=True), TextBatch.of(column)
        measured = measurer.measure(documents, batch, measurer.tokenise(documents, batch))
        lines, nobody = pa.Table.from_batches([measured["lines"]]), np.empty(0, np.uint64)
        _, common = count_all(count_split(lines, split=0, copies=nobody), config=config)
        cuts = find_lines(lines, common, copies=nobody)
        kept = np.ones(len(texts[1]), bool)
        for row in cuts.to_pylist():
            assert (row["key"], row["kind"]) == (2, "run:earlier")
            kept[row["start"] : row["end"]] = False
        left = "".join(np.array(list(texts[1]))[kept]).replace(",", "").split()
        assert sum(word.startswith("common") for word in left) <= most_left
        assert [word for word in left if not word.startswith("common")] == f"{own[2]} {own[3]}".split()
        assert (len(left) < 80 + 60) == (lane == "en")


def test_copies_are_the_later_ones_of_pairs(tmp_path: Path) -> None:
    """Of A = B, B = C and D = E the documents B, C and E are copies; no pairs, no copies."""
    assert copy_keys(str(tmp_path)).tolist() == []
    rows = [
        {"key_a": a, "key_b": b, "kind": "exact", "jaccard": 1.0, "containment": 1.0}
        for a, b in ((1, 2), (2, 3), (4, 5))
    ]
    write_parquet(str(tmp_path / "part-00000.parquet"), pa.Table.from_pylist(rows, schema=PAIRS))
    assert copy_keys(str(tmp_path)).tolist() == [2, 3, 5]


def _prose(index: int) -> str:
    return sorted((BASE / "zh").glob("*.txt"))[index].read_text(encoding="utf-8").rstrip()


def _records() -> list[dict[str, str]]:
    """Four pages of one site with a menu and a footer, one of another, one that is hardly more than its footer."""
    menu = "\n".join(MENU)
    pages = [
        {"id": f"page{number}", "url": f"http://news.example.com/{number}.html",
         "text": f"{menu}\n\n{_prose(number)}\n{FOOTER}\n转载请注明来自本站的第{number}页"}
        for number in range(4)
    ]  # fmt: skip
    other = {"id": "other", "url": "https://example.org/a", "text": f"{_prose(5)}\n{FOOTER}"}
    bare = {
        "id": "bare",
        "url": "http://news.example.com/bare",
        "text": f"{FOOTER}\n今天天气很好，我们去公园散步，看见了许多人和花。",
    }
    said = "这句话说了整整两遍，一遍在文章的开头，另一遍在文章的结尾，是模板生成的，没有人会这样写文章。"
    twice = {"id": "twice", "text": f"{said}\n{_prose(6)}\n{said.replace('，', ',')}\n{_prose(7)}"}
    return [*pages, other, bare, twice]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A run of the records in two files; tests only read it, or copies of it."""
    directory = tmp_path_factory.mktemp("lines")
    records = _records()
    for name, rows in (("a", records[:3]), ("b", records[3:])):
        text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
        (directory / f"{name}.jsonl").write_text(text, encoding="utf-8")
    config = CurationConfig(lines=LinesConfig(across_site=3))
    inputs = [str(directory / f"{name}.jsonl") for name in "ab"]
    curate(config, inputs=inputs, out=str(directory / "run"), options=RunnerOptions(workers=1))
    return str(directory / "run")


def _published(run: str) -> dict[str, dict[str, Any]]:
    opened = read_run(run)
    paths = [path for split in (0, 1) if exists(path := opened.part(join("curated", "zh"), split))]
    return {row["id"]: row for path in paths for row in read_parquet(path).to_pylist()}


def test_menu_and_footer_of_a_site_are_cut(run: str) -> None:
    """Published pages of the site have neither, its text and every other line stay; edits say what went."""
    published = _published(run)
    for number in range(4):
        row = published[f"page{number}"]
        assert row["text"] == f"\n{_prose(number)}\n转载请注明来自本站的第{number}页"
        text = _records()[number]["text"]
        assert [(edit["kind"], text[edit["start"] : edit["end"]]) for edit in row["edits"]] == [
            ("paragraph:site", "\n".join(MENU) + "\n"), ("line:site", FOOTER + "\n"),
        ]  # fmt: skip
    assert published["other"]["text"].endswith(FOOTER), "another site"


def test_a_page_that_is_hardly_more_than_its_footer_is_refused(run: str) -> None:
    """Without its footer it is too short, and `why` shows what is left and what was cut."""
    found = explain(run, "bare")
    left = len("今天天气很好，我们去公园散步，看见了许多人和花。")
    assert (found.reasons[0]["reason"], found.reasons[0]["value"]) == ("min_num_chars", left)
    assert [(cut["kind"], cut["start"], cut["end"]) for cut in found.cuts] == [("line:site", 0, len(FOOTER) + 1)]


def test_a_sentence_said_again_is_cut_with_its_line(run: str) -> None:
    """The second one goes though its commas are others, the first stays."""
    row = _published(run)["twice"]
    said = _records()[-1]["text"].splitlines()[0]
    assert row["text"] == f"{said}\n{_prose(6)}\n{_prose(7)}"
    assert [edit["kind"] for edit in row["edits"]] == ["sentence:repeated"]


def test_common_lines_are_counted_for_the_report(run: str) -> None:
    """stats/lines.parquet shows text, site and counts, most documents first; stats/edits.parquet has the cuts."""
    rows = read_parquet(join(run, "stats", "lines.parquet")).to_pylist()
    names = ("kind", "site", "documents", "occurrences", "line", "id")
    assert [tuple(row[name] for name in names) for row in rows] == [
        ("line:site", "news.example.com", 5, 5, FOOTER, "page0"),
        ("paragraph:site", "news.example.com", 4, 4, "\n".join(MENU), "page0"),
    ]  # fmt: skip
    edits: Counter[str] = Counter()
    for row in read_parquet(join(run, "stats", "edits.parquet")).to_pylist():
        edits[row["kind"]] += row["documents"]
    assert {kind: count for kind, count in edits.items() if not kind.startswith("pii")} == {
        "line:site": 4, "paragraph:site": 4, "sentence:repeated": 1,
    }  # fmt: skip


def test_the_bound_changes_without_measuring(run: str, tmp_path: Path) -> None:
    """`decide --set lines.across_site=4` counts again and measures nothing; off, nothing is cut."""
    copied = tmp_path / "run"
    copied.mkdir()
    for path in Path(run).rglob("*"):
        if path.is_file():
            target = copied / path.relative_to(run)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(path.read_bytes())
    summary = redecide(str(copied), overrides={"lines.across_site": 4}, options=RunnerOptions(workers=1))
    assert summary.skipped == ("measure", "pairs")
    assert {edit["kind"] for edit in _published(str(copied))["page0"]["edits"]} == {"line:site"}
    redecide(str(copied), overrides={"lines.across_site": 5}, options=RunnerOptions(workers=1))
    assert _published(str(copied))["page0"]["edits"] == []
    assert np.array_equal(
        read_parquet(join(str(copied), "lines", "part-00000.parquet"))["hash"].to_numpy(),
        read_parquet(join(run, "lines", "part-00000.parquet"))["hash"].to_numpy(),
    )
