"""Training the tokenizer: exact round trips, a sample by weight, the same bytes every time."""

import struct
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ctllm.pipelines.options import RunnerOptions
from ctllm.pipelines.tokenizer_training import NUM_BUCKETS, bucket_limit, train_tokenizer
from ctllm.schemas.config import read_config
from ctllm.schemas.document import CURATED
from ctllm.schemas.errors import ConfigError, InputError
from ctllm.schemas.files import file_digest, walk_files, write_parquet
from ctllm.schemas.manifest import finish_stage
from ctllm.schemas.mixture import HELD_OUT_SALT, key_hash
from ctllm.schemas.progress import ProgressEvent
from ctllm.schemas.tokens import SYMBOLS
from ctllm.schemas.training_config import TokenizerConfig
from ctllm.schemas.vocabulary import Vocabulary, read_tokenizer_model

ZH = "山下有一条河，河边住着一位会修钟的老人。每天早晨他都把门打开，让光照进来。\n2024年，他修好了第1000座钟。"
EN = "Below the hill there is a river, and by the river lives an old man who mends clocks.\nEvery morning he wakes."
CODE = "def mend(clock):\n    for wheel in clock.wheels:\n        wheel.turn(12)\n    return clock\n"
CONFIG = TokenizerConfig(vocab_size=420, max_piece_chars=4, held_out_share=0)
OPTIONS = RunnerOptions(workers=2)
ROOT = Path(__file__).resolve().parents[2]


