"""The dedup index: the signatures of curated snapshots, where they lie, and what makes them comparable.

    INDEX/index.json            IndexManifest: the settings that all snapshots were signed with
    INDEX/snapshot-00003.json   IndexedSnapshot: a finished run, its files and their digests

The signatures themselves stay in the runs' directories (`bands/`, `verdicts/`). A snapshot has one file, so that adding
and withdrawing are one rename, one deletion.
"""

import hashlib
import json
from dataclasses import dataclass
from typing import Any

from ctllm.schemas.config import Config
from ctllm.schemas.files import join

FORMAT = 1
"""Changes when these files do."""


@dataclass(frozen=True)
class EarlierSplit:
    """Signatures and verdicts of one input split of an earlier snapshot; row by row the same documents."""

    bands: str
    verdicts: str
    documents: str
    """The texts; an index can do without them."""


class Comparison(Config):
    """An earlier snapshot that a run is compared with."""

    snapshot: int
    id: str
    """`IndexedSnapshot.id` at that time: a snapshot that was made again has another."""
    run: str


class IndexedSnapshot(Config):
    """One snapshot of the index: a run that ended whole."""

    snapshot: int
    run: str
    """Directory of the run, absolute or a URL."""
    run_id: str
    documents: int
    kept: int
    files: tuple[tuple[str, str], ...]
    """sha256 of `bands/` and of `verdicts/` of every split, in order: `part-00000.parquet` and so on."""
    compared: tuple[Comparison, ...]
    """The snapshots that this one lost its copies to."""

    @property
    def id(self) -> str:
        """16 hex digits that change with the content of any file."""
        return hashlib.sha256(json.dumps([self.snapshot, self.files]).encode()).hexdigest()[:16]

    def splits(self) -> list[EarlierSplit]:
        """Where the files of each split lie."""
        names = [f"part-{number:05d}.parquet" for number in range(len(self.files))]
        tables = ("bands", "verdicts", "documents")
        return [EarlierSplit(*(join(self.run, table, name) for table in tables)) for name in names]

    def as_comparison(self) -> Comparison:
        """What a run notes that is compared with this one."""
        return Comparison(snapshot=self.snapshot, id=self.id, run=self.run)


class IndexManifest(Config):
    """`INDEX/index.json`."""

    format: int
    bands_version: int
    """BANDS_VERSION of the signatures."""
    settings: dict[str, Any]
    """Keys of `dedup` that the signatures depend on, with their values."""
