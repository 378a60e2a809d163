"""What a recipe must say."""

from typing import Any

import pytest

from ctllm.schemas.config import parse_config
from ctllm.schemas.errors import ConfigError
from ctllm.schemas.recipes import CommonCrawlPart, HubPart, Recipe

PART = {"kind": "hf", "name": "a", "dataset": "o/d", "files": ["*"]}
RECIPE: dict[str, Any] = {
    "title": "t", "homepage": "https://x", "languages": ["zh"], "licence": "MIT", "gated": False, "use": "curate",
    "content": "c", "parts": [PART], "checked": "2026-11-25",
}  # fmt: skip


def test_parts_of_both_kinds() -> None:
    """`kind` tells which of the two a part is."""
    crawl = {"kind": "commoncrawl", "name": "b", "crawl": "CC-MAIN-2024-10", "files": "wet"}
    recipe = parse_config(RECIPE | {"parts": [PART, crawl]}, Recipe, origin="r")
    assert [type(part) for part in recipe.parts] == [HubPart, CommonCrawlPart]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"parts": [PART, PART]}, "two have the same name among a, a"),
        ({"parts": []}, "parts"),
        ({"parts": [PART | {"kind": "ftp"}]}, "parts"),
        ({"parts": [PART | {"dataset": "nobody"}]}, "dataset"),
        ({"columns": {"url": "link"}}, "text is missing"),
        ({"columns": {"txt": "content"}}, "columns"),
        ({"homepage": "http://x"}, "homepage"),
        ({"license": "MIT"}, "did you mean licence"),
        ({"checked": "yesterday"}, "checked"),
    ],
)
def test_mistakes_are_named(change: dict[str, Any], message: str) -> None:
    """A recipe that cannot be used says which key is wrong."""
    with pytest.raises(ConfigError, match=message):
        parse_config(RECIPE | change, Recipe, origin="r")
