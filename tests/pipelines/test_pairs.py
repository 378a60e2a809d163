"""Verified pairs of a run, as a person sees them."""

from pathlib import Path

import pytest

from ctllm.pipelines.pairs import pairs_of_texts
from ctllm.schemas.errors import InputError


def test_pairs_stand_with_texts_and_differences(small_run: Path) -> None:
    """The near copy and the exact one are shown, the less similar first, each with who was removed and what differs."""
    near, exact = pairs_of_texts(str(small_run / "run"))
    assert ({near.one["id"], near.other["id"]}, near.kind) == ({"good-1", "copy-near"}, "near")
    assert [each["removed"] for each in (near.one, near.other)] == [
        near.one["id"] == "good-1",
        near.other["id"] == "good-1",
    ]
    assert near.differences
    assert (exact.kind, exact.jaccard, exact.differences) == ("exact", 1.0, [])
    assert pairs_of_texts(str(small_run / "run"), limit=1) == [near]


def test_bounds_are_inclusive(small_run: Path) -> None:
    """A pair at either bound is shown, one beyond it is not."""
    run = str(small_run / "run")
    near = pairs_of_texts(run)[0]
    assert pairs_of_texts(run, min_jaccard=near.jaccard, max_jaccard=near.jaccard) == [near]
    assert pairs_of_texts(run, max_jaccard=near.jaccard - 0.001) == []
    assert [each.kind for each in pairs_of_texts(run, min_jaccard=near.jaccard + 0.001)] == ["exact"]


def test_source_chooses_and_unknown_ones_are_named(small_run: Path) -> None:
    """Pairs of a source are those with a document of it; a name that is no source lists those there are."""
    run = str(small_run / "run")
    sources = {each["source"] for pair in pairs_of_texts(run) for each in (pair.one, pair.other)}
    for source in sources:
        assert all(source in (pair.one["source"], pair.other["source"]) for pair in pairs_of_texts(run, source=source))
    with pytest.raises(InputError, match=r"no source 'nowhere'; there are"):
        pairs_of_texts(run, source="nowhere")
