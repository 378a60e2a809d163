"""Windows: small parts of a text in which positions can be told in the whole."""

from hypothesis import given
from hypothesis import strategies as st

from ctllm.pipelines.privacy.context import Window


@given(st.text(st.sampled_from("汉ＡＢ１２＠．a1\n") | st.characters(exclude_categories=["Cs"])), st.data())
def test_positions_are_those_of_the_text(text: str, data: st.DataObject) -> None:
    """Whatever the window holds, its origin leads back to the same characters; full-width ones have become ASCII."""
    start = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(start, len(text)))
    window = Window.around(text, start, end, before=4, after=7)
    assert (window.origin + window.start, window.origin + window.end) == (start, end)
    assert len(window.text) == len(text[max(0, start - 4) : end + 7])
    folded = {chr(0xFF01 + at): chr(0x21 + at) for at in range(94)} | {"\u3000": " "}
    for at, character in enumerate(window.text):
        assert character == folded.get(text[window.origin + at], text[window.origin + at])


def test_words_before_end_at_the_line() -> None:
    """What stands on the line before says nothing about a number."""
    window = Window.around("订单号\n甲13812345678", 5, 16)
    assert window.before(5, 10) == "甲"
    assert window.before(5, 1) == "甲"
    assert window.before(4, 10) == ""
