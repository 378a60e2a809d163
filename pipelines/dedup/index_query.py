"""Is this text already in? Asked of the index: once by reading its signatures through, or often of a datasketch LSH."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from datasketch import MinHash

from ctllm.pipelines.dedup.border import exact_similarities, shingle_sets
from ctllm.pipelines.dedup.index import index_settings, read_index
from ctllm.pipelines.dedup.join import Compared, compare, holding
from ctllm.pipelines.dedup.minhash import band_keys, banding
from ctllm.pipelines.dedup.signature import Signer
from ctllm.pipelines.documents import excerpt_of, fetch_from
from ctllm.schemas.curation_config import DedupConfig
from ctllm.schemas.dedup_index import EarlierSplit
from ctllm.schemas.document import Lane, snapshot_of
from ctllm.schemas.duplicates import BANDS, PAIRS
from ctllm.schemas.files import exists, read_parquet

EXCERPT_CHARS = 120

_ASKED_KEY = np.iinfo(np.uint64).max  # larger than any document's, so that it is the second of every pair
_MEETING = ("key", "exact_high", "exact_low", "text_high", "text_low", "bands")


@dataclass(frozen=True)
class Match:
    """A kept document of the index that the text is a copy of."""

    snapshot: int
    key: int
    kind: str
    """exact | near"""
    jaccard: float
    standard_error: float
    """Of `jaccard`: 0 where it is that of all shingles, else it is estimated from sketches."""
    containment: float
    """Share of the shorter one's shingles."""
    id: str
    url: str | None
    source: str
    excerpt: str


def query_index(path: str, text: str, *, lane: Lane = "zh") -> list[Match]:
    """The kept documents of the index in `path` that `text` is a verified copy of, most similar first.

    Decided as `ctllm curate --index` decides: by sketches, and near a bound by all shingles; where the texts are not at
    hand any more by sketches alone, which `standard_error` tells. Reads the band keys of the whole index, one file in
    memory at a time. In lane `code` operators count.
    """
    config = index_settings(path)
    question = _Question.of(text, lane, config)
    found = [question.verified(meeting) for meeting in _meeting(path, question.bands)]
    errors = {key: error for _, each in found for key, error in each.items()}
    pairs = pa.concat_tables([PAIRS.empty_table(), *(table for table, _ in found)])
    rows = pairs.sort_by([("jaccard", "descending"), ("key_a", "ascending")]).to_pylist()
    homes = {each.snapshot: each.run for each in read_index(path)}
    documents = fetch_from(homes, [row["key_a"] for row in rows], columns=["id", "url", "source", "text"])
    return [
        Match(
            snapshot=int(snapshot_of(np.array([row["key_a"]], np.uint64))[0]),
            key=row["key_a"],
            kind=row["kind"],
            jaccard=row["jaccard"],
            standard_error=errors[row["key_a"]],
            containment=row["containment"],
            id=document["id"],
            url=document["url"],
            source=document["source"],
            excerpt=excerpt_of(document["text"], num_chars=EXCERPT_CHARS),
        )
        for row in rows
        if (document := documents[row["key_a"]])
    ]


class IndexLSH:
    """The kept documents of an index behind the questions of a datasketch `MinHashLSH`; its keys are theirs.

    16 bytes of memory a band and document, 270 a document at 17 bands: for many questions. As with datasketch answers
    are candidates, which share a band; `query_index` compares them. It only answers: documents come in by
    `ctllm curate --index`, and leave with their snapshot.
    """

    def __init__(self, path: str) -> None:
        self._config = index_settings(path)
        self.h = self._config.num_permutations
        self.b, self.r = banding(self._config)
        tables = [table for _, table in _kept_tables(path, ("key", "bands"))]
        keys = np.concatenate([np.empty(0, np.uint64), *(table["key"].to_numpy() for table in tables)])
        lists = [chunk for table in tables for chunk in table["bands"].chunks]
        bands = pa.chunked_array(lists, BANDS.field("bands").type)
        owners = np.repeat(keys, pc.list_value_length(bands).to_numpy())
        flat = pc.list_flatten(bands).to_numpy()
        order = np.argsort(flat, kind="stable")
        self._bands, self._owners, self._documents = flat[order], owners[order], np.sort(keys)

    def query(self, minhash: MinHash) -> list[int]:
        """Keys of the documents that share a band with `minhash`, ascending; candidates, not verified."""
        if len(minhash) != self.h or minhash.scheme != self._config.scheme:
            raise ValueError(
                f"a MinHash of {len(minhash)} permutations, scheme {minhash.scheme}; "
                f"the index has {self.h}, {self._config.scheme}"
            )
        return self._sharing(band_keys(minhash.hashvalues[None, :], num_bands=self.b, num_rows=self.r)[0])

    def query_text(self, text: str, *, lane: Lane = "zh") -> list[int]:
        """Keys of the documents that share a band with `text`, ascending; none for one too short for shingles."""
        return self._sharing(pc.list_flatten(_Question.of(text, lane, self._config).bands["bands"]).to_numpy())

    def __contains__(self, key: int) -> bool:
        at = int(np.searchsorted(self._documents, np.uint64(key)))
        return at < len(self._documents) and int(self._documents[at]) == key

    def is_empty(self) -> bool:
        """Whether the index holds no document."""
        return not len(self._documents)

    def _sharing(self, bands: np.ndarray) -> list[int]:
        starts, ends = (np.searchsorted(self._bands, bands, side=side) for side in ("left", "right"))
        found = [self._owners[start:end] for start, end in zip(starts, ends, strict=True)]
        keys: list[int] = np.unique(np.concatenate([np.empty(0, np.uint64), *found])).tolist()
        return keys


