"""The CT-LLM authors' measures: hand-worked texts, and a slow plain twin that counts with regular expressions."""

import collections
import math
import re
import string
import unicodedata

import jieba
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ctllm.pipelines.signals.ctllm import CTLLM_SIGNALS, CtllmMeasurer, rewritten

jieba.setLogLevel(60)

PIECES = ["的", "一个字", "。", "，", "“", "”", "…", "...", "..", ".", "#", "##", "【", "】", "︻", "\n", "\r\n", " ",
          "\u3000", "展开", "更多", "readmore", "•", "–", "①", "Ａ", "１", "٣", "é", "e\u0301", "𠀀", "ﬁ", "＂", "．",
          "￥", "http://a.cn/b", "www.a.com", "main.py", "v2.3.1.4", "_", ";", "!", "１００％"]  # fmt: skip
TEXTS = st.lists(st.sampled_from(PIECES), max_size=60).map("".join) | st.text(max_size=40)


@pytest.fixture(scope="module")
def measurer() -> CtllmMeasurer:
    """One measurer for all tests of this file."""
    return CtllmMeasurer()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("他说：“你好！”然后走了。", '他说:"你好!"然后走了.'),
        ("《书名》、【标题】—～％（一）", "《书名》、【标题】—~%(一)"),
        ("＂直引号＂和．点", "＂直引号＂和．点"),  # not among their 34 marks
        ("使用 Node.js 运行 main.py 即可", "使用  运行  即可"),
        ("版本 v2.3.1.4 已发布", "版本  已发布"),
        ("版本 2.3.1 与 3.14 仍在", "版本 2.3.1 与 3.14 仍在"),
        ("见http://a.cn/b,c?d=1中文", "见,c?d=1中文"),
        ("https://a.cn/(链接", "链接"),
        ("邮箱jubao@vip.sina.com", "邮箱jubao@"),
        ("登录passport.baidu.com，再来", "登录passport,再来"),
        ("特卖Haioo.com好", "特卖Haioo.com好"),
        ("结束。Next sentence", "结束.Next sentence"),
        ("", ""),
    ],
)
def test_marks_become_ascii_and_links_and_names_vanish(text: str, expected: str) -> None:
    """What their filter writes into the training text, and we into a copy: links, file names and versions go."""
    assert rewritten(text) == expected


def measured(measurer: CtllmMeasurer, text: str) -> dict[str, float]:
    """Signals of one text."""
    return {name: float(values[0]) for name, values in measurer.measure([text]).items()}


def test_a_worked_example_has_the_values_counted_by_hand(measurer: CtllmMeasurer) -> None:
    """Three lines of 21 characters hold one of each thing that is counted."""
    found = measured(measurer, "【注】##一1……\n•二。。展开\n三三三三")
    assert found["ctllm_num_chars"] == 25  # NFKC makes each … three full stops
    assert found["ctllm_bracket_share"] == 1 / 25
    assert found["ctllm_hash_share"] == 1 / 21
    assert found["ctllm_ellipsis_share"] == 2 / 21
    assert found["ctllm_num_sentences"] == 3
    assert found["ctllm_num_punctuation"] == 6
    assert found["ctllm_digit_share"] == 1 / 12
    assert found["ctllm_readmore_line_share"] == 1 / 3
    assert found["ctllm_bullet_line_share"] == 1 / 3
    assert found["ctllm_top_2gram_share"] == 2 * 2 / 21


def twin(text: str) -> dict[str, float]:
    """The same from regular expressions and Python strings, but for the language score."""
    before = unicodedata.normalize("NFKC", text)
    plain = rewritten(text)
    normal = unicodedata.normalize("NFKC", plain)
    words = jieba.lcut(re.sub(r"[^\w\s]", "", normal))
    lines = plain.split("\n")
    counts = collections.Counter(normal)
    shares = [count / len(normal) for count in counts.values()]
    kept = re.sub(r"[^\w\s]", "", normal)

    def per_char(amount: float, of: str) -> float:
        return amount / max(len(of), 1)

    def top(size: int) -> float:
        grams = collections.Counter(plain[at : at + size] for at in range(len(plain) - size + 1))
        return per_char((max(grams.values(), default=1) - 1) * size, plain)

    return {
        "ctllm_bracket_share": per_char(sum(map(len, re.findall("【(.*?)】", before))), before),
        "ctllm_num_sentences": sum(1 for part in re.split(r'[.!…?;"]', plain) if part.strip()),
        "ctllm_num_chars": len(normal),
        "ctllm_mean_word_chars": sum(map(len, words)) / max(len(words), 1),
        "ctllm_hash_share": per_char(len(re.findall("#+", plain)), plain),
        "ctllm_ellipsis_share": per_char(len(re.findall(r"…+|\.\.+", plain)), plain),
        "ctllm_digit_share": per_char(sum(each.isdigit() for each in normal), kept),
        "ctllm_readmore_line_share": sum(bool(re.search(r"(readmore|展开|更多)\s*\Z", each)) for each in lines)
        / len(lines),
        "ctllm_bullet_line_share": sum(each.strip()[:1] in set("•‣▶◀◦■□▪▫–●○◆◇★☆►▷") for each in lines) / len(lines),
        "ctllm_num_punctuation": sum(each in string.punctuation or each == "…" for each in plain),
        "ctllm_distinct_char_share": per_char(len(counts), normal),
        "ctllm_char_entropy": -sum(share * math.log(share) for share in shares),
        **{f"ctllm_top_{size}gram_share": top(size) for size in (2, 3, 4)},
    }


@settings(max_examples=300)  # the first call compiles
@given(st.lists(TEXTS, max_size=4))
def test_any_text_measures_as_the_plain_twin_does(measurer: CtllmMeasurer, texts: list[str]) -> None:
    """Every measure but the language score equals its slow plain twin on random Unicode, in any batch."""
    found = measurer.measure(texts)
    assert set(found) == set(CTLLM_SIGNALS)
    for row, text in enumerate(texts):
        expected = twin(text)
        got = {name: found[name][row] for name in expected}
        assert got == pytest.approx(expected, rel=1e-12, abs=1e-12)


def test_the_language_score_is_that_of_the_likeliest_language_on_one_line(measurer: CtllmMeasurer) -> None:
    """Any language scores, Russian too; line feeds are dropped, not made spaces; nothing scores low."""
    russian = "Это обычное предложение на русском языке, которое никто не станет отвергать."
    chinese = "春天的早晨，河边的柳树刚刚发芽。老人提着鱼竿慢慢走来。"
    scores = measurer.measure([russian, chinese, chinese[:9] + "\n" + chinese[9:], ""])["ctllm_lang_score"]
    assert scores[0] > 0.9
    assert scores[1] > 0.4
    assert scores[2] == scores[1]
    assert scores[3] < 0.4


def test_nothing_measures_as_nothing(measurer: CtllmMeasurer) -> None:
    """The empty text and one that is only a link are zero in every measure, never NaN."""
    for values in measurer.measure(["", "http://a.cn/b"]).values():
        assert np.isfinite(values).all()
