"""Tests of decompression that survives damage."""

import gzip
from pathlib import Path

import pytest
import zstandard

from ctllm.pipelines.sources.compression import Damage, is_compressed, read_blocks, read_head, read_whole
from ctllm.pipelines.sources.records import Failure

PARTS = [bytes([65 + part]) * 40_000 + b"\n" for part in range(3)]


def compress(kind: str, data: bytes) -> bytes:
    """One member of the kind."""
    return {"gzip": gzip.compress, "zstd": zstandard.compress, "plain": bytes}[kind](data)


def contents(path: Path) -> tuple[bytes, list[str]]:
    """All bytes that can be read, and the kinds of damage."""
    blocks = list(read_blocks(str(path)))
    return b"".join(b for b in blocks if isinstance(b, bytes)), [b.error for b in blocks if isinstance(b, Damage)]


@pytest.mark.parametrize("kind", ["plain", "gzip", "zstd"])
def test_all_members_are_read(kind: str, tmp_path: Path) -> None:
    """Plain files, and compressed ones of several members padded with zeros, give all their bytes."""
    path = tmp_path / "data.bin"
    padding = b"" if kind == "plain" else b"\0" * 512
    path.write_bytes(b"".join(compress(kind, part) for part in PARTS) + padding)
    assert contents(path) == (b"".join(PARTS), [])
    assert is_compressed(str(path)) is (kind != "plain")
    assert read_head(str(path), num_bytes=5) == b"AAAAA"


@pytest.mark.parametrize("kind", ["gzip", "zstd"])
def test_a_cut_file_gives_what_is_there(kind: str, tmp_path: Path) -> None:
    """What was written before the cut is read, and the cut is reported once."""
    path = tmp_path / "data"
    path.write_bytes(b"".join(compress(kind, part) for part in PARTS)[:-12])
    data, damage = contents(path)
    assert data.startswith(PARTS[0] + PARTS[1])
    assert damage == ["truncated"]


@pytest.mark.parametrize("kind", ["gzip", "zstd"])
def test_a_damaged_member_does_not_take_the_next_with_it(kind: str, tmp_path: Path) -> None:
    """Reading goes on at the next member after flipped bytes, also when junk stands between the members."""
    members = [compress(kind, part) for part in PARTS]
    middle = bytearray(members[1])
    middle[12:20] = b"\xff" * 8
    path = tmp_path / "data"
    path.write_bytes(members[0] + bytes(middle) + members[2])
    data, damage = contents(path)
    assert data.startswith(PARTS[0])
    assert data.endswith(PARTS[2])
    assert damage == ["broken_record"]
    path.write_bytes(members[0] + b"junk" * 9000 + members[2])
    assert contents(path) == (PARTS[0] + PARTS[2], ["broken_record"])


def test_a_magic_across_two_reads_is_found(tmp_path: Path) -> None:
    """The start of a member is found wherever the borders of blocks fall."""
    path = tmp_path / "data"
    first = gzip.compress(b"first")
    for junk in range((16 << 10) - len(first) - 4, (16 << 10) - len(first) + 2):
        path.write_bytes(first + b"j" * junk + gzip.compress(b"second"))
        assert contents(path) == (b"firstsecond", ["broken_record"])


def test_plain_files_can_be_read_from_a_byte_on(tmp_path: Path) -> None:
    """Blocks of a plain file start where they are asked to."""
    path = tmp_path / "data"
    path.write_bytes(b"0123456789")
    assert b"".join(block for block in read_blocks(str(path), start=7) if isinstance(block, bytes)) == b"789"


def test_whole_files_are_bounded(tmp_path: Path) -> None:
    """A file at the bound is read, one byte more is a failure; empty and damaged files are failures too."""
    path = tmp_path / "data"
    path.write_bytes(gzip.compress(b"12345"))
    assert read_whole(str(path), max_bytes=5) == b"12345"
    found = [read_whole(str(path), max_bytes=4)]
    path.write_bytes(b"")
    found.append(read_whole(str(path), max_bytes=4))
    path.write_bytes(gzip.compress(b"12345")[:-3])
    found.append(read_whole(str(path), max_bytes=5))
    assert [each.error for each in found if isinstance(each, Failure)] == ["too_large", "empty_file", "truncated"]


def test_a_head_of_what_cannot_be_read_is_empty(tmp_path: Path) -> None:
    """Planning never fails on one unreadable file; the reader reports it later."""
    assert read_head(str(tmp_path / "nothing"), num_bytes=4) == b""
