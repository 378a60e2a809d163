"""What is measured once per document: one column per signal, the same columns for every lane.

Units of repetition and words: one Han, kana or hangul character, or one run of other letters, marks and digits, is one
*unit*. Punctuation and whitespace separate units. A line is a stripped, non-empty stretch between line feeds.
Shares run from 0 to 1; a share of nothing is 0.
"""

from typing import Any

import pyarrow as pa

_COUNTS = {
    "num_chars": ("code points", "length of the text"),
    "num_bytes": ("bytes", "length of the text in UTF-8"),
    "num_lines": ("lines", "lines that hold more than whitespace"),
    "max_line_chars": ("code points", "longest line"),
    "num_words": ("units", "Han characters and words"),
    "num_prose_chars": ("code points", "characters of written-out lines, see prose_share, whitespace aside"),
    "num_secrets": ("secrets", "keys and tokens: vendors' forms, private keys, random values given to secret names"),
    "is_generated": ("0 or 1", "the first 1,500 bytes say that a program wrote the text"),
    "has_license": ("0 or 1", "the first 1,500 bytes hold words of a licence header"),
}

_LISTS = {
    "url_list": ("category", "1 + number of the first of url_lists.categories that lists the URL; 0 where none does"),
}

_CHARACTER_SHARES = {
    "han_share": "Han characters among characters that are not whitespace",
    "latin_share": "Latin letters among characters that are not whitespace",
    "digit_share": "decimal digits, full-width ones too, among characters that are neither punctuation nor whitespace",
    "punctuation_share": "punctuation, half-width and full-width, among all characters",
    "symbol_share": "symbols (currency, mathematics, arrows, emoji) among all characters",
    "whitespace_share": "whitespace among all characters",
    "alnum_share": "letters and digits of any script among all characters",
    "url_share": "characters of http(s):// and www. links among all characters",
    "hash_share": "`#` and `＃` among all characters",
    "ellipsis_share": "characters in runs of … or of at least three full stops",
    "bracket_share": "characters inside 【】, marks included, at most 200 apart on one line",
    "distinct_char_share": "distinct characters among all characters, whitespace aside; falls with length",
    "replacement_share": "characters of U+FFFD and of mojibake marks such as 锟斤拷, 烫烫烫, Ã©",
}

_SCRIPT_SHARES = {
    "simplified_share": "characters with a traditional form that are written in the simplified one among Han",
    "traditional_share": "characters with a simplified form that are written in the traditional one among Han",
    "kana_share": "kana among letters",
    "hangul_share": "hangul among letters",
    "mixed_share": "letters of other scripts than the one with most letters; Han and kana count as one",
}
"""Of the first 20,000 characters, as the lane is chosen."""

_LINE_SHARES = {
    "short_line_share": "characters in lines under 10 characters that end in no end mark",
    "menu_share": "characters in short pieces between line ends and bars without mark and sentence word",
    "end_mark_line_share": "lines that hold the end of a sentence",
    "bullet_line_share": "lines that start with a bullet",
    "readmore_line_share": "lines that end in a read-more phrase",
    "duplicate_line_share": "characters in lines that stand earlier in the text too",
    "duplicate_paragraph_share": "characters in paragraphs, between blank lines, that stand earlier in the text too",
    "brief_line_share": "lines of at most 30 characters among lines",
    "ellipsis_line_share": "lines that end in … or three full stops among lines",
    "boilerplate_share": "characters in lines of at most 200 with a phrase of footers, cookie notices, log-in, sharing",
    "c4_line_share": "characters in lines with `javascript` or `lorem ipsum`",
}

_PROSE_SHARES = {
    "prose_share": "characters in lines with a full stop, a clause, a verse or an unbroken run, footers aside",
}

_REPETITION_SHARES = {
    **{
        f"top_{n}gram_share": f"largest share of unit characters covered by one repeated {n}-gram of units"
        for n in (2, 3, 4)
    },
    **{
        f"duplicate_{n}gram_share": f"unit characters covered by {n}-grams of units that stand earlier in the text too"
        for n in range(5, 11)
    },
}

_WORD_SHARES = {
    "distinct_word_share": "distinct units among units, letter case folded for ASCII",
    "non_alpha_word_share": "words of digits without a letter among units",
    "upper_case_word_share": "words in capitals among words that begin with two Latin letters",
    "stop_word_share": "function characters (的了是在之其…) and English stop words among units",
    "gambling_share": "unit characters covered by the gambling vocabulary",
    "porn_share": "unit characters covered by the pornography vocabulary",
    "sensitive_share": "unit characters covered by the vocabulary of advertisements and offers of fraud",
    "profanity_share": "unit characters covered by the vocabulary of swear words",
    "custom_share": "unit characters covered by the terms of vocabularies.custom",
}

