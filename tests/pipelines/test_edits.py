"""Edits: what stands where, and what the text becomes."""

from hypothesis import given
from hypothesis import strategies as st

from ctllm.pipelines.edits import Edit, apply_edits, without_overlaps


def edit(start: int, end: int, replacement: str | None = "x", kind: str = "pii:mobile") -> Edit:
    """An edit of characters `start` to `end`."""
    return Edit(kind=kind, start=start, end=end, replacement=replacement)


def test_of_overlapping_edits_the_first_counts() -> None:
    """The earlier wins, of two at one place the longer, of two alike the one named first."""
    assert without_overlaps([edit(4, 9), edit(0, 5)]) == [edit(0, 5)]
    assert without_overlaps([edit(0, 3), edit(0, 5)]) == [edit(0, 5)]
    assert without_overlaps([edit(0, 3, kind="pii:qq"), edit(0, 3)]) == [edit(0, 3, kind="pii:qq")]
    assert without_overlaps([edit(3, 5), edit(0, 3)]) == [edit(0, 3), edit(3, 5)]


def test_a_cut_swallows_what_lies_in_it() -> None:
    """A span that is cut out takes the personal data in it along, also where that begins before the cut."""
    cut = edit(5, 20, "", kind="benchmark:quiz")
    assert without_overlaps([edit(3, 8), cut, edit(19, 25), edit(30, 40)]) == [cut, edit(30, 40)]


def test_recorded_spans_leave_the_text_alone() -> None:
    """An edit without replacement is a note; an empty replacement is a cut."""
    assert apply_edits("0123456789", [edit(1, 3, None), edit(4, 6, ""), edit(8, 9, "新的")]) == "01236789".replace(
        "8", "新的"
    )
    assert apply_edits("0123", []) == "0123"


@given(st.lists(st.tuples(st.integers(0, 30), st.integers(1, 9))), st.text(min_size=40, max_size=40))
def test_replacing_by_itself_changes_nothing(spans: list[tuple[int, int]], text: str) -> None:
    """Whatever overlaps, replacing each kept span by its own text gives the text back."""
    edits = without_overlaps([edit(start, start + size, text[start : start + size]) for start, size in spans])
    assert apply_edits(text, edits) == text
