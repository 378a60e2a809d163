"""Line signals equal a slow plain version, and tell menus from verse, dialogue and tables."""

import re
from collections.abc import Iterator

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ctllm.pipelines.batch import decode_utf8, text_buffers
from ctllm.pipelines.signals.characters import BULLETS, CLOSERS, END_MARKS, class_table
from ctllm.pipelines.signals.lines import READMORE_PHRASES, SHORT_LINE_CHARS, hash_lines, measure_lines, split_lines

TEXT = st.text(st.sampled_from("汉字的a1 \t\n\n。.!？”）)，•-展开更多Rr|ead more\u3000😀𠀀"), max_size=80)


def measured(text: str) -> dict[str, float]:
    """Signals of one text by name."""
    codepoints, offsets = decode_utf8(*text_buffers(pa.array([text], pa.large_string())))
    classes = class_table()[codepoints]
    lines = split_lines(codepoints, offsets, classes=classes)
    signals = measure_lines(codepoints, lines, classes=classes, hashes=hash_lines(codepoints, lines))
    return {name: float(values[0]) for name, values in signals.items()}


def ends_inside(line: str) -> Iterator[bool]:
    """For each character whether it is an end mark that ends a sentence."""
    for mark, following in zip(line, [*line[1:], " "], strict=True):
        yield mark in END_MARKS and (mark > "\x7f" or following.isspace() or following in CLOSERS)


def plain(text: str) -> dict[str, float]:
    """The same shares with Python strings."""
    lines = [line.strip() for line in text.split("\n") if line.strip()]
    num_lines, num_chars = max(len(lines), 1), max(sum(map(len, lines)), 1)
    closed = re.compile(f"[{re.escape(END_MARKS)}][{re.escape(CLOSERS)}\\s]*$")
    short = [
        line for line in lines if len(line) < SHORT_LINE_CHARS and not closed.search(line.rstrip(CLOSERS + " \t\u3000"))
    ]
    return {
        "num_lines": len(lines),
        "mean_line_chars": sum(map(len, lines)) / num_lines,
        "short_line_share": sum(map(len, short)) / num_chars,
        "end_mark_line_share": sum(any(ends_inside(line)) for line in lines) / num_lines,
        "bullet_line_share": sum(line[0] in BULLETS for line in lines) / num_lines,
        "readmore_line_share": sum(line.lower().endswith(READMORE_PHRASES) for line in lines) / num_lines,
        "duplicate_line_share": sum(len(line) for i, line in enumerate(lines) if line in lines[:i]) / num_chars,
    }


@given(TEXT)
def test_line_signals_equal_a_plain_python_version(text: str) -> None:
    """Counts and shares of lines are what splitting Python strings gives."""
    signals = measured(text)
    menu_share = signals.pop("menu_share")
    assert signals == pytest.approx(plain(text), abs=1e-12)
    assert 0 <= menu_share <= 1


@pytest.mark.parametrize(
    ("text", "least"),
    [
        ("首页\n新闻\n体育\n财经\n关于我们\n联系我们\n网站地图", 1.0),
        ("首页 | 新闻 | 体育 | 财经 | 关于我们", 1.0),
        ("首頁 新聞 體育 財經 關於我們 聯絡我們", 0.9),
        ("首页 > 国内新闻 > 财经", 1.0),
        ("Home | News | 登录", 1.0),
    ],
)
def test_navigation_is_menu(text: str, least: float) -> None:
    """Entries count however they are separated: by lines, bars, arrows or gaps between Han characters."""
    assert measured(text)["menu_share"] >= least


@pytest.mark.parametrize(
    ("text", "most"),
    [
        ("床前明月光，\n疑是地上霜。\n举头望明月，\n低头思故乡。", 0.0),
        ("风起的时候\n我在窗前坐着\n把没有写完的信\n又读了一遍", 0.0),
        ("“走吗？”\n“走。”\n“去哪里？”", 0.0),
        ("| 姓名 | 年龄 |\n| --- | --- |\n| 张三 | 三十 |\n这张表列出了全部参加的人员。", 0.5),
        ("在 Linux 上用 Python 3 写脚本时，建议使用 UTF-8 编码。", 0.0),
    ],
)
def test_short_lines_with_marks_or_function_words_are_no_menu(text: str, most: float) -> None:
    """Verse, dialogue, tables and mixed prose are not taken for navigation."""
    assert measured(text)["menu_share"] <= most


def test_a_page_without_text_has_no_lines() -> None:
    """Empty and blank texts measure as nothing, not as an error."""
    assert set(measured("").values()) == set(measured(" \n\t\n").values()) == {0.0}
