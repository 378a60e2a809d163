"""The hashing form: token sequences, against a slow plain version."""

import itertools
import unicodedata

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ctllm.pipelines.batch import decode_utf8, text_buffers
from ctllm.pipelines.dedup import hashing_form
from ctllm.pipelines.dedup.fold_table import CJK, CLASS_MASK, CLASS_SHIFT, FOLDED_MASK, LETTER, MARK, SYMBOL, fold_table

MASK = (1 << 64) - 1
COMPOSING = "ae\u0301\u0302\u0323\u0338가\u1100\u1161\u11a8かﾞ㎡℃ﬁ中 ，A…⩴´="


def tokens(texts: list[str], *, code: bool = False, fold_variants: bool = True) -> list[list[int]]:
    """Token hashes of each text."""
    codepoints, offsets = decode_utf8(*text_buffers(pa.array(texts, pa.large_string())))
    is_code = np.full(len(texts), code)
    found, bounds = hashing_form.tokens(codepoints, offsets, is_code=is_code, fold_variants=fold_variants)
    return [found[start:end].tolist() for start, end in itertools.pairwise(bounds)]


def plain_tokens(text: str, *, code: bool) -> list[int]:
    """The same by NFKC over the whole text, strings and Python integers."""
    table = fold_table(fold_variants=True, code=code)
    found: list[int] = []
    word = ""
    for character in [*unicodedata.normalize("NFKC", text), "\n"]:
        value = int(table[ord(character)])
        kind, folded = value >> CLASS_SHIFT & CLASS_MASK, chr(value & FOLDED_MASK)
        if kind == LETTER or (kind == MARK and word):
            word += folded
        elif kind not in (MARK, 1):
            found += [plain_word(word)] if word else []
            found += (
                [plain_mix((ord(folded) << 1 | (kind == CJK)) * 0x9E3779B97F4A7C15)] if kind in (CJK, SYMBOL) else []
            )
            word = ""
    return found


def plain_word(word: str) -> int:
    """Hash of a word."""
    state = 0xCBF29CE484222325
    for character in word:
        state = (state ^ ord(character)) * 0x9E3779B97F4A7C15 & MASK
    return plain_mix(state & ~1)


def plain_mix(raw: int) -> int:
    """The finaliser, which keeps the lowest bit."""
    raw &= MASK
    mixed = (raw ^ raw >> 32) * 0xFF51AFD7ED558CCD & MASK
    return (mixed ^ mixed >> 32) & ~1 | raw & 1


@settings(max_examples=300)
@given(st.lists(st.text(max_size=30), min_size=1, max_size=4), st.booleans())
@example(["⼀㊀＋"], True)
def test_any_unicode_text_has_the_tokens_of_the_plain_version(texts: list[str], code: bool) -> None:
    """Whatever characters stand side by side, in whichever text of a batch, NFKC is applied as if to the whole text."""
    assert tokens(texts, code=code) == [plain_tokens(each, code=code) for each in texts]


@settings(max_examples=300)
@given(st.lists(st.text(COMPOSING, max_size=12), min_size=1, max_size=4), st.booleans())
def test_composing_characters_stay_in_their_text(texts: list[str], code: bool) -> None:
    """Accents, jamo and squared words compose with what stands before them, and never with the text before."""
    assert tokens(texts, code=code) == [plain_tokens(each, code=code) for each in texts]


def test_prose_and_code_in_one_batch_have_the_tokens_they_have_alone() -> None:
    """Which table says what needs NFKC depends on whether there is code beside the text, the tokens do not."""
    texts = ["省略……号⩴㎡´e\u0301", "f(…)⩴\u0338x㎡"]
    codepoints, offsets = decode_utf8(*text_buffers(pa.array(texts, pa.large_string())))
    found, bounds = hashing_form.tokens(codepoints, offsets, is_code=np.array([False, True]), fold_variants=True)
    assert found[: bounds[1]].tolist() == plain_tokens(texts[0], code=False) == tokens(texts[:1])[0]
    assert found[bounds[1] :].tolist() == plain_tokens(texts[1], code=True)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("今天，天气很好。", "今天天气很好"),
        ("今天天\n气 很\u3000好", "今天天气很好"),
        ("ＧＰＴ－４ 面积２０㎡", "gpt 4 面积20m2"),
        ("臺灣的圖書館裡", "台湾的图书馆里"),
        ("Cafe\u0301 in\u00adside", "café inside"),
        ("ｶﾞｲﾄﾞ", "ガイド"),
        ("zero\u200bwidth", "zerowidth"),
    ],
)
def test_form_does_not_count(one: str, other: str) -> None:
    """Punctuation, width, white space, line breaks, case, variants and encoding of accents make no difference."""
    first, second = tokens([one, other])
    assert first == second
    assert first


@pytest.mark.parametrize(("one", "other"), [("15 页", "1 5 页"), ("天气很好", "天气不好"), ("form at", "format")])
def test_words_count(one: str, other: str) -> None:
    """A space within a word or number, or another character, is another text."""
    first, second = tokens([one, other])
    assert first != second


def test_variants_differ_when_folding_is_off() -> None:
    """With `fold_variants: false` traditional and simplified texts are different texts."""
    traditional, simplified = tokens(["圖書館", "图书馆"], fold_variants=False)
    assert traditional[0] != simplified[0]
    assert len(traditional) == 3


def test_code_keeps_operators_and_forgets_white_space() -> None:
    """`a-b` is not `a+b`; indentation and spaces around operators do not matter; `_` belongs to a name."""
    minus, plus, spaced, name = tokens(["x = a-b", "x = a+b", "x=a  -\n\tb", "my_name"], code=True)
    assert minus == spaced
    assert minus != plus
    assert (len(minus), len(name)) == (5, 1)


def test_text_without_words_has_no_tokens() -> None:
    """Empty texts, punctuation and white space only have an empty form, first or last in a batch."""
    assert tokens(["", "！！……", "字", " \n\t", ""]) == [[], [], tokens(["字"])[0], [], []]
    assert tokens([]) == []


@pytest.mark.parametrize("shift", [0, 1, 2, 3, 125, 254])
@pytest.mark.parametrize("code", [False, True])
def test_words_go_on_from_ascii_into_other_text(shift: int, code: bool) -> None:
    """A long text is read in pieces, those of ASCII another way: no word ends or begins at their borders."""
    text = "_" * shift + "a, " * 100 + "Wordcafé中" + "b;c_d " * 60 + "naïve" + "x" * 300 + "中"
    assert tokens([text], code=code) == [plain_tokens(text, code=code)]