_CODE_SHARES = {
    "curly_bracket_share": "`{` and `}` among all characters",
    "comment_share": "lines that start as comments (#, //, /*, *, --, ;, <!--) among lines",
    "data_line_share": "lines of digits without a letter but those of hexadecimal numbers among lines",
}

_LANGUAGE_SHARES = {
    "lang_score": "certainty of the language identifier on the first characters; 1 where path or script decide",
}

_QUALITY_SHARES = {
    "quality_score": "probability by the trained classifier of being a good text; null without one and for code",
}

_OVERLAP_SHARES = {
    "benchmark_overlap": "n-grams of the best covered benchmark item that stand in the text",
}

_MEANS = {
    "char_entropy": ("nats", "entropy of the characters that are not whitespace"),
    "mean_line_chars": ("code points", "mean length of lines"),
    "mean_word_chars": ("code points", "mean length of units"),
    "symbols_per_word": ("symbols", "`#` signs and ellipses by units"),
    "mean_code_line_chars": ("code points", "mean length of lines, indentation included"),
}

_CTLLM = {
    "ctllm_bracket_share": ("share", "characters between 【 and 】 on a line, after NFKC"),
    "ctllm_num_sentences": ("sentences", "stretches between . ! … ? ; and quotes"),
    "ctllm_num_chars": ("code points", "length after NFKC"),
    "ctllm_mean_word_chars": ("code points", "mean length of jieba's words, punctuation removed"),
    "ctllm_hash_share": ("share", "runs of `#` by characters"),
    "ctllm_ellipsis_share": ("share", "runs of … or of full stops by characters"),
    "ctllm_digit_share": ("share", "digits among letters, digits and whitespace"),
    "ctllm_readmore_line_share": ("share", "lines that end in a read-more word"),
    "ctllm_bullet_line_share": ("share", "lines that start with a bullet"),
    "ctllm_num_punctuation": ("code points", "ASCII punctuation and …"),
    "ctllm_distinct_char_share": ("share", "distinct characters among characters"),
    "ctllm_char_entropy": ("nats", "entropy of the characters"),
    "ctllm_lang_score": ("share", "score of the likeliest language of the whole text, whichever it is"),
    "ctllm_top_2gram_share": ("share", "(count - 1) · 2 by characters, of the most frequent pair of characters"),
    "ctllm_top_3gram_share": ("share", "(count - 1) · 3 by characters, of the most frequent three characters"),
    "ctllm_top_4gram_share": ("share", "(count - 1) · 4 by characters, of the most frequent four characters"),
}
"""As the CT-LLM authors' filter measures, with marks made ASCII and links removed (`pipelines/signals/ctllm.py`); null
outside the zh lane and where `rules.zh_set` names other rules."""


_SHARES = {
    "language": _LANGUAGE_SHARES,
    "characters": _CHARACTER_SHARES,
    "scripts": _SCRIPT_SHARES,
    "lines": _LINE_SHARES,
    "prose": _PROSE_SHARES,
    "repetition": _REPETITION_SHARES,
    "words": _WORD_SHARES,
    "code": _CODE_SHARES,
    "quality": _QUALITY_SHARES,
    "benchmarks": _OVERLAP_SHARES,
}

SIGNAL_GROUPS: dict[str, tuple[str, ...]] = {
    "lengths": (*_COUNTS, *_MEANS),
    **{group: tuple(names) for group, names in _SHARES.items()},
    "lists": tuple(_LISTS),
    "CT-LLM": tuple(_CTLLM),
}
"""Every measured column under what it is about: how `ctllm why` shows them."""


def _fields() -> list["pa.Field[Any]"]:
    counts = [_field(name, pa.int32(), unit, meaning) for name, (unit, meaning) in (_COUNTS | _LISTS).items()]
    means = [_field(name, pa.float32(), unit, meaning) for name, (unit, meaning) in _MEANS.items()]
    shares = [
        _field(name, pa.float32(), "share", meaning).with_nullable(group is _QUALITY_SHARES)
        for group in _SHARES.values()
        for name, meaning in group.items()
    ]
    ctllm = [_field(name, pa.float32(), unit, meaning).with_nullable(True) for name, (unit, meaning) in _CTLLM.items()]
    return [*counts, *means, *shares, *ctllm]


def _field(name: str, kind: pa.DataType, unit: str, meaning: str) -> "pa.Field[Any]":
    return pa.field(name, kind, nullable=False, metadata={"unit": unit, "meaning": meaning})


SIGNALS = pa.schema(
    [
        pa.field("key", pa.uint64(), nullable=False, metadata={"meaning": "the document's key"}),
        *_fields(),
    ]
)

SIGNAL_NAMES: tuple[str, ...] = tuple(name for name in SIGNALS.names if name != "key")
"""Every measured column, in the order of `SIGNALS`."""
