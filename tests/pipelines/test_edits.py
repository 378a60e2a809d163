"""Edits: what stands where, and what the text becomes."""

from hypothesis import given
from hypothesis import strategies as st

from ctllm.pipelines.edits import Edit, apply_edits, with_planned, without_overlaps


def edit(start: int, end: int, replacement: str | None = "x", kind: str = "pii:mobile") -> Edit:
    """An edit of characters `start` to `end`."""
    return Edit(kind=kind, start=start, end=end, replacement=replacement)


def test_of_overlapping_edits_the_first_counts() -> None:
    """The earlier wins, of two at one place the longer, of two alike the one named first."""
    assert without_overlaps([edit(4, 9), edit(0, 5)]) == [edit(0, 5)]
    assert without_overlaps([edit(0, 3), edit(0, 5)]) == [edit(0, 5)]
    assert without_overlaps([edit(0, 3, kind="pii:qq"), edit(0, 3)]) == [edit(0, 3, kind="pii:qq")]
    assert without_overlaps([edit(3, 5), edit(0, 3)]) == [edit(0, 3), edit(3, 5)]


def cut(start: int, end: int) -> Edit:
    """Characters `start` to `end` cut out."""
    return edit(start, end, "", kind="benchmark:quiz")


def test_a_cut_takes_what_lies_in_it() -> None:
    """Personal data within a cut needs no change of its own; of what sticks out the rest is replaced."""
    planned = [cut(5, 20)]
    edits = [edit(3, 8), edit(9, 20), edit(19, 25), edit(30, 40)]
    assert with_planned(edits, planned) == [edit(3, 5), cut(5, 20), edit(20, 25), edit(30, 40)]
    assert with_planned([edit(1, 5), edit(20, 22)], planned) == [edit(1, 5), cut(5, 20), edit(20, 22)]


def test_a_secret_that_a_cut_divides_has_one_placeholder() -> None:
    """A key of several lines, some of them cut: nothing of it stays, and one word says what stood there."""
    edits = with_planned([edit(2, 9, "<K>")], [cut(4, 5), cut(6, 7)])
    assert apply_edits("0123456789", edits) == "01<K>9"
    tagged = with_planned([edit(2, 9, None)], [cut(4, 5)])
    assert apply_edits("0123456789", tagged) == "012356789"


def test_a_note_hinders_nothing() -> None:
    """A flagged item is recorded, and the telephone number in it is replaced all the same."""
    note = edit(2, 9, None, kind="benchmark:quiz")
    assert with_planned([edit(4, 6), edit(8, 10)], [note]) == [note, edit(4, 6), edit(8, 10)]
    assert apply_edits("0123456789", with_planned([edit(4, 6)], [note])) == "0123x6789"


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


SPANS = st.lists(st.tuples(st.integers(0, 30), st.integers(1, 9)))


@given(SPANS, SPANS)
def test_cuts_and_redactions_take_every_character_they_name(
    found: list[tuple[int, int]], cuts: list[tuple[int, int]]
) -> None:
    """Whatever overlaps, a character stays if no cut and no redaction that counts names it, and only then."""
    text = "".join(chr(ord("一") + at) for at in range(40))
    redacted = without_overlaps([edit(start, start + size, "#") for start, size in found])
    planned = without_overlaps([cut(start, start + size) for start, size in cuts])
    gone = {at for each in [*redacted, *planned] for at in range(each["start"], each["end"])}
    published = apply_edits(text, with_planned(redacted, planned))
    assert published.replace("#", "") == "".join(char for at, char in enumerate(text) if at not in gone)
    outside = [
        each
        for each in redacted
        if not set(range(each["start"], each["end"])) <= {at for c in planned for at in range(c["start"], c["end"])}
    ]
    assert published.count("#") == len(outside)
