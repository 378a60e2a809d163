"""Curated text to token shards."""

import io
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import sentencepiece

from ctllm.pipelines import tokenize as module
from ctllm.pipelines.options import RunnerOptions
from ctllm.pipelines.tokenize import tokenize
from ctllm.schemas.document import CURATED
from ctllm.schemas.errors import InputError
from ctllm.schemas.files import file_digest, read_json, read_parquet, walk_files, write_parquet
from ctllm.schemas.manifest import finish_stage
from ctllm.schemas.progress import ProgressEvent
from ctllm.schemas.tokens import SYMBOLS, index_file, tokens_file

TEXTS = {
    ("zh", 0): ["山下有一条河。", "老人说：<|endofdoc|>", ""],
    ("zh", 1): ["每天早晨他都把门打开。"],
    ("en", 0): ["Below the hill there is a river.\n" * 3],
}


def write_run(run: Path, texts: dict[tuple[str, int], list[str]]) -> str:
    """A run directory with a curated part for each (lane, split)."""
    for (lane, split), documents in texts.items():
        rows = len(documents)
        columns = {"license": [None] * rows}
        columns |= {"url": [None if row % 2 else f"https://example.com/{row}" for row in range(rows)]}
        columns |= {name: [lane] * rows for name in ("lane", "lang", "script")}
        columns |= {name: [1] * rows for name in ("snapshot", "num_chars", "token_estimate", "cluster_size")}
        columns |= {
            "key": [(split << 28) + row for row in range(rows)],
            "id": [str(row) for row in range(rows)],
            "source": [f"source-{split}"] * rows,
            "text": documents,
            "edits": [[]] * rows,
        }
        write_parquet(f"{run}/curated/{lane}/part-{split:05d}.parquet", pa.table(columns, schema=CURATED))
    finish_stage(f"{run}/curated", stage="publish", fingerprint="f", counts={}, seconds=0)
    return str(run)


def write_tokenizer(path: Path, *, vocab_size: int = 300, symbols: tuple[str, ...] = SYMBOLS) -> str:
    """A tokenizer over a handful of characters and all bytes."""
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(["abcdefghijklmnopqrstuvwxyz 山下有一条河 Below the hill"] * 5),
        model_writer=model,
        model_type="bpe",
        vocab_size=vocab_size,
        byte_fallback=True,
        normalization_rule_name="identity",
        add_dummy_prefix=False,
        remove_extra_whitespaces=False,
        user_defined_symbols=list(symbols),
        bos_id=-1,
        eos_id=-1,
        minloglevel=2,
    )
    path.write_bytes(model.getvalue())
    return str(path)


@pytest.fixture
def run(tmp_path: Path) -> str:
    """Five documents in three parts of two lanes."""
    return write_run(tmp_path / "run", TEXTS)


@pytest.fixture
def tokenizer(tmp_path: Path) -> str:
    """A tokenizer.model of 300 pieces."""
    return write_tokenizer(tmp_path / "tokenizer.model")


OPTIONS = RunnerOptions(workers=2)


def read_documents(out: str, name: str) -> list[list[int]]:
    """The documents of one shard, cut out of the file by its index."""
    tokens = np.fromfile(tokens_file(out, name), "<u2").tolist()
    index = read_parquet(index_file(out, name)).to_pylist()
    return [tokens[row["offset"] : row["offset"] + row["num_tokens"]] for row in index]


def test_every_document_is_there_and_ends(run: str, tokenizer: str, tmp_path: Path) -> None:
    """Each shard starts with an end of document; decoded, its documents are the part's texts; the manifest adds up."""
    out = str(tmp_path / "tokens")
    manifest = tokenize(run, tokenizer=tokenizer, out=out, options=OPTIONS)
    processor = sentencepiece.SentencePieceProcessor(model_file=tokenizer)
    assert [shard.name for shard in manifest.shards] == ["en-part-00000", "zh-part-00000", "zh-part-00001"]
    for (lane, split), texts in TEXTS.items():
        name = f"{lane}-part-{split:05d}"
        documents = read_documents(out, name)
        assert np.fromfile(tokens_file(out, name), "<u2")[0] == manifest.end_of_document_id == 1
        assert [document[-1] for document in documents] == [1] * len(texts)
        assert not any(1 in document[:-1] for document in documents), "a text cannot forge an end of document"
        assert [processor.decode(document[:-1]) for document in documents] == texts
    zh = [text for (lane, _), texts in TEXTS.items() if lane == "zh" for text in texts]
    assert manifest.lanes["zh"].documents == 4
    assert manifest.lanes["zh"].bytes == sum(len(text.encode()) for text in zh)
    assert manifest.lanes["zh"].tokens == sum(len(each) for each in read_documents(out, "zh-part-00000")) + len(
        read_documents(out, "zh-part-00001")[0]
    )
    assert {source: counts.documents for source, counts in manifest.sources["zh"].items()} == {
        "source-0": 3,
        "source-1": 1,
    }
    assert all(shard.sha256_tokens == file_digest(tokens_file(out, shard.name)) for shard in manifest.shards)
    assert file_digest(f"{out}/tokenizer.model") == manifest.tokenizer_digest == file_digest(tokenizer)


