"""Which addresses are one."""

import re

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ctllm.pipelines.dedup import url_identity as module
from ctllm.pipelines.dedup.url_identity import identity, url_signatures

PAGE = "http://example.org/news/1?id=2&page=3"
OTHER_PAGES = (
    "http://example.org/news/1?id=2&page=4",
    "http://example.org/news/1",
    "http://example.org/News/1?id=2&page=3",
    "http://www.example.org/news/1?id=2&page=3",
    "http://example.org:8080/news/1?id=2&page=3",
    "http://example.org/news/1/?id=2&page=3",
    "http://example.com/news/1?id=2&page=3",
    "http://example.org/news%2F1?id=2&page=3",
    "http://example.org/news/1?id=2%26page=3",
)


@pytest.mark.parametrize("spelling", [
    "https://example.org/news/1?id=2&page=3",
    "HTTP://EXAMPLE.org/news/1?id=2&page=3",
    "http://example.org:80/news/1?id=2&page=3",
    "https://example.org:443/news/1?id=2&page=3",
    "http://example.org./news/1?id=2&page=3#comments",
    "//example.org/news/1?id=2&page=3",
    " http://reader:word@example.org/news/1?id=2&page=3 ",
    "http://example.org/n%65ws/1?id=2&page=3",
])  # fmt: skip
def test_spellings_of_an_address_are_one(spelling: str) -> None:
    """Scheme, case of the host, default port, fragment, user and needless encoding do not make another page."""
    assert identity(spelling) == identity(PAGE)


@pytest.mark.parametrize("other", OTHER_PAGES)
def test_another_path_query_host_or_port_is_another_page(other: str) -> None:
    """Nothing that a server may answer with another page is folded."""
    assert identity(other) != identity(PAGE)


def test_chinese_path_is_one_however_it_is_encoded() -> None:
    """Raw characters, and percent-encoded ones in either case."""
    spellings = {"https://example.org/词条/茶", "http://example.org/%E8%AF%8D%E6%9D%A1/%e8%8c%b6"}
    assert len({identity(each) for each in spellings}) == 1
    assert identity("http://example.org") == identity("http://example.org/")


@given(st.from_regex(r"(https?:)?//[aB.-]{1,3}(:80?)?[a/?#%4@é ]{0,5}", fullmatch=True))
def test_most_addresses_need_no_parsing(url: str) -> None:
    """Those that are taken as they stand are what parsing makes of them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_PLAIN", re.compile("(?!)"))
        parsed = identity(url)
    assert identity(url) == parsed


def test_signature_is_of_the_address_and_none_without_one() -> None:
    """Documents without URL have 0 in both halves, so that they are never of one page."""
    urls = [PAGE, "https://example.org/news/1?id=2&page=3", None, "", *OTHER_PAGES, "report-7"]
    high, low = url_signatures(pa.array(urls, pa.string()))
    pairs = list(zip(high.tolist(), low.tolist(), strict=True))
    assert pairs[0] == pairs[1]
    assert pairs[2] == pairs[3] == (0, 0)
    assert len(set(pairs)) == len(urls) - 2
