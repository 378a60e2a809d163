"""Words are counted as jieba counts them, which is the oracle here."""

import json
from pathlib import Path

import jieba
import pyarrow as pa
import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from ctllm.pipelines.batch import decode_utf8, text_buffers
from ctllm.pipelines.signals.jieba_words import count_jieba_words

jieba.setLogLevel(60)

PIECES = [*"的一不是了在人有我他这中国大来上年时分到出可也要", "北京大学", "研究生命", "v1.25%", "3.", "12.5%",
          "a-b_c", "\r\n", "\r", "\n", " ", "\u3000", "，", "…", "龦", "鿕", "鿖", "㐀", "𠀀", "々", "〇", "é", "Ａ",
          "٣"]  # fmt: skip


def count(texts: list[str]) -> list[int]:
    """What the product counts."""
    return count_jieba_words(*decode_utf8(*text_buffers(pa.array(texts, pa.large_string())))).tolist()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "我来到北京清华大学",
        "小明硕士毕业于中国科学院计算所，后在日本京都大学深造",
        "他来到了网易杭研大厦",  # 杭研 is in no dictionary: the model finds it
        "工信处女干事每月经过下属科室都要亲口交代24口交换机等技术性器件的安装工作",
        "版本 v1.25% 与 3.\r\n\r\n第二行\t，。！",
        "乒乓球拍卖完了" * 50,
        "龘靐齉爩麤灪",  # rare characters that the model never emits
    ],
)
def test_sentences_have_as_many_words_as_jieba_cuts(text: str) -> None:
    """Known sentences, numbers, line ends and rare characters."""
    assert count([text]) == [len(jieba.lcut(text))]


@settings(max_examples=300)  # the first call compiles
@given(st.lists(st.lists(st.sampled_from(PIECES), max_size=40).map("".join) | st.text(max_size=30), max_size=4))
def test_any_texts_have_as_many_words_as_jieba_cuts(texts: list[str]) -> None:
    """Whatever Unicode throws at it, alone or in a batch."""
    assert count(texts) == [len(jieba.lcut(text)) for text in texts]


@settings(max_examples=200)
@given(st.text(st.characters(min_codepoint=0x4E00, max_codepoint=0x9FD5), max_size=60))
def test_random_han_has_as_many_words_as_jieba_cuts(text: str) -> None:
    """Random characters, which hardly any dictionary word fits, exercise the model."""
    assert count([text]) == [len(jieba.lcut(text))]


@pytest.mark.private_data
def test_real_documents_have_as_many_words_as_jieba_cuts(private_data: Path) -> None:
    """Every tenth of the Chinese documents, Markdown and classical texts among them."""
    with (private_data / "open" / "zh_docs.jsonl.zst").open("rb") as file:
        lines = zstandard.ZstdDecompressor().stream_reader(file).read().splitlines()
    texts = [json.loads(line)["text"][:5000] for line in lines[::10]]
    assert len(texts) > 300
    assert count(texts) == [len(jieba.lcut(text)) for text in texts]
