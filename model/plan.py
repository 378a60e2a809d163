"""The plan: which tokens are trained on, in which order. Decided once, offline; batch k follows from it and k alone.

1. Hold out: documents whose key hash is below `held_out_share` (at least one per lane) are never trained on.
2. Mix: each lane gets its share of tokens, in a lane each source by size and weight, in whole documents; short ones are
   repeated up to `max_epochs` (`source_max_epochs`).
3. Pack: documents longer than a sequence are split; pieces are packed best-fit decreasing (arXiv 2404.10830), one epoch
   after the other, so that a sequence never holds a document twice. No token is dropped.
4. Shuffle the sequences by seed.

A segment is (shard, offset, tokens): the tokens to be predicted, each from the one before it in the shard.
"""

import hashlib
from bisect import bisect_left, insort
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pyarrow as pa

from ctllm.model.token_shards import TokenShards
from ctllm.schemas.errors import AccountingError, ConfigError, InputError
from ctllm.schemas.files import (
    exists,
    file_digest,
    join,
    read_parquet,
    write_json,
    write_parquet,
    written_whole,
)
from ctllm.schemas.manifest import read_manifest
from ctllm.schemas.mixture import HELD_OUT_SALT, Group, group_quotas, key_hash
from ctllm.schemas.progress import Progress, ProgressEvent, silent
from ctllm.schemas.tokens import TOKEN_INDEX, LanePlan, PlanManifest, SourcePlan
from ctllm.schemas.training_config import PlanConfig

COLUMNS = ("key", "lane", "source", "offset", "num_tokens", "num_bytes")
HELD_OUT = pa.schema([*(TOKEN_INDEX.field(name) for name in COLUMNS), pa.field("shard", pa.int64(), nullable=False)])
"""Held-out documents, sorted by key hash, so that the first n of a lane are a fair sample."""


@dataclass(frozen=True)
class Documents:
    """Columns of all documents of the shards; (documents,) each."""

    shards: np.ndarray
    offsets: np.ndarray
    lengths: np.ndarray
    """Tokens, with the end of document."""
    lanes: np.ndarray
    sources: np.ndarray
    hashes: np.ndarray

    def groups(self) -> dict[Group, np.ndarray]:
        """Lane and source, sorted, to the rows of their documents."""
        names, group_of = np.unique(np.stack([self.lanes, self.sources]), axis=1, return_inverse=True)
        order = np.argsort(group_of.ravel(), kind="stable")
        counts = np.bincount(group_of.ravel(), minlength=names.shape[1])
        rows = np.split(order, np.cumsum(counts)[:-1]) if names.shape[1] else []
        return {(str(lane), str(source)): each for (lane, source), each in zip(names.T, rows, strict=True)}


