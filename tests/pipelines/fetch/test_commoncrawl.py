"""Common Crawl's lists of paths."""

import gzip
from typing import Any

import pytest

from ctllm.pipelines.fetch import commoncrawl
from ctllm.pipelines.fetch.remote import RemoteFile
from ctllm.pipelines.fetch.server import Manners
from ctllm.schemas.errors import ConfigError, InputError

CRAWL = "CC-MAIN-2024-10"
SEGMENT = f"crawl-data/{CRAWL}/segments/1707947473347.0"


@pytest.fixture
def crawl(web: Any) -> Any:
    """A host with a crawl of three WARC files and one WET file."""
    for kind, number in (("warc", 3), ("wet", 1)):
        lines = [f"{SEGMENT}/{kind}/CC-MAIN-20240220211055-{index:05}.{kind}.gz\n" for index in range(number)]
        web.files[f"/crawl-data/{CRAWL}/{kind}.paths.gz"] = gzip.compress("".join(lines).encode())
    return web


def listed(web: Any, manners: Manners, **wanted: Any) -> list[RemoteFile]:
    """The files of a crawl on `web`."""
    host = commoncrawl.server(web.base_url + "/")
    with manners.client() as client:
        given = {"crawl": CRAWL, "kind": "warc", "positions": None} | wanted
        return commoncrawl.list_files(client, host, manners=manners, **given)  # type: ignore[arg-type]


def test_files_by_position(crawl: Any, manners: Manners) -> None:
    """Positions name files of the list in order; the path of the list is the path below the host."""
    name = "CC-MAIN-20240220211055-00002.warc.gz"
    assert listed(crawl, manners, positions=[2]) == [RemoteFile(name, f"{crawl.base_url}/{SEGMENT}/warc/{name}")]
    assert [file.name[-12:-8] for file in listed(crawl, manners)] == ["0000", "0001", "0002"]
    assert listed(crawl, manners, kind="wet")[0].url.endswith(f"{SEGMENT}/wet/CC-MAIN-20240220211055-00000.wet.gz")


def test_position_beyond_the_end(crawl: Any, manners: Manners) -> None:
    """The last position is named when a larger one is asked for."""
    assert len(listed(crawl, manners, positions=[0, 2])) == 2
    with pytest.raises(ConfigError, match="has 3 warc files, the last is 2"):
        listed(crawl, manners, positions=[3])


@pytest.mark.parametrize("name", ["2024-10", "CC-MAIN-2024-1", "../x", "CC-MAIN-2024-10/..", "CC-MAIN-2024-10\n"])
def test_malformed_crawl(crawl: Any, manners: Manners, name: str) -> None:
    """A name that cannot be a crawl's is refused before a request."""
    with pytest.raises(ConfigError, match="a crawl is called like CC-MAIN-2024-10"):
        listed(crawl, manners, crawl=name)
    assert crawl.requests == []


def test_unknown_crawl_and_broken_list(crawl: Any, manners: Manners) -> None:
    """A crawl that is not there is named with its URL, a list that is no gzip likewise."""
    with pytest.raises(InputError, match=r"CC-MAIN-2031-01/warc\.paths\.gz: HTTP 404"):
        listed(crawl, manners, crawl="CC-MAIN-2031-01")
    whole = crawl.files[f"/crawl-data/{CRAWL}/warc.paths.gz"]
    for broken in (b"<html>", whole[:-9], whole[:20] + b"xxxx" + whole[24:]):
        crawl.files[f"/crawl-data/{CRAWL}/warc.paths.gz"] = broken
        with pytest.raises(InputError, match="not a gzip list of paths"):
            listed(crawl, manners)


def test_list_is_asked_for_again(crawl: Any, answer: Any, manners: Manners, pauses: list[float]) -> None:
    """A busy host and a broken transfer are waited out for the list as well; 403 says that it was too fast."""
    path = f"/crawl-data/{CRAWL}/warc.paths.gz"
    crawl.script[path] = [answer(503, headers={"Retry-After": "3"}, body=b""), answer(ends_at=10)]
    assert len(listed(crawl, manners)) == 3
    assert pauses == [3.0, 2.0]
    crawl.script[path] = [answer(403, body=b"")]
    with pytest.raises(InputError, match="--parallel 1"):
        listed(crawl, manners)
