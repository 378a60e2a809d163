"""Pages of the invented sites, as another reader sees them."""

from collections import Counter
from pathlib import Path

from fastwarc.warc import ArchiveIterator

from ctllm.examples.corpus.expected import Expected


def test_pages_are_what_servers_send(corpus: tuple[Path, list[Expected]]) -> None:
    """Another WARC reader finds pages in six charset declarations, or none, and over three codings."""
    declared: Counter[str] = Counter()
    codings: Counter[str | None] = Counter()
    statuses: Counter[int] = Counter()
    for path in sorted((corpus[0] / "pages").glob("*.warc.gz")):
        with path.open("rb") as file:
            for record in ArchiveIterator(file, parse_http=True):
                if record.headers["WARC-Type"] == "response":
                    statuses[record.http_headers.status_code] += 1
                    declared[record.http_charset or ""] += 1
                    headers = record.http_headers
                    codings[headers.get("Content-Encoding") or headers.get("Transfer-Encoding")] += 1
    assert statuses[200] > 70
    assert {301, 404} <= set(statuses)
    assert {"", "utf-8", "gb2312", "gbk", "big5", "shift_jis"} <= {label.lower() for label in declared}
    assert set(codings) == {None, "gzip", "chunked"}
