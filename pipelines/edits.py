"""Changes to published text: where in the text before them, what stood there, what stands there now."""

from collections.abc import Iterable, Iterator, Sequence
from typing import TypedDict


class Edit(TypedDict):
    """One change, as schemas.document.EDITS holds it: characters `start` to `end` of the text before edits."""

    kind: str
    start: int
    end: int
    replacement: str | None
    """None where the span is only recorded and the text stays; "" where it is cut out."""


def without_overlaps(edits: Iterable[Edit]) -> list[Edit]:
    """The edits in order of their place, of overlapping ones the first: earlier, then longer, then named first."""
    kept: list[Edit] = []
    for edit in sorted(edits, key=lambda edit: (edit["start"], -edit["end"])):
        if not kept or kept[-1]["end"] <= edit["start"]:
            kept.append(edit)
    return kept


def with_planned(edits: Sequence[Edit], planned: Sequence[Edit]) -> list[Edit]:
    """`edits`, of which only what lies outside planned cuts is left, and the planned ones, in order of their place.

    Of an edit that a cut divides, the first part stands for the whole. Planned notes lie over edits and hinder none.
    """
    cuts = [edit for edit in planned if edit["replacement"] is not None]
    left = [piece for edit in edits for piece in _outside(edit, cuts)]
    return sorted([*left, *planned], key=lambda edit: (edit["start"], edit["end"]))


def _outside(edit: Edit, cuts: Sequence[Edit]) -> Iterator[Edit]:
    """The parts of `edit` that no cut takes; `cuts` are in order and do not overlap."""
    start, replacement = edit["start"], edit["replacement"]
    gaps = [(cut["start"], cut["end"]) for cut in cuts if cut["start"] < edit["end"] and edit["start"] < cut["end"]]
    for stop, resume in [*gaps, (edit["end"], edit["end"])]:
        if start < stop:
            yield Edit(kind=edit["kind"], start=start, end=stop, replacement=replacement)
            replacement = None if replacement is None else ""
        start = max(start, resume)


def apply_edits(text: str, edits: Sequence[Edit]) -> str:
    """`text` with every replacement in its place; `edits` are in order, and those that replace do not overlap."""
    pieces: list[str] = []
    done = 0
    for edit in edits:
        if edit["replacement"] is not None:
            pieces += [text[done : edit["start"]], edit["replacement"]]
            done = edit["end"]
    return "".join([*pieces, text[done:]])
