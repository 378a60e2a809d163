"""Tests of lanes."""

from pathlib import Path

import pyarrow as pa
import pytest

from ctllm.pipelines.batch import TextBatch
from ctllm.pipelines.language import DocumentLanguage, LanguageIdentifier, describe_languages
from ctllm.schemas.curation_config import LanguageConfig
from ctllm.schemas.errors import MissingPartError

EN = "The committee met on Tuesday and agreed that the bridge should be repaired before winter."
DE = "Der Ausschuss tagte am Dienstag und beschloss, die Brücke noch vor dem Winter zu reparieren."
JA = "委員会は火曜日に開かれ、冬までに橋を修理することで合意した。"
CODE = "int f(int x) {\n  return x;\n}\n" * 3


@pytest.fixture(scope="module")
def identifier() -> LanguageIdentifier:
    """The installed model."""
    return LanguageIdentifier.load()


def batch(text: str) -> TextBatch:
    """One text as the pipeline holds it."""
    return TextBatch.of(pa.array([text], pa.large_string()))


def describe(text: str, identifier: LanguageIdentifier, code_language: str | None = None) -> DocumentLanguage:
    """Lane, language and script of one text."""
    return describe_languages(batch(text), code_languages=[code_language], identifier=identifier)[0]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("委员会星期二开会，同意入冬前把桥修好。", ("zh", "zh", "hans")),
        ("委員會星期二開會，同意入冬前把橋修好。", ("zh", "zh", "hant")),
        ("子曰：學而時習之，不亦說乎？", ("zh", "zh", "hant")),
        (EN, ("en", "en", "latin")),
        (DE, ("other", "de", "latin")),
        (JA, ("other", "ja", "kana")),
        (CODE, ("code", "code", "latin")),
        ("…… 12,5 ——", ("other", "und", "other")),
    ],
)
def test_the_lane_of_a_text(text: str, expected: tuple[str, str, str], identifier: LanguageIdentifier) -> None:
    """Chinese of either script and English have lanes, code is told by its look, everything else is `other`."""
    found = describe(text, identifier)
    assert (found.lane, found.lang, found.script) == expected


def test_path_or_record_make_code_of_anything(identifier: LanguageIdentifier) -> None:
    """A source file with Chinese comments only is code, in the language that its path names."""
    assert describe("# 这是注释", identifier, "python") == DocumentLanguage("code", "python", 1.0, "hans")


def test_a_chinese_article_that_quotes_code_is_chinese(identifier: LanguageIdentifier) -> None:
    """Half of its lines are a program, but its readers read Chinese."""
    article = "下面的函数原样返回它的参数，编译器会把它整个省掉：\n" * 3 + CODE
    assert describe(article, identifier).lane == "zh"


def test_the_han_share_bound_is_inclusive(identifier: LanguageIdentifier) -> None:
    """At exactly `min_han_share` of the letters the script decides; just above it the identifier is asked."""
    text = EN + "汉" * 18  # 72 Latin letters
    num_latin = sum(char.isalpha() for char in EN)
    share = 18 / (18 + num_latin)
    for bound, lane in ((share, "zh"), (share + 0.01, "en")):
        config = LanguageConfig(min_han_share=bound)
        assert (
            describe_languages(batch(text), code_languages=[None], identifier=identifier, config=config)[0].lane == lane
        )


def test_whitespace_is_folded_and_only_the_start_is_read(identifier: LanguageIdentifier) -> None:
    """Line breaks do not disturb the identifier, and what stands behind the first characters does not count."""
    broken = EN.replace(" ", "\n \t")
    labels, scores = identifier.identify([EN, broken])
    assert labels == ["en", "en"]
    assert scores[0] == scores[1]
    labels, _ = identifier.identify([EN + DE * 20], num_chars=80)
    assert labels == ["en"]


def test_scores_are_shares_and_blank_texts_are_undetermined(identifier: LanguageIdentifier) -> None:
    """Every score lies between 0 and 1; an empty batch and a blank text are answered too."""
    labels, scores = identifier.identify([EN, "  \n", DE])
    assert labels == ["en", "und", "de"]
    assert scores[1] == 0
    assert all(0 <= score <= 1 for score in scores)
    assert identifier.identify([]) == ([], [])


def test_a_missing_model_names_the_way_out(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Without the model the message names `ctllm setup`."""
    monkeypatch.delenv("CTLLM_LID_MODEL", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    with pytest.raises(MissingPartError, match="ctllm setup"):
        LanguageIdentifier.load()
