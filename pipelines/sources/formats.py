"""Which format a file has: by its name, else by its first bytes; and the name that accounts give it."""

import json

from ctllm.pipelines.code_language import language_of_path

FORMAT_OF_SUFFIX = {
    ".warc": "warc", ".wet": "warc", ".wat": "warc",
    ".jsonl": "jsonl", ".ndjson": "jsonl", ".json": "json",
    ".parquet": "parquet",
    ".html": "html", ".htm": "html", ".xhtml": "html",
    ".txt": "text", ".md": "text", ".markdown": "text", ".rst": "text",
}  # fmt: skip
COMPRESSION_SUFFIXES = (".gz", ".zst", ".zstd")

DOCUMENT_FORMATS = frozenset({"html", "text", "code"})
"""Formats of files that are one document each."""

_HTML_MARKS = (b"<!doctype html", b"<html", b"<?xml")


def format_of_name(path: str) -> str | None:
    """`"jsonl"` for `a/b.jsonl.gz`, `"code"` for `b.py`, None for a name that tells nothing."""
    stem, suffix = _split_suffix(_without_compression(path))
    if suffix in FORMAT_OF_SUFFIX:
        return FORMAT_OF_SUFFIX[suffix]
    return "code" if stem and language_of_path(_without_compression(path)) else None


def format_of_bytes(head: bytes) -> str | None:
    """The format of a file from its first decompressed bytes, or None: anything without NUL bytes counts as text."""
    start = head.lstrip(b"\xef\xbb\xbf \t\r\n")[:64]
    if start.startswith(b"WARC/"):
        return "warc"
    if start.startswith(b"PAR1"):
        return "parquet"
    if start.startswith((b"{", b"[")):
        return format_of_json(head)
    if start.lower().startswith(_HTML_MARKS):
        return "html"
    return None if b"\0" in head else "text"


def format_of_json(head: bytes) -> str:
    """`"jsonl"` when the first line that is not empty is a whole JSON object, else `"json"`."""
    first_line = head.lstrip(b"\xef\xbb\xbf \t\r\n").split(b"\n", 1)[0]
    try:
        return "jsonl" if isinstance(json.loads(first_line), dict) else "json"
    except (ValueError, RecursionError):
        # A single object that is longer than the head, or a broken one, is a line; `{` alone starts a printed object.
        return "jsonl" if first_line.startswith(b"{") and len(first_line.strip()) > 1 else "json"


def source_name(path: str) -> str:
    """The last part of `path` without the extensions of format and compression: `"a"` for `x/a.warc.gz`."""
    name = _without_compression(path.rstrip("/").rsplit("/", 1)[-1])
    stem, suffix = _split_suffix(name)
    while stem and suffix in FORMAT_OF_SUFFIX:  # .warc.wet
        name = stem
        stem, suffix = _split_suffix(name)
    return (stem if stem and language_of_path(name) else name) or "unnamed"


def _without_compression(path: str) -> str:
    for suffix in COMPRESSION_SUFFIXES:
        if path.lower().endswith(suffix):
            return path[: -len(suffix)]
    return path


def _split_suffix(path: str) -> tuple[str, str]:
    """Name and lower-case suffix with its dot; ("b", ".jsonl") for a/b.JSONL, ("b", "") for a/b."""
    stem, dot, suffix = path.rsplit("/", 1)[-1].rpartition(".")
    return (stem, dot + suffix.lower()) if dot else (suffix, "")
