"""Datasets of a hub: listed over pages, pinned to a commit."""

import hashlib
import json
from typing import Any

import pytest

from ctllm.pipelines.fetch import hub
from ctllm.pipelines.fetch.remote import RemoteFile
from ctllm.pipelines.fetch.server import Manners
from ctllm.schemas.errors import ConfigError, InputError

DATASET = "owner/corpus"
COMMIT = "0123456789abcdef0123456789abcdef01234567"
API = f"/api/datasets/{DATASET}"
TREE = f"{API}/tree/{COMMIT}?recursive=true"


@pytest.fixture
def page(web: Any, answer: Any) -> Any:
    """A hub with a dataset of two pages: two large files, a small one, a directory."""
    sha256 = hashlib.sha256(b"zh").hexdigest()
    large = {"type": "file", "oid": "f" * 40, "size": 9_000_000_000, "lfs": {"oid": sha256, "size": 9_000_000_000}}
    first = [{"type": "directory", "path": "data", "oid": "d"}, {**large, "path": "data/zh 一.parquet"}]
    second = [{**large, "path": "data/en.parquet"}, {"type": "file", "path": "README.md", "oid": "a" * 40, "size": 12}]
    web.files[f"{API}/revision/main"] = json.dumps({"sha": COMMIT}).encode()
    link = {"Link": f'<{web.base_url}{TREE}&cursor=2>; rel="next"'}
    web.script[TREE] = [answer(body=json.dumps(first).encode(), headers=link)]
    web.files[f"{TREE}&cursor=2"] = json.dumps(second).encode()
    return web


def listed(
    web: Any, manners: Manners, *patterns: str, dataset: str = DATASET, revision: str = "main"
) -> list[RemoteFile]:
    """Files of the dataset that match."""
    server = hub.server(web.base_url)
    with manners.client() as client:
        return hub.list_files(client, server, dataset=dataset, patterns=patterns, revision=revision, manners=manners)


def test_large_and_small_files(page: Any, manners: Manners) -> None:
    """All pages are read; large files carry their sha256, small ones their git blob id; URLs hold the commit."""
    found = listed(page, manners, "*.parquet", "README.md")
    base = f"{page.base_url}/datasets/{DATASET}/resolve/{COMMIT}"
    sha256 = hashlib.sha256(b"zh").hexdigest()
    assert found == [
        RemoteFile("README.md", f"{base}/README.md", 12, None, "a" * 40),
        RemoteFile("data/en.parquet", f"{base}/data/en.parquet", 9_000_000_000, sha256, None),
        RemoteFile("data/zh 一.parquet", f"{base}/data/zh%20%E4%B8%80.parquet", 9_000_000_000, sha256, None),
    ]


def test_nothing_matches(page: Any, manners: Manners) -> None:
    """A glob that matches nothing says what there is; case counts."""
    with pytest.raises(InputError, match=r"none of its 3 files matches \*\.Parquet; there are README\.md, data/en"):
        listed(page, manners, "*.Parquet")


def test_token_is_sent_and_its_lack_explained(
    page: Any, answer: Any, manners: Manners, monkeypatch: pytest.MonkeyPatch
) -> None:
    """HF_TOKEN goes to the hub on every page; without it a 401 says what to do."""
    monkeypatch.setenv("HF_TOKEN", "hf_x")
    listed(page, manners, "*")
    assert [headers.get("authorization") for _, headers in page.requests] == ["Bearer hf_x"] * 3
    monkeypatch.delenv("HF_TOKEN")
    page.script[f"{API}/revision/main"] = [answer(401, body=b"")]
    with pytest.raises(InputError, match=r"HTTP 401; the dataset is gated.*HF_TOKEN"):
        listed(page, manners, "*")
    assert "authorization" not in page.requests[-1][1]


def test_endpoint_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """--base-url wins over HF_ENDPOINT, which wins over the public hub."""
    monkeypatch.delenv("HF_ENDPOINT", raising=False)
    assert hub.server().base_url == "https://huggingface.co"
    monkeypatch.setenv("HF_ENDPOINT", "https://mirror.example/")
    assert hub.server().base_url == "https://mirror.example"
    assert hub.server("http://own/").base_url == "http://own"


def test_revision_is_quoted(page: Any, manners: Manners) -> None:
    """A branch with a slash is one part of the path."""
    page.files[f"{API}/revision/refs%2Fpr%2F1"] = page.files[f"{API}/revision/main"]
    assert len(listed(page, manners, "*", revision="refs/pr/1")) == 3


@pytest.mark.parametrize("dataset", ["a/b/c", "../x", "a b", "", "/a", "a/../b"])
def test_malformed_dataset(page: Any, manners: Manners, dataset: str) -> None:
    """A name that cannot be a dataset's is refused before a request."""
    with pytest.raises(ConfigError, match="owner/name"):
        listed(page, manners, "*", dataset=dataset)
    assert page.requests == []


def test_not_a_hub(web: Any, manners: Manners) -> None:
    """A host that answers with something else is named as no hub."""
    for body in (b"<html>", b'{"error": "x"}', b"[]"):
        web.files[f"{API}/revision/main"] = body
        with pytest.raises(InputError, match="is --base-url a hub"):
            listed(web, manners, "*")
