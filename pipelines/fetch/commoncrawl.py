"""Common Crawl: the files of a crawl by their position in its list of paths.

BASE/crawl-data/CC-MAIN-2024-10/warc.paths.gz     one path a line, below BASE; WARC: raw pages, about 1 GB each
BASE/crawl-data/CC-MAIN-2024-10/wet.paths.gz      WET: the text of the same pages, about 0.1 GB each
"""

import gzip
import re
import zlib
from collections.abc import Sequence
from typing import Literal

import httpx

from ctllm.pipelines.fetch.remote import RemoteFile
from ctllm.pipelines.fetch.server import Manners, Server, get
from ctllm.schemas.errors import ConfigError, InputError

BASE_URL = "https://data.commoncrawl.org"
REFUSAL = "Common Crawl refuses clients that ask too fast; wait a while and use --parallel 1"
_CRAWL = re.compile(r"CC-MAIN-\d{4}-\d{2}")


def server(base_url: str | None = None) -> Server:
    """The host of the crawls, or a mirror of it."""
    return Server((base_url or BASE_URL).rstrip("/"), REFUSAL)


def list_files(
    client: httpx.Client,
    host: Server,
    *,
    crawl: str,
    kind: Literal["warc", "wet"],
    positions: Sequence[int] | None,
    manners: Manners,
) -> list[RemoteFile]:
    """The files at `positions` of the crawl's list, all for None; the list gives no sizes and no checksums.

    Raises ConfigError for a malformed crawl or a position beyond the end, InputError when there is no such crawl.
    """
    if not _CRAWL.fullmatch(crawl):
        raise ConfigError(f"--crawl {crawl}: a crawl is called like CC-MAIN-2024-10 (https://index.commoncrawl.org)")
    url = f"{host.base_url}/crawl-data/{crawl}/{kind}.paths.gz"
    try:
        paths = gzip.decompress(get(client, host, url, manners=manners).content).decode().split()
    except (OSError, EOFError, zlib.error, UnicodeDecodeError) as error:
        raise InputError(f"{url}: not a gzip list of paths ({error})") from error
    chosen = range(len(paths)) if positions is None else positions
    if chosen and max(chosen) >= len(paths):
        raise ConfigError(f"--segments: {crawl} has {len(paths):,} {kind} files, the last is {len(paths) - 1}")
    return [RemoteFile(paths[at].rsplit("/", 1)[-1], f"{host.base_url}/{paths[at]}") for at in chosen]
