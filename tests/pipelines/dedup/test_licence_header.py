"""Licence comments above source files."""

import numpy as np
import pyarrow as pa
import pytest

from ctllm.pipelines.batch import TextBatch
from ctllm.pipelines.dedup.licence_header import licence_header_end, licence_headers

BODY = "def area(radius):\n    return 3.14 * radius * radius\n"


@pytest.mark.parametrize(
    "header",
    [
        "# Copyright 2019 Zhang San\n# All rights reserved.\n",
        "#!/usr/bin/env python\n# Licensed under the Apache License, Version 2.0\n",
        "/*\n * (c) 2020 Example\n */",
        "// SPDX-License-Identifier: MIT\n",
        "-- 版权所有 某某公司\n",
        "<!-- licence: MIT -->",
    ],
)
def test_notice_of_a_licence_ends_where_the_code_begins(header: str) -> None:
    """Line and block comments of many languages are seen to their end and no further."""
    assert licence_header_end(header + BODY) == len(header)


def test_a_docstring_below_is_not_the_licence() -> None:
    """A comment ends where its mark does."""
    notice = "# Copyright 2019 Zhang San\n"
    assert licence_header_end(f'{notice}"""Areas."""\n{BODY}') == len(notice)


@pytest.mark.parametrize(
    "text", ["# Area of a circle\n" + BODY, BODY + "# Copyright 2019\n", "", "/* Copyright, and never closed\n" + BODY]
)
def test_other_comments_belong_to_the_file(text: str) -> None:
    """A comment that says what the code does, a notice at the end, an unclosed one, and nothing are left alone."""
    assert licence_header_end(text) == 0


def test_only_code_has_headers() -> None:
    """Of a batch the headers of code are given; prose that begins like one, and code without one, have none."""
    texts = ["// Copyright A\nx = 1\n", "# 版权声明\n正文", "y = 2\n", "# Copyright only\n"]
    batch = TextBatch.of(pa.array(["skipped", *texts], pa.large_string())).slice(1, 5)
    found = licence_headers(batch, is_code=np.array([True, False, True, True]))
    assert [found.head(row, 99) for row in range(len(found))] == ["// Copyright A\n", "", "", "# Copyright only\n"]
    assert not len(licence_headers(batch, is_code=np.zeros(4, bool)).codepoints)


@pytest.mark.parametrize("before", ["", "\n\n", "\t", "\u3000\n", "\xa0"])
def test_white_space_may_stand_before_the_comment(before: str) -> None:
    """Indentation, empty lines and wide spaces above the notice go with it."""
    header = f"{before}/* Copyright 2019 */"
    found = licence_headers(TextBatch.of(pa.array([header + BODY])), is_code=np.ones(1, bool))
    assert found.head(0, 99) == header