class Plan:
    """A plan that `make_plan` wrote. Sequence i of pass p over it has the number `p * num_sequences + i`."""

    def __init__(self, directory: str, *, shards: TokenShards) -> None:
        """Raises InputError without a plan, AccountingError when its files or the shards are not its own."""
        if not exists(join(directory, "manifest.json")):
            raise InputError(f"{directory}: no manifest.json; run `ctllm plan` first")
        self.manifest = read_manifest(join(directory, "manifest.json"), PlanManifest, made_by="ctllm plan")
        if self.manifest.tokens_fingerprint != shards.manifest.fingerprint:
            raise AccountingError(
                f"{directory}: made for other token shards than {shards.directory}; run `ctllm plan` again"
            )
        for name, digest in self.manifest.files.items():
            path = join(directory, name)
            if not exists(path) or file_digest(path) != digest:
                raise AccountingError(f"{path}: missing, or differs from its manifest; run `ctllm plan` again")
        self.directory = directory
        self.context_length = self.manifest.context_length
        self._segments = np.load(Path(directory) / "segments.npy", mmap_mode="r")
        self._bounds = np.load(Path(directory) / "sequences.npy", mmap_mode="r")
        self._order: tuple[int, np.ndarray | None] = (0, None)

    def sequence(self, number: int) -> np.ndarray:
        """Segments of one sequence: (segments, 3), int64: shard, offset, tokens."""
        number_of_pass, place = divmod(number, self.manifest.num_sequences)
        if number_of_pass:
            place = int(self._order_of(number_of_pass)[place])
        return np.asarray(self._segments[self._bounds[place] : self._bounds[place + 1]])

    def pieces(self, shard: int, offset: int, length: int) -> list[tuple[int, list[int]]]:
        """Segments of the document that lies at [offset, offset + length), each with the place of its sequence.

        The place is the sequence's number in the first pass; `number_of` gives those of later passes.
        """
        starts = self._segments[:, 1]
        is_inside = (self._segments[:, 0] == shard) & (starts >= offset) & (starts < offset + length)
        rows = np.flatnonzero(is_inside)
        places = np.searchsorted(self._bounds, rows, side="right") - 1
        return list(zip(places.tolist(), self._segments[rows].tolist(), strict=True))

    def number_of(self, place: int, *, number_of_pass: int) -> int:
        """Which number the sequence at `place` of the first pass has in another."""
        if number_of_pass:
            place = int(np.flatnonzero(self._order_of(number_of_pass) == place)[0])
        return number_of_pass * self.manifest.num_sequences + place

    @cached_property
    def held_out(self) -> pa.Table:
        """Documents outside the plan, schema HELD_OUT."""
        return read_parquet(join(self.directory, "held_out.parquet"))

    def _order_of(self, number_of_pass: int) -> np.ndarray:
        known, order = self._order
        if order is None or known != number_of_pass:
            seed = [int(str(self.manifest.config["seed"])), number_of_pass]
            order = np.random.default_rng(seed).permutation(self.manifest.num_sequences)
            self._order = (number_of_pass, order)
        return order


def make_plan(tokens_dir: str, *, config: PlanConfig, out: str, progress: Progress = silent) -> PlanManifest:
    """Writes the plan for the shards in `tokens_dir` to the directory `out`; equal shards and config give equal bytes.

    The bytes of the shards are checked against their manifest first. Raises AccountingError when they differ,
    ConfigError when nothing is left to train on or a configured source is not there.
    """
    shards = TokenShards(tokens_dir)
    progress(ProgressEvent("plan", 0, 3, unit="steps", message="checking the shards"))
    shards.verify()
    documents, table = _read_documents(shards)
    is_held_out = _choose_held_out(documents, share=config.held_out_share)
    progress(ProgressEvent("plan", 1, 3, unit="steps", message="mixing"))
    epochs = _mix(documents, np.flatnonzero(~is_held_out), config=config)
    if not epochs:
        lanes = ", ".join(sorted(set(documents.lanes.tolist()))) or "no lanes"
        raise ConfigError(
            f"plan: nothing to train on; {tokens_dir} has {lanes}, lane_weights name {list(config.lane_weights)}"
        )
    progress(ProgressEvent("plan", 2, 3, unit="steps", message="packing"))
    segments, bounds = _pack_epochs(documents, epochs, config=config)
    _write_array(join(out, "segments.npy"), segments)
    _write_array(join(out, "sequences.npy"), bounds)
    held_out = np.flatnonzero(is_held_out)
    held_out = held_out[np.argsort(documents.hashes[held_out], kind="stable")]
    write_parquet(join(out, "held_out.parquet"), table.take(held_out))
    files = {name: file_digest(join(out, name)) for name in ("segments.npy", "sequences.npy", "held_out.parquet")}
    identity = repr((shards.manifest.fingerprint, config.digest(), files))
    num_labels = int(segments[:, 2].sum())
    manifest = PlanManifest(
        plan_digest=hashlib.sha256(identity.encode()).hexdigest()[:16],
        tokens_fingerprint=shards.manifest.fingerprint,
        config=config.model_dump(mode="json"),
        context_length=config.context_length,
        num_sequences=len(bounds) - 1,
        num_segments=len(segments),
        num_label_tokens=num_labels,
        num_documents=sum(map(len, epochs)),
        num_split_documents=int(sum((documents.lengths[rows] > config.context_length).sum() for rows in epochs)),
        padding_share=round(1 - num_labels / ((len(bounds) - 1) * config.context_length), 6),
        missing_lanes=tuple(sorted(lane for lane in config.lane_weights if lane not in documents.lanes)),
        lanes=_lane_plans(documents, epochs, is_held_out=is_held_out, config=config),
        sources=_source_plans(documents, epochs, is_held_out=is_held_out),
        files=files,
    )
    write_json(join(out, "manifest.json"), manifest.model_dump(mode="json"))
    progress(ProgressEvent("plan", 3, 3, unit="steps"))
    return manifest


