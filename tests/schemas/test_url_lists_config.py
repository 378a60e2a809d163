"""Lists of URLs: none by default, and categories of no list are refused."""

import pytest

from ctllm.schemas.config import parse_config
from ctllm.schemas.errors import ConfigError
from ctllm.schemas.url_lists_config import UrlListsConfig


def test_nothing_is_listed_by_default() -> None:
    """No list comes with ctllm. What a path holds, and whether a category of it is named, is seen later."""
    assert UrlListsConfig() == UrlListsConfig(paths=(), categories=())
    assert UrlListsConfig(paths=("lists/adult.txt",)).categories == ()


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"categories": ["adult"]}, "categories without paths list nothing; name a path"),
        ({"paths": ["a"], "categories": ["adult", "ads", "adult"]}, "categories names one twice"),
        ({"path": ["a"]}, r"path: unknown key; did you mean paths\?"),
    ],
)
def test_what_cannot_be_meant_is_said(given: dict[str, object], said: str) -> None:
    """Before any list is read."""
    with pytest.raises(ConfigError, match=rf"u\.yaml, .*{said}"):
        parse_config(given, UrlListsConfig, origin="u.yaml")
