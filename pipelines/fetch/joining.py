"""Parts of one file, cut for upload, put together again (`cat part01 part02 > whole`), without room for two copies.

Each part is written to its place in WHOLE.partial, its checksum compared on the way, the manifest saved, and only then
the part is deleted: killed anywhere, the next run goes on. At most one part lies on the disk twice. A part that had to
be fetched again (`--verify`) is written over its place.
"""

import hashlib
import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

from ctllm.pipelines.fetch.ledger import Ledger, sole_writer
from ctllm.pipelines.fetch.partial import BLOCK_BYTES, sync_file, write_all
from ctllm.schemas.errors import AccountingError, InputError, StageError
from ctllm.schemas.fetch_manifest import PARTIAL
from ctllm.schemas.files import output_errors
from ctllm.schemas.progress import Progress, ProgressEvent, silent

STAGE = "join"


def join_parts(parts: Sequence[str], *, whole: str, out: str | Path, progress: Progress = silent) -> Path:
    """Joins `parts`, names in their order, to OUT/`whole` and returns its path; what was joined before stays.

    Raises InputError when a part was not fetched, AccountingError when its bytes are not those that were, StageError
    when the whole belongs to an older version of the parts.
    """
    directory = Path(out)
    with sole_writer(directory):
        ledger = Ledger(directory)
        missing = [name for name in parts if name not in ledger.entries]
        if missing:
            raise InputError(f"{directory / missing[0]}: not fetched; run the same ctllm fetch again")
        is_joined = all(ledger.entries[name].joined_into == whole for name in parts)
        if not (is_joined and whole in ledger.entries and (directory / whole).is_file()):
            _join(parts, whole, ledger, progress)
    return directory / whole


def _join(parts: Sequence[str], whole: str, ledger: Ledger, progress: Progress) -> None:
    target = ledger.directory / whole
    growing = target.with_name(target.name + PARTIAL)
    sizes = [ledger.entries[name].size_bytes for name in parts]
    offsets = [0, *itertools.accumulate(sizes)]
    with output_errors(str(growing)):
        is_repair = target.exists() and not growing.exists()
        if is_repair:
            target.replace(growing)
        growing.touch()
        with growing.open("r+b", buffering=0) as file:
            for index, (name, offset) in enumerate(zip(parts, offsets, strict=False)):
                progress(ProgressEvent(STAGE, index, len(parts), "parts"))
                if ledger.entries[name].joined_into is None:
                    _put(name, file, offset=offset, whole=whole, ledger=ledger)
                (ledger.directory / name).unlink(missing_ok=True)
            file.truncate(offsets[-1])
        if is_repair:
            _check_places(dict(zip(parts, offsets, strict=False)), growing, ledger)
        sync_file(growing, renamed_to=target)
    first = ledger.entries[parts[0]]
    gone = {
        "size_bytes": offsets[-1],
        "sha256": None,
        "git_sha1": None,
        "etag": None,
        "joined_into": None,
        "joined_at": 0,
    }
    ledger.record(whole, first.model_copy(update={**gone, "parts": tuple(parts)}), at_once=True)
    progress(ProgressEvent(STAGE, len(parts), len(parts), "parts"))


def _put(name: str, file: BinaryIO, *, offset: int, whole: str, ledger: Ledger) -> None:
    """Copies one part to its place, comparing its checksum, and remembers that it is there."""
    entry = ledger.entries[name]
    digest = hashlib.sha256()
    file.seek(offset)
    with (ledger.directory / name).open("rb") as part:
        while block := part.read(BLOCK_BYTES):
            digest.update(block)
            write_all(file, block)
    if digest.hexdigest() != entry.sha256:
        raise AccountingError(f"{ledger.directory / name}: not the bytes that were fetched; fetch again with --verify")
    sync_file(Path(file.name))
    ledger.record(name, entry.model_copy(update={"joined_into": whole, "joined_at": offset}), at_once=True)


def _check_places(offsets: dict[str, int], growing: Path, ledger: Ledger) -> None:
    """Raises StageError when parts stand in an older version of the whole, and makes the next run fetch them."""
    entries = ledger.entries
    wrong = [name for name, at in offsets.items() if entries[name].joined_at != at or not ledger.is_intact(name)]
    for name in wrong:
        ledger.forget(name)
    ledger.save()
    if wrong:
        raise StageError(
            f"{growing}: {len(wrong)} parts are of another version; run the same command again to fetch them"
        )