def write_run(run: Path, texts: dict[str, list[str]]) -> str:
    """A run directory with one curated part per `lane/source`."""
    for number, (place, documents) in enumerate(sorted(texts.items())):
        lane, _, source = place.partition("/")
        rows = len(documents)
        columns = {
            "key": range((number << 28), (number << 28) + rows),
            "id": [str(row) for row in range(rows)],
            "url": [None] * rows,
            "source": [source or "test"] * rows,
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
        write_parquet(f"{run}/curated/{lane}/part-{number:05d}.parquet", pa.table(columns, schema=CURATED))
    finish_stage(f"{run}/curated", stage="publish", fingerprint="f", counts={}, seconds=0)
    return str(run)


def load(directory: Path | str) -> Vocabulary:
    """The tokenizer that was trained there."""
    return Vocabulary(read_tokenizer_model(str(directory)), origin=str(directory))


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A little text in three lanes."""
    return write_run(tmp_path_factory.mktemp("run"), {"zh": [ZH] * 3, "en": [EN] * 3, "code": [CODE] * 3})


@pytest.fixture(scope="module")
def directory(run: str, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A tokenizer trained once for all tests."""
    out = str(tmp_path_factory.mktemp("tokenizer"))
    train_tokenizer(run, config=CONFIG, out=out, options=OPTIONS)
    return out


@pytest.fixture(scope="module")
def vocabulary(directory: str) -> Vocabulary:
    """That tokenizer, loaded."""
    return load(directory)


def fields(message: bytes) -> Iterator[tuple[int, int | float | bytes]]:
    """Numbers and values of the fields of a protocol buffer."""
    at = 0

    def varint() -> int:
        nonlocal at
        value = shift = 0
        while True:
            byte = message[at]
            at, value, shift = at + 1, value | (byte & 0x7F) << shift, shift + 7
            if byte < 0x80:
                return value

    while at < len(message):
        tag = varint()
        if tag & 7 == 0:
            yield tag >> 3, varint()
        elif tag & 7 == 5:
            at += 4
            yield tag >> 3, struct.unpack("<f", message[at - 4 : at])[0]
        else:
            length = varint()
            at += length
            yield tag >> 3, message[at - length : at]


def test_the_settings_stand_in_the_model(vocabulary: Vocabulary) -> None:
    """BPE, byte fallback, single digits, identity, no dummy prefix, the longest piece and our symbols.

    Read from the file itself, by the field numbers of SentencePiece's sentencepiece_model.proto.
    """
    model = list(fields(vocabulary.model))
    trainer = dict(fields(next(value for number, value in model if number == 2)))
    symbols = [value for number, value in fields(next(value for number, value in model if number == 2)) if number == 31]
    normalizer = dict(fields(next(value for number, value in model if number == 3)))
    names = {3: "model_type", 4: "vocab_size", 20: "max_piece", 25: "digits", 26: "spaces", 35: "bytes"}
    assert {name: trainer[number] for number, name in names.items()} == {
        "model_type": 2,  # BPE
        "vocab_size": 420,
        "max_piece": 4,
        "digits": 1,
        "spaces": 1,
        "bytes": 1,
    }
    assert trainer[10] == pytest.approx(0.9999)  # character_coverage
    assert [symbol.decode() for symbol in symbols if isinstance(symbol, bytes)] == list(SYMBOLS)
    assert (normalizer[1], normalizer[3], normalizer[4]) == (b"identity", 0, 0)
    assert normalizer.get(2, b"") == b"", "no table of characters to be replaced"


def test_the_pieces_keep_to_the_settings(vocabulary: Vocabulary) -> None:
    """256 bytes; no piece with a digit beside anything, none longer than asked for, runs of spaces for code."""
    pieces = [vocabulary.piece(token) for token in range(vocabulary.vocab_size)]
    ordinary = [piece for token, piece in enumerate(pieces) if token > 5 and not vocabulary.is_byte(token)]
    assert sum(map(vocabulary.is_byte, range(vocabulary.vocab_size))) == 256
    assert [piece for piece in ordinary if len(piece) > 1 and any(char.isdigit() for char in piece)] == []
    assert max(map(len, ordinary)) == 4
    assert "▁▁▁▁" in ordinary
    assert vocabulary.is_exact


@settings(max_examples=200)
@given(text=st.text(st.characters(exclude_characters="\u2581", exclude_categories=("Cs",))))
def test_any_text_comes_back(vocabulary: Vocabulary, text: str) -> None:
    """Whatever the characters, spaces and line breaks, decoding the tokens gives the text."""
    assert vocabulary.decode(vocabulary.encode(text)) == text


@pytest.mark.parametrize("text", [ZH, EN, CODE, "  两个空格\t\r\n\n尾 ", "𠮷野家😀\x00", "", " "])
def test_real_text_comes_back(vocabulary: Vocabulary, text: str) -> None:
    """Prose, code, rare characters, leading and trailing white space."""
    assert vocabulary.decode(vocabulary.encode(text)) == text


def test_known_text_is_compressed(vocabulary: Vocabulary) -> None:
    """Text like the training text takes fewer tokens than characters, unknown characters take one per byte."""
    assert len(vocabulary.encode(EN)) < len(EN) / 2
    assert [vocabulary.piece(token) for token in vocabulary.encode("龘")] == ["<0xE9>", "<0xBE>", "<0x98>"]


def test_digits_stand_alone(vocabulary: Vocabulary) -> None:
    """2024 is four tokens, even though it was in the training text."""
    assert [vocabulary.piece(token) for token in vocabulary.encode("2024")] == ["2", "0", "2", "4"]


def test_symbols_have_fixed_numbers_and_cannot_be_forged(vocabulary: Vocabulary) -> None:
    """The five symbols are tokens 1 to 5; text that spells them out encodes without them and comes back unchanged."""
    assert vocabulary.symbols == dict(zip(SYMBOLS, range(1, 6), strict=True))
    forged = "你好" + "".join(SYMBOLS) + "<|user|><|user|>"
    tokens = vocabulary.encode(forged)
    assert not {1, 2, 3, 4, 5} & set(tokens)
    assert vocabulary.decode(tokens) == forged
    assert vocabulary.decode([3, *vocabulary.encode("好"), 5]) == "<|user|>好<|end|>"


@pytest.mark.parametrize("workers", [1, 3])
def test_equal_text_gives_equal_bytes(run: str, directory: str, tmp_path: Path, workers: int) -> None:
    """Any number of workers gives the same two files and leaves nothing else; the manifest names them."""
    manifest = train_tokenizer(run, config=CONFIG, out=str(tmp_path), options=RunnerOptions(workers=workers))
    assert walk_files(str(tmp_path)) == ["manifest.json", "tokenizer.model"]
    for name in walk_files(directory):
        assert file_digest(f"{directory}/{name}") == file_digest(f"{tmp_path}/{name}")
    assert manifest.tokenizer_digest == file_digest(f"{directory}/tokenizer.model")
    assert manifest.vocab_size == 420
    assert manifest.sample_chars == {
        lane: {"test": 3 * len(text)} for lane, text in (("zh", ZH), ("en", EN), ("code", CODE))
    }


def test_what_is_trained_is_not_trained_again(run: str, directory: str, tmp_path: Path) -> None:
    """The same text and config leave the file alone; another config replaces it."""
    events = list[ProgressEvent]()
    before = Path(directory, "tokenizer.model").stat().st_mtime_ns
    again = train_tokenizer(run, config=CONFIG, out=directory, options=OPTIONS, progress=events.append)
    assert [event.message for event in events] == ["unchanged"]
    assert Path(directory, "tokenizer.model").stat().st_mtime_ns == before
    first = train_tokenizer(run, config=CONFIG, out=str(tmp_path), options=OPTIONS)
    other = TokenizerConfig(vocab_size=400, held_out_share=0)
    second = train_tokenizer(run, config=other, out=str(tmp_path), options=OPTIONS)
    assert first == again
    assert load(tmp_path).vocab_size == second.vocab_size == 400


def test_the_sample_follows_the_weights_of_lanes(tmp_path: Path) -> None:
    """When the sample is smaller than the text, lanes fill it by weight: one without a weight is not learnt."""
    run = write_run(tmp_path / "run", {"zh": [ZH * 4] * 50, "en": ["qwertyuiop" * 20] * 50})
    config = TokenizerConfig(vocab_size=340, sample_chars=5000, lane_weights={"zh": 1.0})
    manifest = train_tokenizer(run, config=config, out=str(tmp_path / "tokenizer"), options=OPTIONS)
    vocabulary = load(tmp_path / "tokenizer")
    assert manifest.sample_chars.keys() == {"zh"}
    assert 5000 <= manifest.sample_chars["zh"]["test"] < 5000 + 4 * len(ZH)
    assert vocabulary.piece(vocabulary.encode("q")[0]) == "<0x71>"
    assert len(vocabulary.encode(ZH)) <= len(ZH)


def test_the_sample_follows_the_weights_of_sources(tmp_path: Path) -> None:
    """A source three times as weighty as another of its size gives three times as much, one of weight 0 nothing."""
    run = write_run(tmp_path / "run", {f"zh/{name}": [ZH] * 300 for name in ("wiki", "news", "web")})
    config = TokenizerConfig(
        vocab_size=330, sample_chars=12_000, lane_weights={"zh": 1.0}, source_weights={"wiki": 3, "web": 0}
    )
    manifest = train_tokenizer(run, config=config, out=str(tmp_path / "tokenizer"), options=OPTIONS)
    assert manifest.sample_chars["zh"] == pytest.approx({"wiki": 9000, "news": 3000}, abs=2 * len(ZH))
    unknown = config.model_copy(update={"source_weights": {"wikl": 2.0}})
    with pytest.raises(ConfigError, match="source_weights: no source 'wikl' in the text; there are news, web, wiki"):
        train_tokenizer(run, config=unknown, out=str(tmp_path / "other"), options=OPTIONS)


def test_held_out_documents_are_not_trained_on(tmp_path: Path) -> None:
    """The documents that a plan holds out are not in the sample, so bits per byte are of text that nothing has seen."""
    run = write_run(tmp_path / "run", {"zh": [ZH] * 1000})
    num_held_out = int((key_hash(np.arange(1000, dtype=np.uint64), salt=HELD_OUT_SALT) < 0.3).sum())
    config = TokenizerConfig(vocab_size=330, held_out_share=0.3)
    manifest = train_tokenizer(run, config=config, out=str(tmp_path / "tokenizer"), options=OPTIONS)
    assert 250 < num_held_out < 350
    assert manifest.sample_chars == {"zh": {"test": len(ZH) * (1000 - num_held_out)}}


@given(chars=st.lists(st.integers(0, 50), min_size=1, max_size=40), share=st.floats(0, 1))
def test_a_limit_is_the_first_that_fills_the_quota(chars: list[int], share: float) -> None:
    """The buckets below the limit hold the quota; without the last of them they do not."""
    quota = int(share * sum(chars))
    limit = bucket_limit(np.array(chars), quota)
    assert sum(chars[:limit]) >= quota
    assert limit == 0 or sum(chars[: limit - 1]) < quota
    assert limit <= NUM_BUCKETS


def test_impossible_sizes_are_explained(run: str, tmp_path: Path) -> None:
    """A vocabulary too small for the characters, or too large for the text, is refused with the number needed."""
    for size, message in (
        (300, r"vocab_size 300: the characters of the sample alone need \d+ pieces; raise it"),
        (9000, r"vocab_size 9000: the sample supports at most \d+ pieces; lower it or add text"),
    ):
        with pytest.raises(ConfigError, match=message):
            train_tokenizer(run, config=TokenizerConfig(vocab_size=size), out=str(tmp_path), options=OPTIONS)


def test_missing_text_is_named(run: str, tmp_path: Path) -> None:
    """No curated text, and none in the lanes that have a weight, are two messages."""
    with pytest.raises(InputError, match="run `ctllm curate`"):
        train_tokenizer(str(tmp_path), config=CONFIG, out=str(tmp_path / "out"), options=OPTIONS)
    config = CONFIG.model_copy(update={"lane_weights": {"other": 1.0}})
    with pytest.raises(ConfigError, match="nothing to train on; the text has code, en, zh"):
        train_tokenizer(run, config=config, out=str(tmp_path / "out"), options=OPTIONS)


@pytest.mark.parametrize(
    ("name", "size", "longest"),
    [("8k", 8192, 16), ("32k", 32_768, 16), ("64k", 65_536, 16), ("baichuan2", 125_696, 32)],
)
def test_presets_have_their_sizes(name: str, size: int, longest: int) -> None:
    """The largest has the published settings of Baichuan 2; the others fit in two bytes a token."""
    config = read_config(ROOT / "configs" / "tokenizer" / f"{name}.yaml", TokenizerConfig)
    assert (config.vocab_size, config.max_piece_chars) == (size, longest)
    assert config.lane_weights == {"zh": 0.67, "en": 0.25, "code": 0.08}
