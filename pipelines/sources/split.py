"""What to read, in pieces: inputs become a sorted list of splits, the unit of work and of the numbering of keys."""

import os.path
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby, pairwise
from pathlib import Path
from typing import Any

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq

from ctllm.pipelines.sources.compression import is_compressed, read_head
from ctllm.pipelines.sources.formats import (
    DOCUMENT_FORMATS,
    FORMAT_OF_SUFFIX,
    format_of_bytes,
    format_of_json,
    format_of_name,
    source_name,
)
from ctllm.schemas.curation_config import SourceConfig
from ctllm.schemas.document import SPLIT_BITS
from ctllm.schemas.errors import InputError
from ctllm.schemas.files import check_has_no_secret, filesystem_of, join

MAX_FILES_PER_SPLIT = 4096  # of a directory of single documents; as many as one batch holds
NUM_SNIFFED_BYTES = 1 << 16
KNOWN_FORMATS = f"{', '.join(FORMAT_OF_SUFFIX)}, source code; each also .gz or .zst"


@dataclass(frozen=True)
class Split:
    """One piece of one input; `start`, `end`: bytes (jsonl, text), row groups (parquet), entries of `files` (tree).

    `format` is warc, jsonl, json, parquet, html, text, code or tree: a directory whose `files`, relative to `url`, are
    one document each.
    """

    index: int
    url: str
    format: str
    source: str
    start: int
    end: int
    size_bytes: int
    files: tuple[str, ...] = ()


def plan_splits(inputs: Sequence[str], *, config: SourceConfig) -> list[Split]:
    """The splits of files, directories and globs, sorted by path and numbered; the same for every order of `inputs`.

    A directory is walked (hidden files, pipes, devices and links to directories left out): containers in it are inputs
    of their own, its source files, texts and pages are read together under the directory's name. Files of unknown
    formats are left out there; a file that is given itself must have a known format, by name or by its first bytes.
    Texts are containers when `sources.text_unit` is not file.

    Raises InputError for an input that does not exist, a directory without anything readable, an unknown format.
    """
    for each in inputs:
        check_has_no_secret(each)
    planned: dict[str, list[Split]] = {}  # by resolved path: a file named twice is read once
    for url in sorted({url for each in inputs for url in _expand(each)}):
        fs, name = filesystem_of(url)
        parts = _plan_directory(fs, url, config) if fs.isdir(name) else _plan_given_file(fs, url, config)
        for resolved, splits in parts:
            planned.setdefault(resolved, splits)
    found = (split for splits in planned.values() for split in splits)
    ordered = sorted(found, key=lambda split: (split.url, split.start, split.files))
    if not ordered:
        raise InputError("no inputs; name at least one file, directory or glob with --input")
    if len(ordered) >= 1 << SPLIT_BITS:
        raise InputError(f"{len(ordered)} input splits are more than keys can number; raise sources.block_size_bytes")
    return [replace(split, index=index) for index, split in enumerate(ordered)]


def _expand(given: str) -> list[str]:
    """The paths that `given` stands for, in the form it is given in (relative stays relative)."""
    fs, name = filesystem_of(given)
    if fs.exists(name):
        return [given.rstrip("/") or given]
    matches = sorted(fs.glob(name)) if any(mark in given for mark in "*?[") else []
    if not matches:
        raise InputError(f"{given}: no such file or directory; check the path")
    if "://" in given:
        return [fs.unstrip_protocol(match) for match in matches]
    return matches if Path(given).is_absolute() else [os.path.relpath(match) for match in matches]


def _plan_given_file(fs: Any, url: str, config: SourceConfig) -> Iterator[tuple[str, list[Split]]]:  # noqa: ANN401 - fsspec is untyped
    name = fs._strip_protocol(url)
    info = fs.info(name)
    if info["type"] == "other" and not info.get("islink"):
        raise InputError(f"{url}: a pipe or device, which cannot be read twice; write it to a file first")
    kind = format_of_name(url) or format_of_bytes(_head(url))
    if kind is None:
        raise InputError(f"{url}: not a format that can be read; known are {KNOWN_FORMATS}")
    yield name, _plan_file(url, kind, size_bytes=fs.size(name), config=config)


