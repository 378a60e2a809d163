"""Numbers of persons obey rules; these are the rules, both sides of each."""

import pytest

from ctllm.pipelines.privacy.context import Window
from ctllm.pipelines.privacy.numbers import (
    ID_CHECK_DIGITS,
    ID_WEIGHTS,
    find_bank_cards,
    find_id_cards,
    find_landlines,
    find_mobiles,
    has_luhn_digit,
    is_id_number,
)


def window(text: str) -> Window:
    """A window with the whole text as candidate."""
    return Window.around(text, 0, len(text))


def spans(find: object, text: str) -> list[str]:
    """What a finder finds in a text."""
    return [text[first:last] for first, last in find(window(text))]  # type: ignore[operator]


def id_number(first_17: str) -> str:
    """An ID number with its check digit."""
    return first_17 + ID_CHECK_DIGITS[sum(w * int(d) for w, d in zip(ID_WEIGHTS, first_17, strict=True)) % 11]


@pytest.mark.parametrize(
    ("first_17", "is_valid"),
    [
        ("11010119000228001", True),
        ("11010119000229001", False),
        ("11010118991231001", False),
        ("99010119900307451", False),
        ("11010120000229001", True),
        ("11010119901301001", False),
    ],
)
def test_an_id_number_has_a_province_and_a_date(first_17: str, is_valid: bool) -> None:
    """A right check digit alone makes no identity: leap days, months, centuries and provinces count."""
    assert is_id_number(id_number(first_17)) is is_valid
    assert not is_id_number(first_17 + ("1" if id_number(first_17)[-1] == "0" else "0"))


def test_an_old_id_number_needs_its_name() -> None:
    """Fifteen digits without check digit are an identity only where the text says so, and only with a date."""
    assert spans(find_id_cards, "身份证号110101010203001") == ["110101010203001"]
    assert spans(find_id_cards, "身份证号110101011303001") == []
    assert spans(find_id_cards, "流水110101010203001") == []


@pytest.mark.parametrize(
    ("digits", "is_right"), [("79927398713", True), ("79927398710", False), ("0", True), ("18", True), ("81", False)]
)
def test_luhn_digit(digits: str, is_right: bool) -> None:
    """The worked example of ISO/IEC 7812-1 and hand-made ones; a transposition is noticed."""
    assert has_luhn_digit(digits) is is_right


@pytest.mark.parametrize("segment", ["133", "145", "150", "166", "171", "180", "199"])
def test_segments_in_use_are_mobile_numbers(segment: str) -> None:
    """Numbers of segments in use are found, plain and in groups; one digit more or less is another thing."""
    assert spans(find_mobiles, f"打{segment}12345678") == [f"{segment}12345678"]
    assert spans(find_mobiles, f"打{segment}-1234-5678") == [f"{segment}-1234-5678"]
    assert spans(find_mobiles, f"打{segment}1234567") == []
    assert spans(find_mobiles, f"打{segment}123456789") == []


@pytest.mark.parametrize("segment", ["120", "144", "154", "160", "164", "179", "194", "110"])
def test_other_segments_are_none(segment: str) -> None:
    """Segments for machines or not given out are no persons."""
    assert spans(find_mobiles, f"打{segment}12345678") == []


@pytest.mark.parametrize("before", ["订单号", "编号：", "SKU ", "价格$", "约", "id: "])
def test_words_make_a_number_the_name_of_a_thing(before: str) -> None:
    """A serial number is none, unless the text also says telephone."""
    expected = ["13812345678"] if before == "约" else []
    assert spans(find_mobiles, f"{before}13812345678。") == expected


def test_area_codes() -> None:
    """A landline number has an area code in use and seven or eight digits; in one piece only after a word."""
    assert spans(find_landlines, "010-66668888 026-66668888 0310-6666888") == ["010-66668888", "0310-6666888"]
    assert spans(find_landlines, "0571-666688881") == []
    assert spans(find_landlines, "热线02066668888") == ["02066668888"]
    assert spans(find_landlines, "尾号02066668888") == []


def test_other_cards_need_a_word_or_groups() -> None:
    """A 16-digit number beginning with 4 is a card only where the text or its groups say so; ours by range alone."""
    assert spans(find_bank_cards, "号4012888888881881") == []
    assert spans(find_bank_cards, "卡号4012888888881881") == ["4012888888881881"]
    assert spans(find_bank_cards, "号4012 8888 8888 1881") == ["4012 8888 8888 1881"]
    assert spans(find_bank_cards, "卡号4012 8888 8888 1882") == []
    assert spans(find_bank_cards, "号6222020000000000125") == ["6222020000000000125"]
    assert spans(find_bank_cards, "单号6222020000000000125") == []
    assert spans(find_bank_cards, "卡号4111 1111 1111 1111") == []  # the number of every manual, nobody's
