"""Tests of charset detection."""

import csv
from pathlib import Path

import pytest
from fastwarc.warc import ArchiveIterator, WarcRecordType

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
    "lie", ["iso-8859-1", "windows-1252", "us-ascii", "gb2312", "big5", "utf-8", "nonsense", "utf-16"]
)
@pytest.mark.parametrize(("text", "codec", "name"), [(ZH, "gb2312", "gb18030"), (ZH, "gbk", "gb18030"), (ZH, "gb18030",
    "gb18030"), (HANT, "gbk", "gb18030"), (HANT, "big5", "big5"), (ZH, "utf-8", "utf-8")])  # fmt: skip
def test_a_server_that_lies_is_not_believed(text: str, codec: str, name: str, lie: str) -> None:
    """Chinese bytes are read as what they are, whatever header and meta tag say of them."""
    assert decode(text.encode(codec), http_charset=lie) == Decoded(text, name)
    decoded = decode(page(text, lie, codec), http_charset=lie, is_html=True)
    assert decoded is not None
    assert (decoded.charset, decoded.text.endswith(text)) == (name, True)


@pytest.mark.parametrize(
    ("text", "codec", "declared"),
    [
        ("L’été dernier, où étaient-ils? « Déjà là », répondit-elle à Noël.", "cp1252", "iso-8859-1"),
        ("Über größere Mühen äußerte sich Frau Jäger höchst ärgerlich.", "latin-1", "windows-1252"),
        ("БОЛЬШИЕ БУКВЫ и маленькие буквы", "cp1251", "windows-1251"),
        ("большие и маленькие буквы", "koi8_r", "koi8-r"),
        ("ΜΕΓΑΛΑ και μικρά γράμματα", "iso8859_7", "iso-8859-7"),
        ("吾輩は猫である。名前はまだ無い。", "shift_jis", "shift_jis"),
        ("대한민국의 모든 권력은 국민으로부터 나온다.", "euc_kr", "euc-kr"),
        ("吾輩は猫である。名前はまだ無い。", "euc_jp", "iso-8859-1"),
    ],
)
def test_other_languages_are_not_taken_for_chinese(text: str, codec: str, declared: str) -> None:
    """Honest declarations of Western, Cyrillic, Greek, Japanese and Korean charsets count; Japanese needs none."""
    decoded = decode(text.encode(codec), http_charset=declared)
    assert decoded is not None
    assert decoded.text == text


def test_a_little_chinese_behind_much_markup_is_found() -> None:
    """One sentence behind 30 kB of scripts decides, declared or not."""
    data = b"<script>var x = 1;</script>\n" * 1200 + HANT.encode("big5")
    for declared in (None, "iso-8859-1"):
        decoded = decode(data, http_charset=declared, is_html=True)
        assert decoded is not None
        assert decoded.text.endswith(HANT)


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


@pytest.mark.private_data
def test_real_chinese_pages_decode_as_what_they_are(private_data: Path) -> None:
    """All 770 Chinese portal pages of 2019 decode without U+FFFD (99 % are asked for), in the charset of the index."""
    folder = private_data / "restricted"
    with (folder / "web_zh_pages.index.tsv").open(encoding="utf-8", newline="") as file:
        index = list(csv.DictReader(file, delimiter="\t"))
    with (folder / "web_zh_pages.warc.gz").open("rb") as file:
        records = ArchiveIterator(file, record_types=WarcRecordType.response)
        decoded = [decode(record.reader.read(), is_html=True) for record in records]
    chinese = [
        (found, row["charset_used"])
        for found, row in zip(decoded, index, strict=True)
        if row["class"] != "junk_or_non_zh"
    ]
    assert len(chinese) == 770
    assert sum(found is not None and "\ufffd" not in found.text for found, _ in chinese) >= 0.99 * 770
    assert [found.charset for found, _ in chinese if found] == [charset for _, charset in chinese]
