"""Pictures for run pages."""

import base64
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ctllm.flows.pictures import as_markdown, curve, thinned, waterfall

SVG = "{http://www.w3.org/2000/svg}"


def bars(svg: str) -> list[tuple[float, float]]:
    """Left edge and width of every bar."""
    rects = ElementTree.fromstring(svg).findall(f"{SVG}rect")[1:]  # the first is the ground
    return [(float(rect.attrib["x"]), float(rect.attrib["width"])) for rect in rects]


def test_bars_of_a_waterfall_hang_together() -> None:
    """Each loss begins where the one before ended, and what is left is exactly the bar of the kept."""
    read, short, spam, kept = bars(waterfall(100, [("too short", 30), ("spam", 10)], kept=60))
    assert sum(short) == pytest.approx(sum(read), abs=0.11)
    assert sum(spam) == pytest.approx(short[0], abs=0.11)
    assert sum(kept) == pytest.approx(spam[0], abs=0.11)


def test_names_are_escaped() -> None:
    """A reason with markup in its name is shown as text."""
    texts = [each.text for each in ElementTree.fromstring(waterfall(1, [("a<b&c", 1)], kept=0)).iter(f"{SVG}text")]
    assert "a<b&c" in texts


def test_nothing_read_is_a_picture_too() -> None:
    """An empty run draws bars of no length instead of failing."""
    assert len(bars(waterfall(0, [], kept=0))) == 2


@pytest.mark.parametrize("values", [[], [3.0], [2.0, 2.0], [float(value) for value in range(5000)]])
def test_curve_stays_in_its_frame(values: list[float]) -> None:
    """A curve of no, one, equal or many values lies inside the picture."""
    root = ElementTree.fromstring(curve(values, x_label="step", y_label="loss"))
    line = root.find(f"{SVG}polyline")
    assert line is not None
    points = [tuple(map(float, point.split(","))) for point in line.attrib["points"].split()]
    assert len(points) == min(len(values), 400)
    width, height = float(root.attrib["width"]), float(root.attrib["height"])
    assert all(0 <= x <= width and 0 <= y <= height for x, y in points)


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=300), st.integers(1, 50))
def test_thinning_keeps_the_mean(values: list[float], max_points: int) -> None:
    """Thinning averages equal pieces: order and range are kept, and no piece is left out."""
    points = thinned(values, max_points=max_points)
    assert len(points) == min(len(values), max_points)
    assert [x for x, _ in points] == sorted(x for x, _ in points)
    assert all(min(values) - 1e-3 <= y <= max(values) + 1e-3 for _, y in points)
    if len(values) <= max_points:
        assert points == [(float(index), value) for index, value in enumerate(values)]


def test_thinning_by_hand() -> None:
    """Four values in two points: the means of the halves, at their middles."""
    assert thinned([1.0, 3.0, 10.0, 20.0], max_points=2) == [(0.5, 2.0), (2.5, 15.0)]


def test_markdown_carries_the_picture() -> None:
    """The image in Markdown is the picture itself, no address."""
    picture = waterfall(1, [], kept=1)
    markdown = as_markdown(picture, title="funnel")
    head, _, data = markdown.removesuffix(")").partition("base64,")
    assert head == "![funnel](data:image/svg+xml;"
    assert base64.b64decode(data).decode() == picture
