"""What `ctllm tokenizer inspect` says of a vocabulary."""

import io
from pathlib import Path

import pyarrow as pa
import pytest
import sentencepiece

from ctllm.model.tokenizer import Tokenizer
from ctllm.model.tokenizer_inspection import inspect_tokenizer, is_han
from ctllm.schemas.files import write_parquet
from ctllm.schemas.manifest import finish_stage
from ctllm.schemas.tokens import SYMBOLS


def write_run(run: Path, texts: dict[str, list[str]]) -> str:
    """Curated text with what the inspection reads of it."""
    for lane, documents in texts.items():
        columns = {"key": pa.array(range(len(documents)), pa.uint64()), "text": pa.array(documents, pa.large_string())}
        write_parquet(f"{run}/curated/{lane}/part-00000.parquet", pa.table(columns))
    finish_stage(f"{run}/curated", stage="publish", fingerprint="", counts={}, seconds=0)
    return str(run)


def write_foreign(path: Path, **changes: object) -> Tokenizer:
    """A model trained on one line; keyword arguments go to SentencePiece."""
    model = io.BytesIO()
    settings = {"model_type": "bpe", "vocab_size": 283, "byte_fallback": True, "minloglevel": 2, **changes}
    lines = ["山下有一条河 hill abc hill"] * 9
    sentencepiece.SentencePieceTrainer.train(sentence_iterator=iter(lines), model_writer=model, **settings)
    path.write_bytes(model.getvalue())
    return Tokenizer(str(path))


def test_kinds_add_up_to_the_vocabulary(tokenizer_directory: str) -> None:
    """Every id has one kind; Han pieces are those whose characters are all Han, counted here by Unicode range."""
    tokenizer = Tokenizer(tokenizer_directory)
    report = inspect_tokenizer(tokenizer)
    pieces = [tokenizer.piece(token) for token in range(tokenizer.vocab_size)]
    assert sum(report.kinds.values()) == tokenizer.vocab_size == report.vocab_size
    assert (report.kinds["control"], report.kinds["byte"]) == (1 + len(SYMBOLS), 256)
    assert report.kinds["Han"] == sum(all("\u4e00" <= char <= "\u9fff" for char in piece) for piece in pieces)
    assert (report.is_bpe, report.is_exact, report.has_bytes, report.appended_symbols) == (True, True, True, [])
    known = set(pieces)
    standard = [char for char in map(chr, range(0x4E00, 0xA000)) if char.encode("gb2312", "ignore")]
    assert sum(level.characters for level in report.han.values()) == len(standard) == 6763
    assert [level.characters for level in report.han.values()] == [3755, 3008]
    assert sum(level.covered for level in report.han.values()) == sum(char in known for char in standard)
    assert (report.glitches.count, report.unused, report.lanes) == (0, None, {})


def test_lanes_are_measured(tokenizer_directory: str, tmp_path: Path) -> None:
    """Bytes and characters per token, fallback and coverage are those of a plain count over the texts."""
    tokenizer = Tokenizer(tokenizer_directory)
    zh, en = ["山下有一条河。\n龘龘", "河"], ["Below the hill.", ""]
    report = inspect_tokenizer(tokenizer, run=write_run(tmp_path / "run", {"zh": zh, "en": en}))
    tokens = [token for text in zh for token in tokenizer.encode(text)]
    figures = report.lanes["zh"]
    assert (figures.documents, figures.bytes, figures.tokens) == (2, len("".join(zh).encode()), len(tokens))
    assert figures.bytes_per_token == pytest.approx(figures.bytes / len(tokens), abs=1e-4)
    assert figures.chars_per_token == pytest.approx(len("".join(zh)) / len(tokens), abs=1e-4)
    known = {tokenizer.piece(token) for token in range(tokenizer.vocab_size)}
    han = [char for text in zh for char in text if char not in "。\n"]
    bytes_left = sum(len(char.encode()) for char in han if char not in known)
    assert bytes_left >= 6
    assert figures.byte_tokens_share == pytest.approx(bytes_left / len(tokens), abs=1e-6), "no line break among them"
    assert figures.han_covered_share == pytest.approx(sum(char in known for char in han) / len(han), abs=1e-6)
    assert (figures.changed_documents, figures.first_change) == (0, None)
    assert report.lanes["en"].han_covered_share == 1
    assert report.unused is not None
    used = {*tokens, *(token for text in en for token in tokenizer.encode(text))}
    assert report.unused.count == sum(token not in used for token in range(262, tokenizer.vocab_size))


