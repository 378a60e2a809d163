"""Which sentences prose has; those of the CT-LLM authors are tested with the rule that compares them."""

import pyarrow as pa

from ctllm.pipelines.batch import TextBatch
from ctllm.pipelines.dedup.sentences import Sentences, cut_prose, list_marks


def _cut(*texts: str, min_chars: int = 1) -> tuple[Sentences, list[str]]:
    batch = TextBatch.of(pa.array(texts, pa.large_string()))
    found = cut_prose(batch.codepoints, batch.offsets, marks=list_marks(batch.codepoints), min_chars=min_chars)
    characters = "".join(texts)
    return found, [characters[start:end] for start, end in zip(found.starts_S, found.ends_S, strict=True)]


def test_sentences_end_in_a_mark_and_its_closers() -> None:
    """Full stops, questions, exclamations and ellipses end one; quotes and brackets after them belong to it."""
    text = "他说：“走吧！”她点了点头。真的吗？？（是的。）……\n"
    assert _cut(text)[1] == ["他说：“走吧！”", "她点了点头。", "真的吗？？", "（是的。）……"]


def test_a_full_stop_of_english_stands_before_white_space() -> None:
    """Numbers, addresses and file names are not cut."""
    text = 'Use v1.2 of example.com. "Really?" Yes.\nSee a.txt'
    assert _cut(text)[1] == ["Use v1.2 of example.com.", '"Really?"', "Yes."]


def test_what_has_no_mark_is_no_sentence() -> None:
    """Headings, verse without marks and entries of menus end with their line and are in no sentence."""
    assert _cut("第五章 法律责任\n床前明月光\n疑是地上霜\n首页 新闻 体育\n这是一句话。")[1] == ["这是一句话。"]


def test_short_sentences_are_left_out() -> None:
    """A sentence of exactly the bound is there, one character less is not."""
    assert _cut("一二三四。一二三。", min_chars=5)[1] == ["一二三四。"]


def test_each_text_has_its_own() -> None:
    """Offsets count the sentences of every text, empty ones too."""
    found, sentences = _cut("", "甲。乙。", "丙", "丁！")
    assert found.offsets.tolist() == [0, 0, 2, 2, 3]
    assert sentences == ["甲。", "乙。", "丁！"]
    chosen = found.only(found.starts_S > 0)
    assert (chosen.starts_S.tolist(), chosen.offsets.tolist()) == ([2, 5], [0, 0, 1, 1, 2])
