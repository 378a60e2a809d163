"""Datasets on a Hugging Face hub: listed and fetched through its public HTTP interface, pinned to one commit.

BASE/api/datasets/NAME/revision/REVISION            {"sha": commit, "gated": …}
BASE/api/datasets/NAME/tree/COMMIT?recursive=true   files with size and git blob id, large ones with their sha256 (lfs);
                                                    1,000 entries a page, the next page in the Link header
BASE/datasets/NAME/resolve/COMMIT/PATH              the bytes, after a redirect to a content network for large files
"""

import fnmatch
import os
import re
from collections.abc import Iterator, Sequence
from typing import Any, TypeVar
from urllib.parse import quote, urljoin

import httpx

from ctllm.pipelines.fetch.remote import RemoteFile
from ctllm.pipelines.fetch.server import Manners, Server, get
from ctllm.schemas.errors import ConfigError, InputError

BASE_URL = "https://huggingface.co"
REFUSAL = (
    "the dataset is gated, private or misspelt: accept its terms on its page, then set HF_TOKEN to a token of yours"
)
_NAME = re.compile(r"\w[\w.-]*(/\w[\w.-]*)?")
NUM_NAMED = 5
Json = TypeVar("Json", dict[str, Any], list[Any])


def server(base_url: str | None = None) -> Server:
    """The hub: `base_url`, else HF_ENDPOINT, else huggingface.co; with the token in HF_TOKEN."""
    base = base_url or os.environ.get("HF_ENDPOINT") or BASE_URL
    return Server(base.rstrip("/"), REFUSAL, token=os.environ.get("HF_TOKEN") or None)


def list_files(
    client: httpx.Client,
    hub: Server,
    *,
    dataset: str,
    patterns: Sequence[str],
    revision: str = "main",
    manners: Manners,
) -> list[RemoteFile]:
    """Files of `dataset` whose path matches one of `patterns` (`*` also matches `/`), sorted by path.

    Raises ConfigError for a malformed name, InputError when nothing matches, naming what there is.
    """
    if not _NAME.fullmatch(dataset):
        raise ConfigError(f"{dataset}: a dataset is called owner/name")
    api = f"{hub.base_url}/api/datasets/{dataset}"
    commit = _json(dict, client, hub, f"{api}/revision/{quote(revision, safe='')}", manners=manners)[0].get("sha")
    if not isinstance(commit, str):
        raise InputError(f"{api}: the answer names no commit; is --base-url a hub?")
    pages = _tree(client, hub, f"{api}/tree/{commit}?recursive=true", manners=manners)
    found = sorted((entry for entry in pages if entry.get("type") == "file"), key=lambda entry: str(entry["path"]))
    chosen = [entry for entry in found if any(fnmatch.fnmatchcase(entry["path"], pattern) for pattern in patterns)]
    if not chosen:
        some = ", ".join(entry["path"] for entry in found[:NUM_NAMED])
        raise InputError(f"{dataset}: none of its {len(found)} files matches {' '.join(patterns)}; there are {some} …")
    return [_remote(entry, f"{hub.base_url}/datasets/{dataset}/resolve/{commit}") for entry in chosen]


def _tree(client: httpx.Client, hub: Server, url: str, *, manners: Manners) -> Iterator[dict[str, Any]]:
    """The entries of all pages."""
    following: str | None = url
    while following:
        entries, response = _json(list, client, hub, following, manners=manners)
        yield from entries
        link = response.links.get("next", {}).get("url")
        following = urljoin(following, link) if link else None


def _json(
    kind: type[Json], client: httpx.Client, hub: Server, url: str, *, manners: Manners
) -> tuple[Json, httpx.Response]:
    response = get(client, hub, url, manners=manners)
    try:
        value = response.json()
    except ValueError:
        value = None
    if not isinstance(value, kind):
        raise InputError(f"{url}: the answer is no JSON {kind.__name__}; is --base-url a hub?")
    return value, response


def _remote(entry: dict[str, Any], base: str) -> RemoteFile:
    path, lfs = entry["path"], entry.get("lfs")
    return RemoteFile(
        name=path,
        url=f"{base}/{quote(path)}",
        size_bytes=lfs["size"] if lfs else entry["size"],
        sha256=lfs["oid"].removeprefix("sha256:") if lfs else None,
        git_sha1=None if lfs else entry["oid"],  # of a large file the git id is that of its pointer
    )
