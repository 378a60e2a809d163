"""Addresses are compared by label and by path segment, whatever the way they are written."""

import re
from urllib.parse import unquote, urlsplit

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ctllm.pipelines.batch import text_buffers
from ctllm.pipelines.url_keys import BLANK, UNUSABLE, USABLE, bit_filter, entry_numbers, smallest_codes


def states_of(*lines: str) -> list[int]:
    """What each line is taken for."""
    data, offsets = text_buffers(pa.array(lines))
    return entry_numbers(data, offsets[:-1], offsets[1:])[1].tolist()


def is_listed(entry: str, *urls: str) -> list[bool]:
    """Whether a list of the one `entry` holds each URL."""
    data, offsets = text_buffers(pa.array([entry]))
    numbers, states = entry_numbers(data, offsets[:-1], offsets[1:])
    assert states.tolist() == [USABLE]
    data, offsets = text_buffers(pa.array(urls))
    codes = smallest_codes(data, offsets, numbers=numbers, codes=np.ones(1, np.int32), bits=bit_filter(numbers))
    return [bool(code) for code in codes]


@pytest.mark.parametrize(
    "url",
    [
        "http://evil.example",
        "https://EVIL.example/",
        "//evil.example/a/b?c#d",
        "evil.example",
        "ftp://user:pass@www.evil.example:8080/x",
        "http://evil.example./",
        "http://a.b.evil.example?x=1",
        "http://evil.example#top",
        "  http://evil.example/ ",
    ],
)
@pytest.mark.parametrize("entry", ["evil.example", "www.evil.example", ".Evil.Example.", "http://evil.example:80/"])
def test_a_domain_lists_itself_and_all_below_it(entry: str, url: str) -> None:
    """Scheme, user, port, www., case, closing dot, path, query and fragment make no difference."""
    assert is_listed(entry, url) == [True]


@pytest.mark.parametrize(
    "url",
    [
        "http://notevil.example/",
        "http://evil.example.com/",
        "http://example/",
        "http://good.example/evil.example/",
        "http://good.example/?to=http://evil.example/",
        "http://evil.example@good.example/",
        "http://evil.exampl/",
        "",
        "http://",
        "evil",
    ],
)
def test_a_domain_lists_nothing_that_only_looks_like_it(url: str) -> None:
    """A name that holds the listed one as letters, in its path or as a user is another address."""
    assert is_listed("evil.example", url) == [False]


@pytest.mark.parametrize("entry", ["例子.测试", "xn--fsqu00a.xn--0zwm56d", "XN--FSQU00A.测试", "例子。测试"])
def test_punycode_and_unicode_hosts_are_one(entry: str) -> None:
    """An entry in either form lists addresses in either form, percent-encoded ones too."""
    urls = [
        "http://例子.测试/a",
        "http://www.xn--fsqu00a.xn--0zwm56d:80/",
        "http://%E4%BE%8B%E5%AD%90.测试",
        "http://子.测试",
    ]
    assert is_listed(entry, *urls) == [True, True, True, False]


def test_full_width_letters_in_a_host_are_letters() -> None:
    """Browsers open ｅｖｉｌ.example as evil.example, with user and port as well."""
    assert is_listed("evil.example", "http://me@ｅｖｉｌ.example:80/x", "http://ｅｖｉl.exampleｘ/") == [True, False]


def test_a_path_lists_itself_and_all_below_it_by_whole_segments() -> None:
    """/casino lists /casino/ and /casino?page=2, not /casinos and not the other pages of the host."""
    urls = ["/casino", "/casino/", "//casino/x.html", "/casino?page=2", "/casino#top", "/c%61sino"]
    others = ["", "/", "/casinos", "/Casino", "/x/casino", "/casin"]
    for entry in ("a.example/casino", "http://www.a.example/casino/"):
        assert is_listed(entry, *(f"https://a.example{url}" for url in urls)) == [True] * len(urls)
        assert not any(is_listed(entry, *(f"https://a.example{url}" for url in others)))
    assert is_listed("a.example/casino", "http://b.a.example/casino", "http://example/casino") == [False, False]


def test_a_query_lists_what_adds_to_it() -> None:
    """Entries with a query compare by whole parameters."""
    urls = ["http://a.example/p?id=3", "http://a.example/p?id=3&x=1", "http://a.example/p?id=31", "http://a.example/p"]
    assert is_listed("a.example/p?id=3", *urls) == [True, True, False, False]


def test_an_ip_address_has_no_domain_above_it() -> None:
    """10.0.0.1 is not below 0.0.1, and IPv6 addresses keep their colons."""
    assert is_listed("0.0.1", "http://10.0.0.1/") == [False]
    assert is_listed("10.0.0.1", "http://10.0.0.1:81/x", "http://1.10.0.0.1/") == [True, False]
    assert is_listed("[2001:db8::1]", "http://[2001:DB8::1]:80/", "http://[2001:db8::2]/") == [True, False]


def test_a_top_level_domain_below_www_stays() -> None:
    """www.example is a name of its own: without www. all of .example would be listed."""
    assert is_listed("www.example", "http://www.example/", "http://evil.example/") == [True, False]


def test_lines_are_entries_comments_or_unusable() -> None:
    """Words, tables, hosts files and JSON are told from entries."""
    assert states_of("a.example", "a.example/x  # why", "http://a.example\r") == [USABLE] * 3
    assert states_of("", "   ", "# a list", "\r") == [BLANK] * 4
    lines = ["word", "0.0.0.0 a.example", "1,a.example", '{"url": "a.example"}', "/path", "*.a.example", "http://"]
    assert states_of(*lines) == [UNUSABLE] * len(lines)


LABELS = st.sampled_from(["a", "b", "www", "evil", "notevil", "com", "cn", "x-1"])
HOSTS = st.lists(LABELS, min_size=2, max_size=5).map(".".join)
PATHS = st.lists(st.sampled_from(["", "a", "b", "ab", "a%62", "ü"]), max_size=4).map("/".join)
URLS = st.builds(
    lambda scheme, user, host, port, path: f"{scheme}{user}{host}{port}/{path}",
    st.sampled_from(["http://", "https://", "//", ""]),
    st.sampled_from(["", "", "me@"]),
    HOSTS,
    st.sampled_from(["", ":80", "."]),
    PATHS,
)


def plain_twin(entry: str, url: str) -> bool:
    """The rule again, with the standard library's parser and lists of labels and segments."""

    def parts(address: str) -> tuple[list[str], list[str]]:
        found = urlsplit(address if re.match(r"(\w+:)?//", address) else f"//{address}")
        labels = (found.hostname or "").rstrip(".").split(".")
        if labels[0] == "www" and len(labels) > 2:
            labels = labels[1:]
        return labels, [unquote(each) for each in re.split("/+", found.path.strip("/")) if each]

    (labels, segments), (url_labels, url_segments) = parts(entry), parts(url)
    if not segments:
        return url_labels[-len(labels) :] == labels
    return url_labels == labels and url_segments[: len(segments)] == segments


@given(entry=URLS, url=URLS)
def test_random_addresses_match_as_a_plain_twin_says(entry: str, url: str) -> None:
    """The kernel agrees with a slow version over lists of labels and segments."""
    assert is_listed(entry, url) == [plain_twin(entry, url)]
