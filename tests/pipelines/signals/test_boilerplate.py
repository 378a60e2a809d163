"""Lines of footers, cookie notices and log-in are found; texts about these things are not."""

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ctllm.pipelines.batch import decode_utf8, text_buffers
from ctllm.pipelines.signals.boilerplate import BOILERPLATE_PHRASES, MAX_LINE_CHARS, BoilerplateIndex
from ctllm.pipelines.signals.characters import class_table
from ctllm.pipelines.signals.lines import split_lines
from ctllm.pipelines.signals.words import split_units

INDEX = BoilerplateIndex()


def measured(texts: list[str]) -> list[tuple[float, float]]:
    """Boilerplate share and share of C4's lines of every text, measured as one batch."""
    codepoints, offsets = decode_utf8(*text_buffers(pa.array(texts, pa.large_string())))
    classes = class_table()[codepoints]
    lines, units = (split(codepoints, offsets, classes=classes) for split in (split_lines, split_units))
    found = INDEX.measure(lines, units)
    return list(zip(found["boilerplate_share"].tolist(), found["c4_line_share"].tolist(), strict=True))


@pytest.mark.parametrize(
    "line",
    [
        "Copyright © 2019 某某网 版权所有",
        "沪ICP备05012345号-1",
        "京公网安备 11010802012345号",
        "登录 | 注册",
        "登錄 | 註冊",
        "© 2020 Acme Ltd. ALL RIGHTS RESERVED.",
        "This site uses cookies. By continuing to browse it you agree to our use of cookies.",
        "Privacy Policy · Terms of Use",
    ],
)
def test_lines_of_every_page_are_boilerplate(line: str) -> None:
    """In either script and case; the text around them is not."""
    assert measured([line]) == [(1.0, 0.0)]
    ((share, _),) = measured([f"今天下了一场雨，河水涨了。\n{line}\nThe rain went on until Friday."])
    assert share == pytest.approx(len(line) / (13 + len(line) + 30))


def test_only_lines_up_to_200_characters_count() -> None:
    """A longer line is a text about cookies; C4's words count in any line."""
    notice = "privacy policy " + "x" * (MAX_LINE_CHARS - 15)
    assert measured([notice, notice + "x"]) == [(1.0, 0.0), (0.0, 0.0)]
    assert measured(["JavaScript " * 40, "Lorem ipsum\nof rain"]) == [(0.0, 1.0), (0.0, 11 / 18)]


def test_a_phrase_stands_in_one_line() -> None:
    """What only the end of one line and the beginning of the next make is no phrase."""
    assert measured(["版权\n所有", "all rights\nreserved", ""]) == [(0.0, 0.0)] * 3


PIECES = st.sampled_from(["版权所有", "版权", "所有", "login", "javascript", "雨", "the", "é", "7"])
PAGES = st.lists(st.lists(st.lists(PIECES, max_size=4).map(" ".join), max_size=4), max_size=4)


@given(PAGES)
def test_shares_equal_a_plain_search(pages: list[list[str]]) -> None:
    """Lines of several texts against looking for every phrase in the words of each line."""
    expected = []
    for page in pages:
        lines = [line.strip() for line in page]
        held = {
            kind: [any(phrase in line.replace("版权 所有", "版权所有") for phrase in phrases) for line in lines]
            for kind, phrases in (("boilerplate", BOILERPLATE_PHRASES), ("c4", ("javascript",)))
        }
        total = max(sum(map(len, lines)), 1)
        expected.append(
            tuple(sum(len(line) for line, has in zip(lines, held[kind], strict=True) if has) / total for kind in held)
        )
    found = measured(["\n".join(page) for page in pages])
    assert sum(found, ()) == pytest.approx(sum(expected, ()))
