"""Tests of repairing text that was read in a wrong charset."""

import io
import json
from pathlib import Path

import pyarrow as pa
import pytest
import zstandard
from hypothesis import example, given
from hypothesis import strategies as st

from ctllm.pipelines.batch import text_buffers
from ctllm.pipelines.mojibake import MIN_WIDE_BYTES, MIN_WIDE_SHARE, may_be_mojibake, repair

ZH = "“他们在这里的工作，”她说，“是为了说明：国家与个人之间的关系……”　１２３、ﬁ。"
HANT = "他們在這裡的工作，是為了說明：國家與個人之間的關係。"


def undone(text: str, steps: str) -> str:
    """The text as it was read, from the recorded steps, as their column's meaning says."""
    for step in reversed(steps.split(", ")):
        read, meant = step.split(">")
        text = text.encode(meant).decode(read)
    return text


@pytest.mark.parametrize(
    ("text", "meant", "read"),
    [
        (ZH, "utf-8", "latin-1"),
        (ZH, "utf-8", "sloppy-windows-1252"),
        (ZH.replace("ﬁ", ""), "gb18030", "latin-1"),
        (ZH.replace("ﬁ", "囧"), "gb18030", "sloppy-windows-1252"),
        (HANT, "big5hkscs", "latin-1"),
        ("L’été dernier, « déjà là », à Noël.", "utf-8", "latin-1"),
        ("Größere Übungen für alle", "utf-8", "sloppy-windows-1252"),
        ("Tiếng Việt là ngôn ngữ của người Việt", "utf-8", "latin-1"),
    ],
)
def test_what_was_read_wrong_is_read_right(text: str, meant: str, read: str) -> None:
    """The text comes back to the letter, wide punctuation, quotes and ligatures too; the steps lead back."""
    wrong = text.encode(meant).decode(read)
    repaired = repair(wrong)
    assert repaired is not None
    assert repaired.text == text
    assert repaired.steps == f"{read}>{meant}"
    assert undone(repaired.text, repaired.steps) == wrong


def test_utf8_read_as_gbk_is_read_right_where_no_byte_is_lost() -> None:
    """锛 and 鐨 tell it; with a lost byte there is no way back, and the text stays for the rules to judge."""
    text = "国家的，个人的"  # 7 characters of 3 bytes: an odd byte is left over
    assert repair(text.encode().decode("gb18030", "replace")) is None
    text += "，"
    repaired = repair(text.encode().decode("gb18030"))
    assert repaired == (text, "gb18030>utf-8")
    assert undone(*repaired) == text.encode().decode("gb18030")


def test_what_went_wrong_twice_is_put_right_twice() -> None:
    """Both rounds are undone and recorded."""
    wrong = ZH.encode().decode("latin-1").encode().decode("latin-1")
    repaired = repair(wrong)
    assert repaired == (ZH, "latin-1>utf-8, latin-1>utf-8")
    assert undone(*repaired) == wrong


@pytest.mark.parametrize(
    "text",
    [
        "", "plain ASCII", ZH, HANT,
        "L’été dernier, où étaient-ils ? « Déjà là », répondit-elle à Noël. ÉÈÀ Ç ñ ÿ",
        "Über größere Mühen äußerte sich Frau Jäger höchst ärgerlich: „Öl, Äpfel, Straße.“",
        "Tiếng Việt là ngôn ngữ của người Việt và là ngôn ngữ chính thức tại Việt Nam.",
        "ÀÉÎÕÜ ÀÉÎÕÜ ÅÄÖ ÆØÅ ŒÇ «ÉTÉ» ÇA ÉTAIT À L’ÉCOLE DES ÂMES",
        "naïve café — 10 °C, 5 µm, ½ ±3 × 4 ÷ 2, © 2020 ® ™ €5 £6 ¥7 §8 ¶ · ¿Qué? ¡Sí!",
        "Þetta er íslenska: æ, ö, ð, þ, ý. Þórður á Ísafirði.",
        "The word café shows up as cafÃ© when UTF-8 is read as Latin-1.",
        "读取失败：锟斤拷锟斤拷锟斤拷，烫烫烫，锛欙级",
        ZH + ZH.encode().decode("latin-1"),
    ],
)  # fmt: skip
def test_right_text_and_half_wrong_text_stay(text: str) -> None:
    """French, German, Vietnamese, symbols, quoted and irreversible mojibake are left as they are."""
    assert repair(text) is None