def test_the_sample_is_bounded(tokenizer_directory: str, tmp_path: Path) -> None:
    """Of a lane with more documents than asked for, that many are measured."""
    run = write_run(tmp_path / "run", {"zh": [f"河{row}" for row in range(300)]})
    report = inspect_tokenizer(Tokenizer(tokenizer_directory), run=run, documents_per_lane=7)
    assert report.lanes["zh"].documents == 7


def test_what_a_foreign_model_loses_is_shown(tmp_path: Path) -> None:
    """A model that normalises and has no bytes: the first change of a lane is shown, unknowns are fallback."""
    foreign = write_foreign(tmp_path / "foreign.model", vocab_size=40, byte_fallback=False, model_type="bpe")
    run = write_run(tmp_path / "run", {"zh": ["有一条  河", "山"], "en": ["abc 龘"]})
    report = inspect_tokenizer(foreign, run=run)
    assert (report.is_exact, report.has_bytes, report.appended_symbols) == (False, False, list(SYMBOLS))
    assert report.lanes["zh"].changed_documents == 1
    assert report.lanes["zh"].first_change == "character 4: '有一条  河' became '有一条 河'"
    assert report.lanes["en"].byte_tokens_share > 0


def test_pieces_that_no_text_makes_are_found(tmp_path: Path) -> None:
    """A piece whose own text is split otherwise is a glitch: here its halves are gone."""
    model = bytearray(write_foreign(tmp_path / "good.model").model)
    good = Tokenizer(str(tmp_path / "good.model"))
    assert inspect_tokenizer(good).glitches.count == 0
    assert "▁hill" in [good.piece(token) for token in range(good.vocab_size)]
    at = bytes(model).index(b"\x0a\x02ll")  # the piece `ll`, renamed: `▁hill` is `▁hi` and `ll`
    model[at + 2 : at + 4] = b"zq"
    (tmp_path / "broken.model").write_bytes(bytes(model))
    glitches = inspect_tokenizer(Tokenizer(str(tmp_path / "broken.model"))).glitches
    assert (glitches.count, glitches.examples) == (1, ["▁hill"])


@pytest.mark.private_data
def test_a_published_model_loads_and_encodes(private_data: Path) -> None:
    """The 20k model of Chinese-LLaMA-Alpaca: unigram, NFKC, without bytes; its symbols follow its 20,000 pieces."""
    tokenizer = Tokenizer(str(private_data / "open" / "models" / "ymcui_chinese_sp.model"))
    report = inspect_tokenizer(tokenizer)
    plain = sentencepiece.SentencePieceProcessor(model_file=tokenizer.path)
    assert tokenizer.encode("春天来了，河边的柳树发芽了。") == plain.encode("春天来了，河边的柳树发芽了。")
    assert (report.vocab_size, tokenizer.end_of_document_id) == (20_005, 20_000)
    assert (report.is_bpe, report.is_exact, report.has_bytes) == (False, False, False)
    assert report.kinds["Han"] > 17_000
    assert report.han["GB 2312 level 1"].covered > 3_700


@pytest.mark.parametrize(("char", "expected"), [("河", True), ("〇", True), ("々", True), ("、", False), ("a", False)])
def test_han_is_told_from_punctuation(char: str, expected: bool) -> None:
    """Ideographs and their companions are Han, CJK punctuation is not."""
    assert is_han(char) is expected
