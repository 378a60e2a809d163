"""Tests of telling source code."""

import pytest

from ctllm.pipelines.code_language import MIN_CODE_LINES, language_of_name, language_of_path, looks_like_code

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
