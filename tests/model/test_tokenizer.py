"""The tokenizer: exact round trips, no forged symbols, the same bytes every time."""

from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ctllm.model.tokenizer import Tokenizer, train_tokenizer
from ctllm.schemas.document import CURATED
from ctllm.schemas.errors import ConfigError, InputError
from ctllm.schemas.files import write_parquet
from ctllm.schemas.manifest import finish_stage
from ctllm.schemas.tokens import SYMBOLS
from ctllm.schemas.training_config import TokenizerConfig

ZH = "山下有一条河，河边住着一位会修钟的老人。每天早晨他都把门打开，让光照进来。\n2024年，他修好了第1000座钟。"
EN = "Below the hill there is a river, and by the river lives an old man who mends clocks.\nEvery morning he wakes."
CODE = "def mend(clock):\n    for wheel in clock.wheels:\n        wheel.turn(12)\n    return clock\n"
CONFIG = TokenizerConfig(vocab_size=420)


def write_run(run: Path, texts: dict[str, list[str]]) -> str:
    """A run directory with curated text in one part per lane."""
    for number, (lane, documents) in enumerate(sorted(texts.items())):
        rows = len(documents)
        columns = {
            "key": range((number << 28), (number << 28) + rows),
            "id": [str(row) for row in range(rows)],
            "url": [None] * rows,
            "source": ["test"] * rows,
            "snapshot": [0] * rows,
            "license": [None] * rows,
            "lane": [lane] * rows,
            "lang": [lane] * rows,
            "script": ["other"] * rows,
            "text": documents,
            "num_chars": [len(text) for text in documents],
            "token_estimate": [len(text) for text in documents],
            "cluster_size": [1] * rows,
            "edits": [[]] * rows,
        }
        write_parquet(f"{run}/curated/{lane}/part-00000.parquet", pa.table(columns, schema=CURATED))
    finish_stage(f"{run}/curated", stage="publish", fingerprint="f", counts={}, seconds=0)
    return str(run)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A little text in three lanes."""
    return write_run(tmp_path_factory.mktemp("run"), {"zh": [ZH] * 3, "en": [EN] * 3, "code": [CODE] * 3})


@pytest.fixture(scope="module")
def tokenizer(run: str, tmp_path_factory: pytest.TempPathFactory) -> Tokenizer:
    """Trained once for all tests."""
    out = str(tmp_path_factory.mktemp("tokenizer"))
    train_tokenizer(run, config=CONFIG, out=out)
    return Tokenizer(out)


@settings(max_examples=200)
@given(text=st.text(st.characters(exclude_characters="\u2581", exclude_categories=("Cs",))))
def test_any_text_comes_back(tokenizer: Tokenizer, text: str) -> None:
    """Whatever the characters, spaces and line breaks, decoding the tokens gives the text."""
    assert tokenizer.decode(tokenizer.encode(text)) == text


@pytest.mark.parametrize("text", [ZH, EN, CODE, "  两个空格\t\r\n\n尾 ", "𠮷野家😀\x00", "", " "])
def test_real_text_comes_back(tokenizer: Tokenizer, text: str) -> None:
    """Prose, code, rare characters, leading and trailing white space."""
    assert tokenizer.decode(tokenizer.encode(text)) == text


def test_known_text_is_compressed(tokenizer: Tokenizer) -> None:
    """Text like the training text takes fewer tokens than characters, unknown characters take one per byte."""
    assert len(tokenizer.encode(EN)) < len(EN) / 2
    assert [tokenizer.piece(token) for token in tokenizer.encode("龘")] == ["<0xE9>", "<0xBE>", "<0x98>"]


def test_digits_stand_alone(tokenizer: Tokenizer) -> None:
    """2024 is four tokens, even though it was in the training text."""
    assert [tokenizer.piece(token) for token in tokenizer.encode("2024")] == ["2", "0", "2", "4"]


def test_symbols_have_fixed_numbers_and_cannot_be_forged(tokenizer: Tokenizer) -> None:
    """The five symbols are tokens 1 to 5; text that spells them out encodes without them and comes back unchanged."""
    assert [tokenizer.symbol_id(symbol) for symbol in SYMBOLS] == [1, 2, 3, 4, 5]
    forged = "你好" + "".join(SYMBOLS) + "<|user|><|user|>"
    tokens = tokenizer.encode(forged)
    assert not {1, 2, 3, 4, 5} & set(tokens)
    assert tokenizer.decode(tokens) == forged
    assert tokenizer.decode([3, *tokenizer.encode("好"), 5]) == "<|user|>好<|end|>"


def test_equal_text_gives_equal_bytes(run: str, tokenizer: Tokenizer, tmp_path: Path) -> None:
    """Training again gives the same file; the manifest names it and the sample."""
    manifest = train_tokenizer(run, config=CONFIG, out=str(tmp_path))
    assert manifest.tokenizer_digest == tokenizer.digest == Tokenizer(str(tmp_path)).digest
    assert manifest.sample_chars == {"zh": 3 * len(ZH), "en": 3 * len(EN), "code": 3 * len(CODE)}
    assert (manifest.vocab_size, tokenizer.vocab_size) == (420, 420)


def test_the_sample_follows_the_weights(tmp_path: Path) -> None:
    """When the sample is smaller than the text, lanes fill it by weight: one without a weight is not learnt."""
    run = write_run(tmp_path / "run", {"zh": [ZH * 4] * 50, "en": ["qwertyuiop" * 20] * 50})
    config = TokenizerConfig(vocab_size=340, sample_chars=5000, lane_weights={"zh": 1.0})
    manifest = train_tokenizer(run, config=config, out=str(tmp_path / "tokenizer"))
    tokenizer = Tokenizer(str(tmp_path / "tokenizer"))
    assert manifest.sample_chars == {"zh": 5000}
    assert tokenizer.piece(tokenizer.encode("q")[0]) == "<0x71>"
    assert len(tokenizer.encode(ZH)) <= len(ZH)


def test_impossible_sizes_are_explained(run: str, tmp_path: Path) -> None:
    """A vocabulary too small for the characters is refused with the number that is needed."""
    with pytest.raises(
        ConfigError, match=r"vocab_size 300: the characters of the sample alone need \d+ pieces; raise it"
    ):
        train_tokenizer(run, config=TokenizerConfig(vocab_size=300), out=str(tmp_path))


def test_missing_parts_are_named(tmp_path: Path) -> None:
    """No curated text and no tokenizer are two different messages."""
    with pytest.raises(InputError, match="run `ctllm curate`"):
        train_tokenizer(str(tmp_path), config=CONFIG, out=str(tmp_path / "out"))
    with pytest.raises(InputError, match="train one with `ctllm tokenizer train`"):
        Tokenizer(str(tmp_path))