@dataclass(frozen=True)
class _Meeting:
    """Documents of one split of the index that share a band or a signature with the text asked about."""

    documents: str
    """The file of their texts, which may be gone."""
    rows: np.ndarray
    """(n,), int64: where they stand in it"""
    bands: pa.Table


@dataclass(frozen=True)
class _Question:
    """A text that is looked for."""

    document: pa.RecordBatch
    bands: pa.Table
    signer: Signer
    config: DedupConfig

    @classmethod
    def of(cls, text: str, lane: Lane, config: DedupConfig) -> "_Question":
        """Signs it as a document of `lane`."""
        columns = {
            "key": pa.array([_ASKED_KEY], pa.uint64()),
            "url": pa.array([None], pa.string()),
            "lane": [lane],
            "text": pa.array([text], pa.large_string()),
        }
        signer, document = Signer(config), pa.record_batch(columns)
        return cls(document, pa.Table.from_batches([signer.sign(document)]), signer, config)

    def verified(self, meeting: _Meeting) -> tuple[pa.Table, dict[int, float]]:
        """PAIRS of those that are copies, and the standard error of the Jaccard of each document by its key."""
        pairs = np.column_stack([np.arange(len(meeting.rows)), np.zeros(len(meeting.rows), np.int64)])
        compared = compare(meeting.bands, self.bands, pairs, config=self.config)
        sizes = np.maximum(meeting.bands["num_shingles"].to_numpy(), self.bands["num_shingles"][0].as_py())
        is_estimate = ~compared.is_exact & (sizes > self.config.sketch_size)
        at_hand = np.flatnonzero(compared.is_open & exists(meeting.documents))
        if len(at_hand):
            compared = self._settled(compared, meeting, at_hand)
            is_estimate[at_hand] = False
        errors = np.sqrt(compared.jaccard * (1 - compared.jaccard) / self.config.sketch_size) * is_estimate
        known = dict(zip(meeting.bands["key"].to_pylist(), errors.tolist(), strict=True))
        return holding(compared, config=self.config), known

    def _settled(self, compared: Compared, meeting: _Meeting, chosen: np.ndarray) -> Compared:
        """`compared`, with `chosen` documents by all their shingles."""
        sets = shingle_sets(self.signer, meeting.documents, meeting.rows[chosen].astype(np.uint64))
        pairs = np.column_stack([np.arange(len(chosen)), np.zeros(len(chosen), np.int64)])
        exact = exact_similarities(sets, self.signer.shingles(self.document), pairs)
        jaccard, containment = compared.jaccard.copy(), compared.containment.copy()
        jaccard[chosen], containment[chosen] = exact
        return replace(compared, jaccard=jaccard, containment=containment)


def _kept_tables(path: str, columns: Sequence[str]) -> Iterator[tuple[EarlierSplit, pa.Table]]:
    """Split and rows, those of kept documents, of every band file."""
    for snapshot in read_index(path):
        for split in snapshot.splits():
            kept = read_parquet(split.verdicts, columns=["kept"])["kept"]
            yield split, read_parquet(split.bands, columns=list(columns)).filter(kept)


def _meeting(path: str, asked: pa.Table) -> Iterator[_Meeting]:
    """The documents that share a band or the exact hash with the one asked for, split by split."""
    bands = pc.list_flatten(asked["bands"]).to_numpy()
    for split, table in _kept_tables(path, _MEETING):
        meets = np.zeros(len(table), bool)
        for high, low in (("exact_high", "exact_low"), ("text_high", "text_low")):
            equal = [table[half].to_numpy() == asked[half][0].as_py() for half in (high, low)]
            meets |= equal[0] & equal[1]
        owners = np.repeat(np.arange(len(table)), pc.list_value_length(table["bands"]).to_numpy())
        meets[owners[np.isin(pc.list_flatten(table["bands"]).to_numpy(), bands)]] = True
        if meets.any():
            whole = read_parquet(split.bands)
            rows = np.flatnonzero(np.isin(whole["key"].to_numpy(), table["key"].to_numpy()[meets]))
            yield _Meeting(split.documents, rows, whole.take(rows))
