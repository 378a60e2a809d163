"""Tests of charset detection."""

import pytest

from ctllm.pipelines.charset import Decoded, decode

ZH = "他们在这里的工作，是为了说明：国家与个人之间的关系。"
HANT = "他們在這裡的工作，是為了說明：國家與個人之間的關係。"


def page(text: str, charset: str, codec: str) -> bytes:
    """A page that declares `charset` behind 2 kB of keywords and is written in `codec`."""
    keywords = f'<meta name="keywords" content="{"word, " * 350}">'
    declaration = f"<META http-equiv=Content-Type content='text/html; charset={charset}'>"
    return f"<html><head>{keywords}{declaration}</head>{text}".encode(codec)


@pytest.mark.parametrize("declared", ["gb2312", "GBK", "x-gbk", "gb18030"])
def test_gb2312_and_its_kin_are_read_as_gb18030(declared: str) -> None:
    """A page that declares gb2312 may hold characters of GBK and GB18030 (镕, 㐂), as browsers allow."""
    decoded = decode(page(ZH + "镕㐂", declared, "gb18030"), is_html=True)
    assert decoded is not None
    assert decoded.charset == "gb18030"
    assert decoded.text.endswith(ZH + "镕㐂")


def test_big5_is_read_with_hong_kong_characters() -> None:
    """A Big5 page with 啲 and 嘅 of the Hong Kong set decodes, and its charset is called big5."""
    decoded = decode(page(HANT + "啲嘅", "big5", "big5hkscs"), is_html=True)
    assert decoded is not None
    assert (decoded.charset, decoded.text[-2:]) == ("big5", "啲嘅")


def test_valid_utf8_wins_over_a_wrong_declaration() -> None:
    """A page that declares gb2312 in header and meta but sends UTF-8 is not garbled."""
    decoded = decode(page(ZH, "gb2312", "utf-8"), http_charset="gbk", is_html=True)
    assert decoded is not None
    assert decoded.charset == "utf-8"
    assert decoded.text.endswith(ZH)


def test_a_wrong_utf8_declaration_is_overruled_by_the_bytes() -> None:
    """A page that declares UTF-8 but sends GBK is read as GB18030."""
    decoded = decode(page(ZH, "utf-8", "gbk"), is_html=True)
    assert decoded is not None
    assert decoded.charset == "gb18030"
    assert decoded.text.endswith(ZH)


def test_a_late_declaration_is_found() -> None:
    """The meta tag counts behind 2 kB of keywords too: ő is only ő in the charset that it names."""
    decoded = decode(page("ő", "iso-8859-2", "iso-8859-2"), is_html=True)
    assert decoded is not None
    assert decoded.text.endswith("ő")


def test_the_http_header_goes_before_the_meta_tag() -> None:
    """Where both fit, the server's word counts, as in browsers."""
    decoded = decode(page("é", "iso-8859-2", "latin-1"), http_charset="iso-8859-1", is_html=True)
    assert decoded is not None
    assert decoded.text.endswith("é")
    assert decoded.charset == "cp1252"


@pytest.mark.parametrize(
    ("text", "codec", "name"), [(ZH, "gbk", "gb18030"), (HANT, "big5", "big5"), ("的", "gbk", "gb18030")]
)
def test_undeclared_chinese_is_told_by_its_everyday_characters(text: str, codec: str, name: str) -> None:
    """One short sentence without any declaration is enough to tell GBK from Big5."""
    assert decode(text.encode(codec)) == Decoded(text, name)


@pytest.mark.parametrize(
    ("text", "codec"), [("吾輩は猫である。名前はまだ無い。", "euc_jp"), ("Größe, Übermut und Äpfel für alle", "cp1252")]
)
def test_other_languages_are_left_to_the_detector(text: str, codec: str) -> None:
    """Japanese and German bytes are not taken for Chinese."""
    decoded = decode(text.encode(codec))
    assert decoded is not None
    assert decoded.text == text


@pytest.mark.parametrize(
    ("mark", "codec", "name"),
    [
        (b"\xef\xbb\xbf", "utf-8", "utf-8"),
        (b"\xff\xfe", "utf-16-le", "utf-16-le"),
        (b"\xfe\xff", "utf-16-be", "utf-16-be"),
    ],
)
def test_a_byte_order_mark_decides_and_is_not_part_of_the_text(mark: bytes, codec: str, name: str) -> None:
    """Files saved by Windows editors decode, without U+FEFF at their head."""
    assert decode(mark + ZH.encode(codec), http_charset="gbk") == Decoded(ZH, name)


def test_a_page_cut_inside_a_character_keeps_its_text() -> None:
    """One lost character in a hundred and more costs one U+FFFD, not the page."""
    decoded = decode((ZH * 6).encode()[:-1])
    assert decoded is not None
    assert decoded.charset == "utf-8"
    assert decoded.text == (ZH * 6)[:-1] + "\ufffd"


def test_bytes_that_fit_no_charset_give_none() -> None:
    """UTF-8 with every tenth byte knocked out is no text in any charset."""
    data = bytearray(ZH.encode() * 20)
    data[::10] = b"\xff" * len(data[::10])
    assert decode(bytes(data), http_charset="utf-8") is None


def test_ascii_and_nothing_are_utf8() -> None:
    """Pure ASCII and the empty file need no detection."""
    assert decode(b"plain") == Decoded("plain", "utf-8")
    assert decode(b"") == Decoded("", "utf-8")
