"""Tests of telling source code."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ctllm.pipelines.batch import TextBatch
from ctllm.pipelines.code_language import (
    MIN_CODE_LINES,
    NUM_INSPECTED_CHARS,
    language_of_name,
    language_of_path,
    looks_like_code,
    may_look_like_code,
)

PYTHON = """import os


class Stack:
    def __init__(self):
        self.items = []

    def pop(self):
        if not self.items:
            return None
        return self.items.pop()
"""
C = """/* Licensed under some licence,
 * which says many things in prose.
 */
#include <stdio.h>

int main(void)
{
    int total = 0;
    for (int i = 0; i < 3; i++) {
        total += i;
    }
    return 0;
}
"""
MARKDOWN = """# How to install

* Get the package
* Run the following command, then wait:

    pip install something

It takes a while. When it is done, you can use it; see below.
Most people do not need more than this to get started.
"""
PROSE = "他走进屋里。\n桌上放着一封信；\n“是谁写的？”\n没有人回答。\n窗外下着雨。\n"


@pytest.mark.parametrize(
    ("path", "language"),
    [
        ("src/a.rs", "rust"),
        ("A.PY", "python"),
        ("x/y.tar.c++", None),
        ("Makefile", None),
        ("a.py/readme", None),
        ("notes.md", None),
        (".py", "python"),
    ],
)
def test_the_extension_names_the_language(path: str, language: str | None) -> None:
    """Only the last extension of the file itself counts, in any case; Markdown is no code."""
    assert language_of_path(path) == language


@pytest.mark.parametrize(
    ("name", "language"),
    [
        ("Python", "python"),
        ("C++", "cpp"),
        ("C#", "csharp"),
        (" js ", "javascript"),
        ("zh", None),
        ("en", None),
        ("sh", None),
        ("ts", None),
        ("", None),
    ],
)
def test_a_language_name_is_told_from_a_language_code(name: str, language: str | None) -> None:
    """A record's `lang` may hold either: C++ is code, zh is not, nor are sh (Serbo-Croatian) and ts (Tsonga)."""
    assert language_of_name(name) == language


@pytest.mark.parametrize(
    ("text", "is_code"),
    [(PYTHON, True), (C, True), (MARKDOWN, False), (PROSE, False), ("", False), ("# a\n" * 50, False)],
)
def test_code_is_told_by_its_lines(text: str, is_code: bool) -> None:
    """Programs with and without braces are code; instructions, prose, nothing and comments alone are not."""
    assert looks_like_code(text) is is_code


def test_a_few_lines_tell_nothing() -> None:
    """One line short of the minimum is not called code."""
    assert looks_like_code("x = 1;\n" * MIN_CODE_LINES)
    assert not looks_like_code("x = 1;\n" * (MIN_CODE_LINES - 1))


LINE_STARTS = (
    "def f(x):", "async def f():", "if x:", "for i in y:\t", "else", "from a.b import c", "import os", "return x",
    "self.a", "fn", "end", "end中", "ending", "use a", "let x", "const $a = 1", "a.b[0] += 1", "x\n= 2", "x\n  *= 2x",
    "f(x, (y))", "汉字(一)", "a = b", "a;", "a; // b", "a {", "}", "]);", "#include <a>", "# define x", "#\n\nifdef",
    "#ifdefs", "#pragma中", "# a", "* a", "- a", "-- a", "; a", "// a", "/* a", "@a", "@a(b)", "一。", "Some prose.",
    "", " ", "\u3000", "\xa0x", "(a", "local y", "my", "class\nA:", "with a:", "with a", "a:", "=", "with b\n:",
)  # fmt: skip


def may_be(*texts: str) -> list[bool]:
    """What the kernel says of each text."""
    batch = TextBatch.of(pa.array(texts, pa.large_string()))
    return may_look_like_code(batch, candidates=np.ones(len(texts), bool)).tolist()


@settings(max_examples=400)
@given(st.lists(st.tuples(st.sampled_from(["", "\t", "  "]), st.sampled_from(LINE_STARTS)), min_size=5, max_size=40))
def test_the_prefilter_never_hides_code(lines: list[tuple[str, str]]) -> None:
    """Whatever the regular expressions call code, the kernel lets through to them."""
    text = "\n".join(indent + line for indent, line in lines)
    long = text + "\n" + "# 注释\n" * 300 + text * (NUM_INSPECTED_CHARS // max(len(text), 1))
    for each in (text, long):
        assert may_be(each) == [True] or not looks_like_code(each)


@settings(max_examples=400)
@given(st.text(st.sampled_from("ab=(){};:#/*- \n\t.中defifend@")))
def test_the_prefilter_never_hides_code_in_noise(text: str) -> None:
    """The same of texts that no one would write."""
    assert may_be(text) == [True] or not looks_like_code(text)


def test_prose_does_not_reach_the_regular_expressions() -> None:
    """Chinese and English sentences are told from code by the kernel alone; texts not asked about stay False."""
    assert may_be(PROSE, "We use it for this; it is good (see below).\n" * 9, MARKDOWN, PYTHON) == [
        False,
        False,
        False,
        True,
    ]
    batch = TextBatch.of(pa.array([PYTHON], pa.large_string()))
    assert may_look_like_code(batch, candidates=np.zeros(1, bool)).tolist() == [False]
