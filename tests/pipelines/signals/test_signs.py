"""The list of signs holds what signals ask for, and where."""

import re

import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from ctllm.pipelines.batch import decode_utf8, text_buffers
from ctllm.pipelines.signals import signs
from ctllm.pipelines.signals.signs import find_signs

PATTERNS = {
    signs.STOP: "[。．；]", signs.COMMA: "[，、]", signs.FULL_STOP: r"\.", signs.ASCII_COMMA: ",", signs.HASH: "[#＃]",
    signs.CURLY: "[{}]", signs.ELLIPSIS: "[…⋯]", signs.RIGHTS: "[©版]", signs.BRACKET: "[【】]",
    signs.PAIR: "[wW/.。](?=[wW/.。])", signs.CAPITAL: "(?<![A-ZÉＢ])[A-ZÉＢ](?=[A-ZÉＢ])",
    signs.NUMBER: "(?<![0-9１])[0-9１]",
    signs.BEGINS_FOOTER & ~signs.RIGHTS: "[rR](?=[iI])|[iI](?=[cC])|[cC](?=[oO])",
}  # fmt: skip
END = "一"  # between texts: a pair may end in the next, which only the signals that ask for it need to see


@settings(max_examples=300)
@given(st.lists(st.text("汉字。．；，、.,#＃{}…⋯©版【】wW/ABÉＢ12１rRiIcCoOx \n", max_size=40), max_size=4))
def test_every_sign_is_listed_as_what_it_is(texts: list[str]) -> None:
    """Places, kinds and the signs of each text against regular expressions, text after text."""
    texts = [text + END for text in texts]
    codepoints, offsets = decode_utf8(*text_buffers(pa.array(texts, pa.large_string())))
    found = find_signs(codepoints, offsets)
    for row, text in enumerate(texts):
        part = slice(found.offsets[row], found.offsets[row + 1])
        places, kinds = (found.places[part] - offsets[row]).tolist(), found.kinds[part].tolist()
        for bits, pattern in PATTERNS.items():
            expected = [match.start() for match in re.finditer(pattern, text)]
            assert [place for place, kind in zip(places, kinds, strict=True) if kind & bits] == expected, (
                text,
                pattern,
            )
