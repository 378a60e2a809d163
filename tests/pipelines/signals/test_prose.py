"""Written-out text is told from titles, entries of menus and footers, line by line."""

import re

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ctllm.pipelines.batch import decode_utf8, text_buffers
from ctllm.pipelines.signals.characters import class_table
from ctllm.pipelines.signals.lines import split_lines
from ctllm.pipelines.signals.prose import measure_prose
from ctllm.pipelines.signals.signs import find_signs

WORDS = "的了是不着著过過也就都很又再还還被把吗嗎呢吧啊没沒无無之乎矣焉哉而何兮若岂豈谁誰那这這她他你"


def measured(texts: list[str]) -> list[tuple[int, float]]:
    """Characters and share of prose of each text."""
    codepoints, offsets = decode_utf8(*text_buffers(pa.array(texts, pa.large_string())))
    classes = class_table()[codepoints]
    lines, signs = split_lines(codepoints, offsets, classes=classes), find_signs(codepoints, offsets)
    signals = measure_prose(codepoints, lines, classes=classes, signs=signs)
    counts, shares = signals["num_prose_chars"].tolist(), signals["prose_share"].tolist()
    return [(int(count), share) for count, share in zip(counts, shares, strict=True)]


def plain(text: str) -> tuple[int, float]:
    """The same with regular expressions."""
    prose = total = 0
    for line in text.split("\n"):
        size = len(re.sub(r"\s", "", line))
        total += size
        stop = re.search(r"[。．；]|(?<=[^0-9])\.(?=\s|$)", line.strip())
        clause = (size >= 20 and re.search(r"[，、]|,(?![0-9])", line)) or re.search("[，、]$", line.strip())
        verse = 4 <= size <= 14 and re.search(f"[{WORDS}]", line) and not re.search("[0-9A-Za-z]", line)
        footer = size <= 120 and re.search("©|copyright|版权所有|版權所有|icp备|rights reserved", line, re.IGNORECASE)
        run = re.search("[\u4e00-\u9fff]{50}", line)
        prose += size * bool((stop or clause or verse or run) and not footer)
    return prose, prose / max(total, 1)


@pytest.mark.parametrize(
    ("line", "is_prose"),
    [
        ("春天来了。", True),
        ("首页 新闻 体育 财经 娱乐", False),
        ("哈登三节打卡贡献37+7+7！火箭轻取上海男篮", False),
        ("他说今天要早一点回家去，因为外面的雨太大了", True),
        ("今天一定要早点回家，外面下雨路难走", False),
        ("我来了", False),
        ("我也来了", True),
        ("谁不是带着伤在时间里流浪呢你", True),
        ("谁不是带着伤在时间里流浪呢你我", False),
        ("我有 2 个的", False),
        ("天" * 50, True),
        ("天" * 49, False),
        ("天" * 25 + " " + "天" * 25, False),
        ("千山鸟飞绝，", True),
        ("本站版权所有，转载必究。", False),
        ("本站版权所有，转载必究。" + "天" * 108, False),
        ("本站版权所有，转载必究。" + "天" * 109, True),
        ("COPYRIGHT 2019 SINA Corp. All.", False),
        ("It rains again.", True),
        ("下载 v1.2.3", False),
        ("沪ICP备02086号。", False),
        ("後綴樹是一種數據結構．", True),
    ],
)
def test_lines_are_told_apart(line: str, is_prose: bool) -> None:
    """Sentences, clauses, verse and unpunctuated runs are prose; titles, entries, versions and footers are not."""
    size = len("".join(line.split()))
    assert measured([line]) == [(size, 1.0) if is_prose else (0, 0.0)]


def test_share_is_of_all_characters_that_are_not_whitespace() -> None:
    """A page of one sentence and as many characters of menu is half prose; nothing at all is none."""
    assert measured(["春天来了。\n首页\n新闻 \n体", "", " \n"]) == [(5, 0.5), (0, 0.0), (0, 0.0)]


@given(st.lists(st.text("天地，、。．；.,a1 \n©版权所有的我了", max_size=40), max_size=6))
def test_kernel_equals_regular_expressions(texts: list[str]) -> None:
    """On random text the kernel gives what plain regular expressions give."""
    assert measured(texts) == [pytest.approx(plain(text)) for text in texts]
