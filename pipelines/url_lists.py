"""URL and domain lists: which category of the configured lists names the address of a document.

A line is a domain (it and every domain below it is listed: `evil.example` lists `a.evil.example`, never
`notevil.example`) or host and path (listed from there on, by whole path segments).
"""

import hashlib
import tarfile
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from difflib import get_close_matches
from functools import lru_cache, partial
from typing import Any

import fsspec
import numpy as np
import pyarrow as pa

from ctllm.pipelines.batch import text_buffers
from ctllm.pipelines.url_keys import UNUSABLE, USABLE, bit_filter, entry_numbers, smallest_codes
from ctllm.schemas.errors import ConfigError, InputError
from ctllm.schemas.url_lists_config import UrlListsConfig

LIST_FILES = ("domains", "urls")
"""Names of the files of a category directory that hold addresses; UT1 has `usage` and expressions beside them."""

MAX_UNUSABLE_SHARE = 0.01  # public lists have some odd lines, another kind of file has hardly another; chosen, untested

_ARCHIVES = (".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz")


@dataclass(frozen=True)
class UrlLists:
    """The entries of the chosen categories."""

    _numbers: np.ndarray
    """(entries,), uint64, ascending; see `url_keys`"""
    _codes: np.ndarray
    """(entries,), int32: 1 + number of the first category that lists the entry"""
    _filter: np.ndarray
    """(a power of two,), uint8: a bit is set where some entry's number may be"""

    @classmethod
    def read(cls, config: UrlListsConfig) -> "UrlLists":
        """The entries of `config.categories` in `config.paths`; none when no path is configured.

        Raises ConfigError for a category that no path has or a path without a chosen one, InputError for a file that
        cannot be read or is no list.
        """
        numbers, codes = [np.empty(0, np.uint64)], [np.empty(0, np.int32)]
        for category, path, data in _read_chosen(config):
            entries = _entries(np.frombuffer(data, np.uint8), path)
            numbers.append(entries)
            codes.append(np.full(len(entries), 1 + config.categories.index(category), np.int32))
        all_numbers, all_codes = np.concatenate(numbers), np.concatenate(codes)
        order = np.lexsort((all_codes, all_numbers))
        distinct, first = np.unique(all_numbers[order], return_index=True)
        return cls(distinct, all_codes[order][first], bit_filter(distinct))

    @property
    def num_entries(self) -> int:
        """Distinct domains and URLs."""
        return len(self._numbers)

    def digest(self) -> str:
        """16 hex digits that change when an entry or its category does."""
        return hashlib.sha256(self._numbers.tobytes() + self._codes.tobytes()).hexdigest()[:16]

    def find(self, urls: "pa.Array[Any]") -> np.ndarray:
        """1 + number of the first category that lists each URL, 0 for none or for no URL: (urls,), int32."""
        if not len(self._numbers):
            return np.zeros(len(urls), np.int32)
        data, offsets = text_buffers(urls.fill_null(""))
        return smallest_codes(data, offsets, numbers=self._numbers, codes=self._codes, bits=self._filter)


def category_of(code: int, *, config: UrlListsConfig) -> str | None:
    """The category behind a value of the signal `url_list`."""
    return config.categories[code - 1] if code else None


@lru_cache(maxsize=1)
def shared_url_lists(config: UrlListsConfig) -> UrlLists:
    """`UrlLists.read`, once per process: millions of entries are shared by all worker threads."""
    return UrlLists.read(config)


def _read_chosen(config: UrlListsConfig) -> Iterator[tuple[str, str, bytes]]:
    """Category, place and content of every file of a chosen category."""
    available: set[str] = set()
    for path in config.paths:
        files = _list_files(path)
        available |= files.keys()
        chosen = [category for category in config.categories if category in files]
        if not chosen:
            raise ConfigError(
                f"url_lists.categories: none is chosen of those in {path} ({', '.join(sorted(files))}); "
                "name one, or drop the path"
            )
        for category in chosen:
            for place, read in files[category]:
                yield category, place, _read(read, place)
    for category in config.categories:
        if category not in available:
            close = get_close_matches(category, available, n=1)
            hint = f"did you mean {close[0]}? " if close else ""
            raise ConfigError(
                f"url_lists.categories: {category} is not in url_lists.paths; {hint}There are: "
                f"{', '.join(sorted(available))}"
            )


def _list_files(path: str) -> dict[str, list[tuple[str, Callable[[], bytes]]]]:
    """Category → the files of `path` that list it: place, and how to read it."""
    fs, name = fsspec.core.url_to_fs(path)
    found: list[tuple[str, str, Callable[[], bytes]]] = []
    if fs.isdir(name):
        found = [(each, each, partial(fs.cat_file, each)) for each in sorted(fs.find(name))]
    elif not fs.exists(name):
        raise InputError(f"url_lists.paths: {path} is not there; correct or drop it")
    elif name.lower().endswith(_ARCHIVES):
        found = [(member, f"{path}, {member}", partial(_read_member, path, member)) for member in _members(path)]
    else:
        return {name.rsplit("/", 1)[-1].partition(".")[0]: [(path, partial(_read_plain, path))]}
    files: dict[str, list[tuple[str, Callable[[], bytes]]]] = defaultdict(list)
    for each, place, read in found:
        *_, category, leaf = ["", *each.split("/")]
        if leaf in LIST_FILES and category:
            files[category].append((place, read))
    if not files:
        raise InputError(f"url_lists.paths: {path} holds no CATEGORY/domains and no CATEGORY/urls")
    return files


def _read_plain(path: str) -> bytes:
    with fsspec.open(path, "rb", compression="infer") as file:
        return bytes(file.read())


def _members(path: str) -> list[str]:
    try:
        with fsspec.open(path, "rb") as file, tarfile.open(fileobj=file) as archive:
            return [member.name for member in archive if member.isfile()]
    except (OSError, EOFError, tarfile.TarError) as error:
        raise InputError(f"url_lists.paths: {path} is not a whole tar archive ({error})") from error


def _read_member(path: str, member: str) -> bytes:
    with fsspec.open(path, "rb") as file, tarfile.open(fileobj=file) as archive:
        content = archive.extractfile(member)
        return content.read() if content else b""


def _read(read: Callable[[], bytes], place: str) -> bytes:
    try:
        return read()
    except (OSError, EOFError) as error:
        raise InputError(f"url_lists.paths: cannot read {place} ({error})") from error


def _entries(data: np.ndarray, place: str) -> np.ndarray:
    """Numbers of the entries of a list file, one a line: uint64. Raises InputError when it looks like another kind."""
    breaks = np.flatnonzero(data == ord("\n"))
    starts, ends = np.concatenate([[0], breaks + 1]), np.concatenate([breaks, [len(data)]])
    numbers, states = entry_numbers(data, starts, ends)
    unusable = np.flatnonzero(states == UNUSABLE)
    if len(unusable) > MAX_UNUSABLE_SHARE * np.count_nonzero(states):
        first = unusable[0]
        line = data[starts[first] : ends[first]][:60].tobytes().decode("utf-8", "replace")
        raise InputError(
            f"{place}, line {first + 1}: {line!r} is neither a domain nor a URL, like {len(unusable)} lines of it; "
            "a list has one domain or URL a line, # begins a comment"
        )
    usable: np.ndarray = numbers[states == USABLE]
    return usable
