"""Personal data goes, everything that only looks like it stays."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ctllm.pipelines.privacy import ID_CHECK_DIGITS, ID_WEIGHTS, TAGS, is_id_number, redact
from ctllm.schemas.curation_config import PrivacyConfig

EVERYTHING = PrivacyConfig()


def redacted(text: str, config: PrivacyConfig = EVERYTHING) -> str:
    """One text as published."""
    return redact([text], config=config)[0][0]


def id_number(first_17: str) -> str:
    """An ID number with its check digit."""
    return first_17 + ID_CHECK_DIGITS[sum(w * int(d) for w, d in zip(ID_WEIGHTS, first_17, strict=True)) % 11]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("联系电话13812345678，周一至周五", "联系电话<手机号>，周一至周五"),
        ("手机：138-1234-5678", "手机：<手机号>"),
        ("加微信138 1234 5678咨询", "加微信<手机号>咨询"),
        ("+86 19912345678", "<手机号>"),
        ("请写信给zhang.san@example.com咨询", "请写信给<邮箱>咨询"),
        ("邮箱：a_b+c@mail.example.com.cn。", "邮箱：<邮箱>。"),
        (f"身份证号{id_number('11010119900307451')}，住址", "身份证号<身份证号>，住址"),
        (f"身份证{id_number('44052419800101001').lower()}", "身份证<身份证号>"),
    ],
)
def test_personal_data_beside_han_characters_is_replaced(text: str, expected: str) -> None:
    """Numbers and addresses go although no space parts them from the Chinese text; that text stays."""
    assert redacted(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "版本 1.3.8.12345678 发布于 2023-05-17",
        "订单号 20190307138123456789",
        "圆周率 3.13812345678901",
        "共 12345678901 元，编号 10012345678",
        "序列 12012345678 和 13812345678901",
        "https://example.com/p/13812345678.html?id=13912345678",
        "统一代码 110101199003074510",
        "号码 110101199013324512",
        "用户 @zhangsan 在 v2@latest",
        "git@github",
        "二〇二三年五月十七日，人民币壹佰元",
        "md5 d41d8cd98f00b204e9800998ecf8427e13812345678",
    ],
)
def test_versions_dates_and_other_numbers_stay(text: str) -> None:
    """Only numbers of a segment in use, with valid date and check digit, are personal data."""
    assert redacted(text) == text


def test_edits_say_what_stood_where_in_the_text_before() -> None:
    """Spans count characters of the original, emoji and rare Han characters as one each."""
    text = "𠀀😀：13812345678，a@b.cn"
    ((published, edits),) = redact([text], config=EVERYTHING)
    assert published == "𠀀😀：<手机号>，<邮箱>"
    assert edits == [
        {"kind": "pii:mobile", "start": 3, "end": 14, "replacement": "<手机号>"},
        {"kind": "pii:email", "start": 15, "end": 21, "replacement": "<邮箱>"},
    ]
    assert [text[edit["start"] : edit["end"]] for edit in edits] == ["13812345678", "a@b.cn"]


def test_a_type_that_is_off_stays() -> None:
    """Each type of personal data has its own switch."""
    text = "13812345678 a@b.cn"
    assert redacted(text, PrivacyConfig(mobile="off")) == "13812345678 <邮箱>"
    assert redacted(text, PrivacyConfig(mobile="off", email="off", id_card="off")) == text


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


@given(st.text(st.sampled_from("汉 1380-+@.ab13812345678x，") | st.characters(exclude_categories=["Cs"])))
def test_edits_turn_the_text_before_into_the_published_one(text: str) -> None:
    """Applying the edits from the end gives the published text; redacting that again changes nothing."""
    ((published, edits),) = redact([text], config=EVERYTHING)
    restored = text
    for edit in reversed(edits):
        restored = restored[: edit["start"]] + edit["replacement"] + restored[edit["end"] :]
        assert edit["replacement"] in TAGS.values()
    assert restored == published
    assert redacted(published) == published