def test_a_few_wide_bytes_are_not_enough_for_chinese() -> None:
    """Ten characters are needed to take Western letters for GBK; nine could be a foreign name."""
    text = "的" * (MIN_WIDE_BYTES // 2)
    assert repair(text.encode("gbk").decode("latin-1")) == (text, "latin-1>gb18030")
    assert repair(text[1:].encode("gbk").decode("latin-1")) is None
    assert repair(text.encode("gbk").decode("latin-1") + "x" * 46) == (text + "x" * 46, "latin-1>gb18030")
    assert repair(text.encode("gbk").decode("latin-1") + "x" * 47) is None  # 20 of 67 bytes


@given(st.text(max_size=60))
def test_every_repair_can_be_undone(text: str) -> None:
    """Whatever is repaired comes back by its recorded steps; nothing raises."""
    if repaired := repair(text):
        assert undone(repaired.text, repaired.steps) == text


@given(st.text(st.characters(max_codepoint=0xFF), max_size=60))
def test_every_repair_of_western_characters_can_be_undone(text: str) -> None:
    """The same where nearly every text is suspect."""
    if repaired := repair(text):
        assert undone(repaired.text, repaired.steps) == text


@pytest.mark.private_data
@pytest.mark.parametrize(
    "corpus", ["open/zh_docs", "open/en_docs", "restricted/web_en", "open/code", "restricted/zh_corpus_samples"]
)
def test_no_real_text_is_repaired(private_data: Path, corpus: str) -> None:
    """Of 10,273 articles, laws, novels, web texts and programs none is taken for mojibake."""
    with (private_data / f"{corpus}.jsonl.zst").open("rb") as file:
        lines = io.TextIOWrapper(zstandard.ZstdDecompressor().stream_reader(file), encoding="utf-8")
        assert [row["id"] for row in map(json.loads, lines) if repair(row["text"])] == []


@given(st.lists(st.text("aé“中，的ä¸­ï¼ Ã©锛銆鐨鈥\n", max_size=60)), st.sampled_from(["latin-1", "cp1252", "gb18030"]))
def test_the_prefilter_never_hides_mojibake(texts: list[str], read: str) -> None:
    """Whatever `repair` changes, the kernel lets through; plain texts, one quote or accent amid ASCII, it does not."""
    broken = [text.encode().decode(read, "ignore") for text in texts]
    broken += [text.encode("gb18030", "ignore").decode("latin-1") for text in texts]
    every = [*texts, *broken]
    suspects = may_be_mojibake(*text_buffers(pa.array(every, pa.large_string())))
    for text, is_suspect in zip(every, suspects, strict=True):
        assert is_suspect or repair(text) is None
    plain = pa.array(["中文，é", "plain", "It’s a “café” here.", ""], pa.large_string())
    assert may_be_mojibake(*text_buffers(plain)).tolist() == [False] * 4


def looks_western(text: str) -> bool:
    """The rule of the prefilter, character by character: only Western ones, and the wide ones in runs or in numbers."""
    if any(0x800 <= ord(char) < 0x2000 or ord(char) >= 0x3000 for char in text):
        return False
    wide = [False, *(char > "\x7f" for char in text), False]
    has_lone = any(
        here and not (before or after) for before, here, after in zip(wide, wide[1:], wide[2:], strict=False)
    )
    is_numerous = sum(wide) >= max(MIN_WIDE_BYTES, MIN_WIDE_SHARE * len(text))
    return any(wide) and (is_numerous or not has_lone)


@given(
    st.lists(
        st.text("ab é’\u07ff\u0800\u1fff\u2fff\u3000😀", max_size=9) | st.text("aÃ’\u07ff", max_size=90), max_size=20
    )
)
@example(["a߿" * 20 + "a" * 26, "a߿" * 20 + "a" * 27])  # 20 of 66 characters are three in ten, of 67 they are not
def test_the_prefilter_is_the_rule_for_western_characters(texts: list[str]) -> None:
    """At both ends of a text, for characters of two bytes and of three, and with as many wide ones as are numerous."""
    suspects = may_be_mojibake(*text_buffers(pa.array(texts, pa.large_string())))
    assert suspects.tolist() == [looks_western(text) for text in texts]