@pytest.mark.parametrize("workers", [1, 3])
def test_bytes_do_not_depend_on_workers(
    run: str, tokenizer: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, workers: int
) -> None:
    """Another number of workers and another batch size give the same files."""
    tokenize(run, tokenizer=tokenizer, out=str(tmp_path / "a"), options=OPTIONS)
    monkeypatch.setattr(module, "BATCH_ROWS", 1)
    tokenize(run, tokenizer=tokenizer, out=str(tmp_path / "b"), options=RunnerOptions(workers=workers))
    names = walk_files(str(tmp_path / "a"))
    assert names == walk_files(str(tmp_path / "b"))
    assert all(file_digest(f"{tmp_path}/a/{name}") == file_digest(f"{tmp_path}/b/{name}") for name in names)


def test_what_is_finished_is_not_done_again(run: str, tokenizer: str, tmp_path: Path) -> None:
    """A second call changes no file; after an interruption only the missing part is made."""
    out, events = tmp_path / "tokens", list[ProgressEvent]()
    first = tokenize(run, tokenizer=tokenizer, out=str(out), options=OPTIONS)
    assert tokenize(run, tokenizer=tokenizer, out=str(out), options=OPTIONS, progress=events.append) == first
    assert [event.message for event in events] == ["unchanged"]
    (out / "manifest.json").unlink()
    Path(index_file(str(out), "zh-part-00001")).unlink()
    kept = Path(index_file(str(out), "zh-part-00000")).stat().st_mtime_ns
    assert tokenize(run, tokenizer=tokenizer, out=str(out), options=OPTIONS) == first
    assert Path(index_file(str(out), "zh-part-00000")).stat().st_mtime_ns == kept


def test_another_text_or_tokenizer_replaces_the_shards(run: str, tokenizer: str, tmp_path: Path) -> None:
    """Shards of a run that has since lost a part, or of another tokenizer, do not stay beside the new ones."""
    out = str(tmp_path / "tokens")
    first = tokenize(run, tokenizer=tokenizer, out=out, options=OPTIONS)
    other = tokenize(run, tokenizer=write_tokenizer(tmp_path / "b.model", vocab_size=301), out=out, options=OPTIONS)
    smaller_run = write_run(tmp_path / "smaller", {("zh", 0): TEXTS["zh", 0]})
    smaller = tokenize(smaller_run, tokenizer=tokenizer, out=out, options=OPTIONS)
    assert len({manifest.fingerprint for manifest in (first, other, smaller)}) == 3
    assert other.vocab_size == 301
    assert [name for name in walk_files(out) if name.endswith(".bin")] == ["tokens/zh-part-00000.bin"]
    assert read_json(f"{out}/manifest.json")["fingerprint"] == smaller.fingerprint


def test_a_foreign_model_gets_the_end_of_document_after_its_pieces(run: str, tmp_path: Path) -> None:
    """A model without our symbols numbers them after its pieces, as CT-LLM did with Baichuan 2's; texts come back."""
    foreign, out = write_tokenizer(tmp_path / "foreign.model", symbols=()), str(tmp_path / "tokens")
    manifest = tokenize(run, tokenizer=foreign, out=out, options=OPTIONS)
    processor = sentencepiece.SentencePieceProcessor(model_file=foreign)
    assert (manifest.end_of_document_id, manifest.vocab_size) == (300, 305)
    for (lane, split), texts in TEXTS.items():
        documents = read_documents(out, f"{lane}-part-{split:05d}")
        assert [document[-1] for document in documents] == [300] * len(texts)
        assert [processor.decode(document[:-1]) for document in documents] == texts


def test_the_index_says_where_a_document_came_from(run: str, tokenizer: str, tmp_path: Path) -> None:
    """Key, id, URL, lane and source are those of the curated text, so a token leads back to its page."""
    out = str(tmp_path / "tokens")
    tokenize(run, tokenizer=tokenizer, out=out, options=OPTIONS)
    curated = read_parquet(f"{run}/curated/zh/part-00000.parquet")
    index = read_parquet(index_file(out, "zh-part-00000"))
    for name in ("key", "id", "url", "lane", "source"):
        assert index[name].to_pylist() == curated[name].to_pylist()
    assert index["url"].to_pylist() == ["https://example.com/0", None, "https://example.com/2"]


def test_unusable_input_is_named(run: str, tmp_path: Path) -> None:
    """No curated text, no tokenizer, and a file that is no SentencePiece model are three messages."""
    broken = tmp_path / "broken.model"
    broken.write_bytes(b'{"model": {"type": "BPE"}}')
    cases = [
        (str(tmp_path), write_tokenizer(tmp_path / "good.model"), "run `ctllm curate`"),
        (run, str(tmp_path), "ctllm tokenizer train"),
        (run, str(broken), r"broken\.model: not a SentencePiece model; give a tokenizer\.model"),
    ]
    for directory, tokenizer, message in cases:
        with pytest.raises(InputError, match=message):
            tokenize(directory, tokenizer=tokenizer, out=str(tmp_path / "tokens"), options=OPTIONS)
