"""Where two texts differ."""

from hypothesis import given
from hypothesis import strategies as st

from ctllm.pipelines.differences import Difference, differences


def test_changed_word_is_found_in_its_sentence() -> None:
    """Of two texts that differ in a word and in a sentence more, exactly these two passages are given."""
    one = "清晨五点，菜市场醒了。买菜的大多是老人。地上的菜叶扫成了小堆。"
    other = "清晨六点，菜市场醒了。买菜的大多是老人。今天下雨！地上的菜叶扫成了小堆。"
    assert differences(one, other) == [Difference(2, 2, "五", "六"), Difference(20, 20, "", "今天下雨！")]


def test_equal_texts_differ_nowhere() -> None:
    """The same text, and no text, have no differences; nothing against something is one."""
    assert differences("一。二。", "一。二。") == differences("", "") == []
    assert differences("", "好") == [Difference(0, 0, "", "好")]


def test_long_changed_passage_is_one_difference() -> None:
    """A passage of 2,000 characters is compared by characters, one of 2,001 is given whole."""
    for size, expected in ((2000, Difference(0, 0, "甲", "乙")), (2001, None)):
        one, other = "甲" + "同" * (size - 1), "乙" + "同" * (size - 1)
        assert differences(one, other) == [expected or Difference(0, 0, one, other)]


@given(st.text("甲乙。\na", max_size=30), st.text("甲乙。\na", max_size=30))
def test_differences_turn_one_text_into_the_other(one: str, other: str) -> None:
    """Replacing every passage of the one text by that of the other gives the other, for any two texts."""
    built, end = "", 0
    for each in differences(one, other):
        assert one[each.start :].startswith(each.text)
        assert other[each.other_start :].startswith(each.other_text)
        built += one[end : each.start] + each.other_text
        end = each.start + len(each.text)
    assert built + one[end:] == other
