"""`name@version`: what is one and what is a path."""

import pytest

from ctllm.schemas.data_version import parse_reference


@pytest.mark.parametrize(
    ("text", "parsed"),
    [
        ("zh-web@3", ("zh-web", "3")),
        ("a.b_c@2026-11-26.rc1", ("a.b_c", "2026-11-26.rc1")),
        ("zh@dev", ("zh", "dev")),
        ("./zh@3", None),
        ("runs/zh@3", None),
        ("Zh@3", None),
        ("zh@", None),
        ("zh@3@4", None),
        ("zh@../secrets", None),
        ("s3://key@bucket", None),
        ("zh", None),
    ],
)
def test_a_version_is_told_from_a_path(text: str, parsed: tuple[str, str] | None) -> None:
    """A name, an at sign, a version; whatever has a slash is a path, so that a version never leaves its place."""
    assert parse_reference(text) == parsed
