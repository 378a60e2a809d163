"""What measuring stores of lines and sentences, and of which documents."""

from typing import Any

import pyarrow as pa

from ctllm.pipelines.batch import TextBatch
from ctllm.pipelines.dedup.line_tables import LineMeasurer
from ctllm.schemas.curation_config import LinesConfig
from ctllm.schemas.lines import LINE, LINES, PARAGRAPH, REPEATS, RUN

SAID = "国务院自然资源主管部门应当自受理申请之日起三个工作日内将申请材料送国家古生物化石专家委员会。"
CHANGED = SAID.replace("三个", "五个")
OFF: dict[str, Any] = {"within_document": "off", "across_site": None}


def _measured(
    config: LinesConfig, texts: list[str], *, lane: str = "zh", url: str | None = "http://a.example.com/1"
) -> dict[str, pa.RecordBatch]:
    column = pa.array(texts, pa.large_string())
    keys = pa.array(range(len(texts)), pa.uint64())
    documents = pa.record_batch({
        "key": keys, "lane": [lane] * len(texts), "url": pa.array([url] * len(texts), pa.string()), "text": column,
    })  # fmt: skip
    measurer, batch = LineMeasurer(config, fold_variants=True), TextBatch.of(column)
    measured = measurer.measure(documents, batch, measurer.tokenise(documents, batch))
    assert measured["lines"].schema.equals(LINES)
    assert measured["repeats"].schema.equals(REPEATS)
    return measured


def _repeats(texts: list[str], form: str, *, lane: str = "zh", **more: Any) -> list[tuple[int, str, str, str]]:
    """Document, kind, what goes and what stays."""
    rows = _measured(LinesConfig(**{**OFF, "within_document": form, **more}), texts, lane=lane)["repeats"].to_pylist()
    return [
        (row["key"], row["kind"], texts[row["key"]][row["start"] : row["end"]],
         texts[row["key"]][row["first_start"] : row["first_end"]])
        for row in rows
    ]  # fmt: skip


def test_each_form_finds_what_it_says() -> None:
    """`repeated` only what is said again, `similar` a changed word too, `ctllm` short sentences as well, `off` none."""
    text = f"好的。{SAID}\n中间。好的。\n{SAID.replace('，', ',')}\n{CHANGED}\n"
    twice = f"{SAID}\n"
    kept = [(0, "sentence:repeated", twice, SAID)]
    assert _repeats(["", text], "off") == []
    assert _repeats([text], "repeated") == kept
    assert _repeats([text], "similar") == [
        (0, "sentence:similar", twice, SAID), (0, "sentence:similar", f"{CHANGED}\n", SAID),
    ]  # fmt: skip
    assert [row[2] for row in _repeats([text], "ctllm")] == ["好的。", f"\n{SAID}", f"\n{CHANGED}"]


def test_a_sentence_within_a_line_leaves_the_line_break() -> None:
    """Only a sentence that is a whole line takes its line break along; the last line has none."""
    text = f"{SAID}\n是的。{SAID}\n{SAID}\n{SAID}"
    assert [row[2] for row in _repeats([text], "repeated")] == [SAID, f"{SAID}\n", SAID]


def test_shorter_sentences_may_be_said_again() -> None:
    """A refrain of 29 characters stays, of 30 goes; marks do not count."""
    thirty = "一二三四五六七八九十" * 3
    for size, count in ((29, 0), (30, 1)):
        assert len(_repeats([f"{thirty[:size]}，。\n别的。\n{thirty[:size]}，。\n"], "repeated")) == count
    english = "the quick brown fox jumps over the lazy dog and runs away from it."
    assert _repeats([f"{english} {english}"], "repeated", lane="en") == []
    assert len(_repeats([f"{english} {english}"], "repeated", lane="en", min_sentence_tokens=14)) == 1


def test_code_keeps_all_its_lines() -> None:
    """Neither sentences nor lines of code are stored."""
    text = f"{SAID}\n{SAID}\n"
    for form in ("repeated", "similar", "ctllm"):
        assert _repeats([text], form, lane="code") == []
    config = LinesConfig(across_documents=3, substrings=20)
    assert _measured(config, [text, "word " * 100], lane="code")["lines"].num_rows == 0


def test_lines_of_documents_without_site_count_in_the_corpus_only() -> None:
    """Without a URL a line is stored when the corpus is counted, with site 0; www. is the same site."""
    text = f"{SAID}\n第二行也有十个字以上的。\n短\n"
    assert _measured(LinesConfig(), [text], url=None)["lines"].num_rows == 0
    assert _measured(LinesConfig(), [text], url="not an address")["lines"].num_rows == 0
    rows = _measured(LinesConfig(across_documents=9), [text], url=None)["lines"].to_pylist()
    assert [(row["unit"], row["site"], row["start"], row["end"]) for row in rows] == [
        (LINE, 0, 0, len(SAID) + 1), (LINE, 0, len(SAID) + 1, len(SAID) + 14), (PARAGRAPH, 0, 0, len(text)),
    ]  # fmt: skip
    one, other, third = (
        _measured(LinesConfig(), [text], url=url)["lines"].column("site")[0].as_py()
        for url in ("https://www.Example.com/a?b", "http://example.com:80/", "http://news.example.com/")
    )
    assert one == other != third


def test_paragraphs_and_runs_are_stored_when_asked_for() -> None:
    """No paragraphs without `paragraphs`; runs of English documents with `substrings` only."""
    text = f"{SAID}\n第二行也有十个字以上的。\n"
    units = _measured(LinesConfig(paragraphs=False), [text])["lines"].column("unit").to_pylist()
    assert set(units) == {LINE}
    english = " ".join(f"w{number}" for number in range(100))
    config = LinesConfig(**OFF, substrings=20)
    assert set(_measured(config, [english], lane="en")["lines"].column("unit").to_pylist()) == {RUN}
    assert _measured(config, [english])["lines"].num_rows == 0
    assert _measured(LinesConfig(**OFF), [english], lane="en")["lines"].num_rows == 0
