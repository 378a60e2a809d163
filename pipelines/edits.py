"""Changes to published text: where in the text before them, what stood there, what stands there now."""

from collections.abc import Iterable, Sequence
from typing import TypedDict

CUT_PREFIX = "benchmark:"
"""Kinds of spans that are cut out whole; what lies in them needs no change of its own."""


class Edit(TypedDict):
    """One change, as schemas.document.EDITS holds it: characters `start` to `end` of the text before edits."""

    kind: str
    start: int
    end: int
    replacement: str | None
    """None where the span is only recorded and the text stays."""


def without_overlaps(edits: Iterable[Edit]) -> list[Edit]:
    """The edits in order of their place, of overlapping ones the first: cuts before others, then earlier and longer."""
    ranked = sorted(edits, key=lambda edit: (not edit["kind"].startswith(CUT_PREFIX), edit["start"], -edit["end"]))
    kept: list[Edit] = []
    for edit in ranked:
        if all(edit["end"] <= other["start"] or other["end"] <= edit["start"] for other in kept):
            kept.append(edit)
    return sorted(kept, key=lambda edit: edit["start"])


def apply_edits(text: str, edits: Sequence[Edit]) -> str:
    """`text` with every replacement in its place; `edits` are in order and do not overlap."""
    pieces: list[str] = []
    done = 0
    for edit in edits:
        if edit["replacement"] is not None:
            pieces += [text[done : edit["start"]], edit["replacement"]]
            done = edit["end"]
    return "".join([*pieces, text[done:]])