def _plan_directory(fs: Any, url: str, config: SourceConfig) -> Iterator[tuple[str, list[Split]]]:  # noqa: ANN401 - fsspec is untyped
    """Resolved name and splits of everything readable below a directory."""
    root = fs._strip_protocol(url).rstrip("/") + "/"
    name = root.rstrip("/").rsplit("/", 1)[-1]
    documents: list[tuple[str, int]] = []
    is_empty = True
    for path, info in sorted(fs.find(root, detail=True).items()):
        relative = path.removeprefix(root)
        kind = format_of_name(relative)
        is_hidden = any(part.startswith(".") for part in relative.split("/"))
        is_special = info["type"] == "other" and not info.get("islink")  # a pipe or device: opening it may never end
        if kind is None or is_hidden or is_special or fs.isdir(path):
            continue
        if kind in DOCUMENT_FORMATS and not _is_container_of_texts(kind, config):
            documents.append((relative, info["size"]))
        elif kind != "json" or f'"{config.text_field.split(".")[0]}"'.encode() in _head(
            path
        ):  # package.json is no data
            is_empty = False
            yield path, _plan_file(join(url, relative), kind, size_bytes=info["size"], config=config)
    if not documents and is_empty:
        raise InputError(f"{url}: no readable files in this directory; known are {KNOWN_FORMATS}")
    for files, size_bytes in _grouped(documents, max_bytes=config.block_size_bytes):
        yield root + files[0], [Split(0, url, "tree", name, 0, len(files), size_bytes, files)]


def _grouped(documents: list[tuple[str, int]], *, max_bytes: int) -> Iterator[tuple[tuple[str, ...], int]]:
    """Runs of files of about `max_bytes` each, and their size."""
    position = 0
    numbered = []
    for row, (relative, size_bytes) in enumerate(documents):
        numbered.append((max(position // max_bytes, row // MAX_FILES_PER_SPLIT), relative, size_bytes))
        position += size_bytes
    for _, run in groupby(numbered, key=lambda each: each[0]):
        members = list(run)
        yield tuple(relative for _, relative, _ in members), sum(size_bytes for _, _, size_bytes in members)


def _plan_file(url: str, kind: str, *, size_bytes: int, config: SourceConfig) -> list[Split]:
    if kind == "json":
        kind = format_of_json(_head(url))
    whole = Split(0, url, kind, source_name(url), 0, size_bytes, size_bytes)
    if kind == "parquet":
        return _plan_row_groups(whole, config.block_size_bytes)
    has_blocks = kind == "jsonl" or _is_container_of_texts(kind, config)
    if not has_blocks or size_bytes <= config.block_size_bytes or is_compressed(url):
        return [whole]
    bounds = [*range(0, size_bytes, config.block_size_bytes), size_bytes]
    return [replace(whole, start=start, end=end, size_bytes=end - start) for start, end in pairwise(bounds)]


def _is_container_of_texts(kind: str, config: SourceConfig) -> bool:
    return kind == "text" and config.text_unit != "file"


def _plan_row_groups(whole: Split, max_bytes: int) -> list[Split]:
    """Splits of whole row groups of about `max_bytes` decompressed; a broken file is one split: its reader says why."""
    try:
        with fsspec.open(whole.url, "rb") as file:
            metadata = pq.ParquetFile(file).metadata
    except (OSError, pa.ArrowException):
        return [whole]
    splits: list[Split] = []
    for row_group in range(metadata.num_row_groups):
        size_bytes = metadata.row_group(row_group).total_byte_size
        if splits and splits[-1].size_bytes + size_bytes <= max_bytes:
            splits[-1] = replace(splits[-1], end=row_group + 1, size_bytes=splits[-1].size_bytes + size_bytes)
        else:
            splits.append(replace(whole, start=row_group, end=row_group + 1, size_bytes=size_bytes))
    return splits or [replace(whole, end=0)]


def _head(url: str) -> bytes:
    return read_head(url, num_bytes=NUM_SNIFFED_BYTES)