def _read_documents(shards: TokenShards) -> tuple[Documents, pa.Table]:
    tables = []
    for number in range(len(shards.manifest.shards)):
        index = shards.index(number, columns=COLUMNS)
        tables.append(index.append_column(HELD_OUT.field("shard"), pa.array(np.full(len(index), number, np.int64))))
    table = pa.concat_tables(tables).cast(HELD_OUT) if tables else HELD_OUT.empty_table()
    documents = Documents(
        shards=table["shard"].to_numpy(),
        offsets=table["offset"].to_numpy(),
        lengths=table["num_tokens"].to_numpy(),
        lanes=table["lane"].to_numpy(zero_copy_only=False).astype(str),
        sources=table["source"].to_numpy(zero_copy_only=False).astype(str),
        hashes=key_hash(table["key"].to_numpy(), salt=HELD_OUT_SALT),
    )
    return documents, table


def _choose_held_out(documents: Documents, *, share: float) -> np.ndarray:
    """(documents,), bool. A lane with two documents or more gives at least one, the one with the smallest hash."""
    is_held_out = documents.hashes < share
    for lane in sorted(set(documents.lanes.tolist())):
        members = np.flatnonzero(documents.lanes == lane)
        if share > 0 and len(members) > 1 and not is_held_out[members].any():
            is_held_out[members[np.argmin(documents.hashes[members])]] = True
    return is_held_out


def _mix(documents: Documents, rows: np.ndarray, *, config: PlanConfig) -> list[np.ndarray]:
    """Rows of documents for each epoch; in one epoch every row is there at most once."""
    is_open = np.zeros(len(documents.lanes), bool)
    is_open[rows] = True
    groups = {group: members[is_open[members]] for group, members in documents.groups().items()}
    _check_sources(config, known=[source for _, source in groups])
    available = {group: int(documents.lengths[members].sum()) for group, members in groups.items()}
    total = config.total_tokens or sum(
        count
        for (lane, source), count in available.items()
        if config.lane_weights.get(lane, 0) > 0 and config.weight_of(source) > 0
    )
    quotas = group_quotas(
        available, mixture=config, total=total, epochs=config.source_max_epochs, max_epochs=config.max_epochs
    )
    epochs: dict[int, list[np.ndarray]] = defaultdict(list)
    for number, (group, quota) in enumerate(quotas.items()):
        epoch, rest = 0, quota
        while rest > 0:
            order = np.random.default_rng([config.seed, number, epoch]).permutation(groups[group])
            num_documents = int(np.searchsorted(np.cumsum(documents.lengths[order]), rest)) + 1
            epochs[epoch].append(order[:num_documents])
            rest -= int(documents.lengths[order[:num_documents]].sum())
            epoch += 1
    return [np.concatenate(epochs[epoch]) for epoch in sorted(epochs)]


def _check_sources(config: PlanConfig, *, known: Sequence[str]) -> None:
    config.check_sources(config.source_weights, place="plan, source_weights", known=known)
    config.check_sources(config.source_max_epochs, place="plan, source_max_epochs", known=known)


def _pack_epochs(
    documents: Documents, epochs: Sequence[np.ndarray], *, config: PlanConfig
) -> tuple[np.ndarray, np.ndarray]:
    """Segments (segments, 3) in the order of training, and where each sequence begins (sequences + 1,); both int64."""
    sequences: list[np.ndarray] = []
    for rows in epochs:
        pieces = split_documents(
            documents.shards[rows], documents.offsets[rows], documents.lengths[rows], longest=config.context_length
        )
        sequences += [pieces[members] for members in pack_best_fit(pieces[:, 2], capacity=config.context_length)]
    order = np.random.default_rng([config.seed, len(sequences)]).permutation(len(sequences))
    shuffled = [sequences[place] for place in order]
    bounds = np.cumsum([0, *(len(sequence) for sequence in shuffled)], dtype=np.int64)
    return np.concatenate(shuffled), bounds


