"""Main-text extraction: quality on pages with known truth, pages a second there and on Chinese pages. One JSON line.

python benchmarks/extraction.py web_en_multi_pages.warc.gz ….extraction_truth.jsonl.gz web_zh_pages.warc.gz

The truth lists, page by page in the order of the WARC, passages that must and must not come out; white space is folded.
`kept` is the share of the first, `leaked` that of the second; `f1` joins `kept` with the share of the first among all
that came out. Seconds are CPU time of extraction alone, parsing included, best of three. Of the Chinese pages, without
truth, it tells characters a page, pages under 200 characters, and how many full-width spaces are left.
"""

import json
import sys
import time
from collections.abc import Callable, Iterator

from resiliparse.parse.html import HTMLTree

from ctllm.pipelines.charset import decode
from ctllm.pipelines.extract import extract_page, visible_text
from ctllm.pipelines.sources.compression import read_blocks
from ctllm.pipelines.sources.warc import decoded_payload, is_wanted
from ctllm.pipelines.sources.warc_frames import Frame, read_frames

MAX_BYTES = 50 << 20
SHORT_CHARS = 200
REPEATS = 3

EXTRACTORS: dict[str, Callable[[str], str]] = {
    "resiliparse": lambda html: extract_page(html).text,
    "trafilatura": lambda html: extract_page(html, extractor="trafilatura").text,
    "all visible text": lambda html: visible_text(HTMLTree.parse(html)),
}


def pages_of(warc: str) -> Iterator[str]:
    """The decoded pages of the file, in order."""
    for frame in read_frames(read_blocks(warc), max_bytes=MAX_BYTES, is_wanted=is_wanted):
        if isinstance(frame, Frame):
            record, payload = decoded_payload(frame)
            decoded = decode(payload, http_charset=record.http_charset, is_html=True)
            yield decoded.text if decoded else ""


def folded(text: str) -> str:
    """`text` with single spaces."""
    return " ".join(text.split())


def quality(texts: list[str], truths: list[dict[str, list[str]]]) -> dict[str, float]:
    """Shares of wanted passages kept and unwanted ones leaked, and the F1 of both."""
    kept, leaked = ([0, 0], [0, 0])  # found, all
    for text, truth in zip(map(folded, texts), truths, strict=True):
        for counts, passages in ((kept, truth["must_contain"]), (leaked, truth["must_not_contain"])):
            counts[0] += sum(folded(passage) in text for passage in passages)
            counts[1] += len(passages)
    precision, recall = kept[0] / (kept[0] + leaked[0]), kept[0] / kept[1]
    f1 = 2 * precision * recall / (precision + recall)
    return {"kept": round(recall, 4), "leaked": round(leaked[0] / leaked[1], 4), "f1": round(f1, 4)}


def timed(extract: Callable[[str], str], pages: list[str]) -> tuple[list[str], float]:
    """The texts, and pages per second of CPU time."""
    seconds = []
    for _ in range(REPEATS):
        started = time.process_time()
        texts = [extract(page) for page in pages]
        seconds.append(time.process_time() - started)
    return texts, len(pages) / min(seconds)


def main(warc: str, truth: str, chinese_warc: str) -> None:
    """Measures each extractor and prints the line."""
    pages, chinese = list(pages_of(warc)), list(pages_of(chinese_warc))
    lines = b"".join(block for block in read_blocks(truth) if isinstance(block, bytes)).splitlines()
    truths = [json.loads(line) for line in lines]
    result: dict[str, object] = {}
    for name, extract in EXTRACTORS.items():
        texts, pages_per_s = timed(extract, pages)
        chinese_texts, chinese_per_s = timed(extract, chinese)
        result[name] = quality(texts, truths) | {
            "pages_per_s": round(pages_per_s),
            "zh_pages_per_s": round(chinese_per_s),
            "zh_chars_per_page": round(sum(map(len, chinese_texts)) / len(chinese)),
            "zh_short_pages": sum(len(text) < SHORT_CHARS for text in chinese_texts),
            "zh_wide_spaces": sum(text.count("\u3000") for text in chinese_texts),
        }
    print(json.dumps({"benchmark": "extraction", "pages": len(pages), "zh_pages": len(chinese), **result}))


if __name__ == "__main__":
    main(*sys.argv[1:])