def split_documents(shards: np.ndarray, offsets: np.ndarray, lengths: np.ndarray, *, longest: int) -> np.ndarray:
    """Pieces of at most `longest` tokens that cover every document: (pieces, 3), int64: shard, offset, tokens."""
    num_pieces = -(-lengths // longest)
    rows = np.repeat(np.arange(len(lengths)), num_pieces)
    within = np.arange(len(rows)) - np.repeat(np.cumsum(num_pieces) - num_pieces, num_pieces)
    starts = within * longest
    return np.stack([shards[rows], offsets[rows] + starts, np.minimum(longest, lengths[rows] - starts)], axis=1)


def pack_best_fit(lengths: np.ndarray, *, capacity: int) -> list[list[int]]:
    """Groups of pieces with at most `capacity` tokens each: longest piece first, into the fullest group that has room.

    Every length is at most `capacity`. Groups are kept by the room left in them, so a piece costs one search among the
    rooms there are, not among the groups. pack_best_fit([5, 3, 3, 2], capacity=8) == [[0, 1], [2, 3]]
    """
    groups: list[list[int]] = []
    groups_by_room: dict[int, list[int]] = defaultdict(list)
    rooms: list[int] = []
    for piece in np.argsort(-np.asarray(lengths), kind="stable").tolist():
        length = int(lengths[piece])
        place = bisect_left(rooms, length)
        if place == len(rooms):
            group, room = len(groups), capacity
            groups.append([])
        else:
            room = rooms[place]
            group = groups_by_room[room].pop()
            if not groups_by_room[room]:
                rooms.pop(place)
        groups[group].append(piece)
        if not groups_by_room[room - length]:
            insort(rooms, room - length)
        groups_by_room[room - length].append(group)
    return groups


def _lane_plans(
    documents: Documents, epochs: Sequence[np.ndarray], *, is_held_out: np.ndarray, config: PlanConfig
) -> dict[str, LanePlan]:
    present = sorted(set(documents.lanes.tolist()))
    weights = {lane: config.lane_weights.get(lane, 0.0) for lane in present}
    total = sum(int(documents.lengths[rows].sum()) for rows in epochs)
    plans = {}
    for lane in present:
        in_lane = documents.lanes == lane
        taken = _source_plan(documents, epochs, is_held_out=is_held_out, is_in=in_lane)
        plans[lane] = LanePlan(
            **taken.model_dump(),
            wanted_share=round(weights[lane] / sum(weights.values()), 4),
            planned_share=round(taken.planned_tokens / total, 4),
            held_out_documents=int((in_lane & is_held_out).sum()),
        )
    return plans


def _source_plans(
    documents: Documents, epochs: Sequence[np.ndarray], *, is_held_out: np.ndarray
) -> dict[str, dict[str, SourcePlan]]:
    plans: dict[str, dict[str, SourcePlan]] = defaultdict(dict)
    for (lane, source), members in documents.groups().items():
        is_in = np.zeros(len(documents.lanes), bool)
        is_in[members] = True
        plans[lane][source] = _source_plan(documents, epochs, is_held_out=is_held_out, is_in=is_in)
    return plans


def _source_plan(
    documents: Documents, epochs: Sequence[np.ndarray], *, is_held_out: np.ndarray, is_in: np.ndarray
) -> SourcePlan:
    available = int(documents.lengths[is_in & ~is_held_out].sum())
    planned = sum(int(documents.lengths[rows[is_in[rows]]].sum()) for rows in epochs)
    return SourcePlan(available_tokens=available, planned_tokens=planned, epochs=round(planned / max(available, 1), 4))


def _write_array(path: str, array: np.ndarray) -> None:
    with written_whole(path) as file:
        np.save(file, array)
