"""Training the quality classifier: what is drawn, what is held out, what is refused, what is measured."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from ctllm.pipelines.language import LanguageIdentifier
from ctllm.pipelines.quality_training import threshold_row, train_quality
from ctllm.pipelines.rulesets import evaluate
from ctllm.pipelines.signals.measure import Measurer
from ctllm.pipelines.sources.reader import read_batches
from ctllm.pipelines.sources.split import plan_splits
from ctllm.schemas.config import parse_config
from ctllm.schemas.curation_config import CurationConfig
from ctllm.schemas.errors import ConfigError, InputError, OutputError, StageError
from ctllm.schemas.quality import QualityCard, QualityTrainingConfig
from tests.pipelines.conftest import write_records

SMALL = QualityTrainingConfig(dim=4, epoch=20, buckets=500, min_count=1, held_out_share=0.25, learning_rate=0.5)
GOOD = [f"第{index}天，他在河边读书，看见一只白鹭慢慢飞过水面。" for index in range(60)]
BAD = [f"首页|登录|注册|第{index}页|更多|下载|返回|客服|排行" for index in range(40)]


def train(directory: Path, *, good: list[Any], bad: list[Any], config: QualityTrainingConfig = SMALL) -> QualityCard:
    """A model of two lists of texts; a value that is no text becomes a broken record."""
    paths = {}
    for name, texts in (("positive", good), ("negative", bad)):
        path = write_records(directory / f"{name}.jsonl", [{"text": text} for text in texts])
        paths[name] = [str(path)]
    return train_quality(**paths, out=str(directory / "model"), config=config)


def test_card_accounts_for_every_document(tmp_path: Path) -> None:
    """Read = copies + contradicting + trained + held out, failures beside; inputs and model by their digests."""
    both = ["这一句两边都有，所以两边都不用它来训练。"]
    card = train(tmp_path, good=[*GOOD, *GOOD[:5], *both, 7], bad=[*BAD, *both])
    for name, read, failed, copies in (("positive", 66, 1, 5), ("negative", 41, 0, 0)):
        counts = card.documents[name]
        assert (counts["read"], counts["failed"], counts["copies"], counts["contradicting"]) == (
            read,
            failed,
            copies,
            1,
        )
        assert counts["trained"] + counts["held_out"] == read - copies - 1
        assert 0.1 < counts["held_out"] / (read - copies - 1) < 0.4
        assert list(card.inputs[name]) == [str(tmp_path / f"{name}.jsonl")]
    assert json.loads((tmp_path / "model" / "model.json").read_text()) == card.model_dump(mode="json")


def test_held_out_documents_are_told_apart(tmp_path: Path) -> None:
    """Two kinds of text as different as these are separated at one half."""
    card = train(tmp_path, good=GOOD, bad=BAD)
    row = next(each for each in card.held_out if each.threshold == 0.5)
    assert (row.precision, row.recall, row.f1, row.kept_negative_share) == (1, 1, 1, 0)


def test_draw_does_not_depend_on_the_order(tmp_path: Path) -> None:
    """The same documents in another order, and a bound on their number, give the same parts."""
    small = SMALL.model_copy(update={"max_documents": 30})
    one = train(tmp_path / "one", good=GOOD, bad=BAD, config=small)
    other = train(tmp_path / "other", good=GOOD[::-1], bad=BAD[::-1], config=small)
    assert one.documents == other.documents
    for counts in one.documents.values():
        assert counts["trained"] + counts["held_out"] == 30


def test_too_few_documents_are_refused(tmp_path: Path) -> None:
    """Copies do not count: 19 different texts are too few, 20 are enough."""
    with pytest.raises(InputError, match=r"--negative: .* are too few"):
        train(tmp_path / "few", good=GOOD, bad=BAD[:19] * 3)
    assert train(tmp_path / "enough", good=GOOD, bad=BAD[:20])


def test_a_finished_model_is_not_overwritten(tmp_path: Path) -> None:
    """The same --out twice is refused."""
    train(tmp_path, good=GOOD, bad=BAD)
    with pytest.raises(OutputError, match="choose another --out"):
        train(tmp_path, good=GOOD, bad=BAD)


def test_a_model_that_is_nan_is_never_written(tmp_path: Path) -> None:
    """A learning rate far beyond use makes fastText diverge: one sentence, no model."""
    with pytest.raises(StageError, match="NaN"):
        train(tmp_path, good=GOOD, bad=BAD, config=SMALL.model_copy(update={"learning_rate": 1e30, "epoch": 50}))
    assert not (tmp_path / "model").exists()


def test_too_few_threads_are_refused() -> None:
    """Below ten, fastText 0.9.3 leaves part of its matrix uninitialised."""
    with pytest.raises(ConfigError, match="threads"):
        parse_config({"threads": 10}, QualityTrainingConfig, origin="quality train")
    assert parse_config({"threads": 11}, QualityTrainingConfig, origin="quality train").threads == 11


def test_threshold_row_by_hand() -> None:
    """Of four positive and two negative documents a bound of 0.5 keeps three and one; the bound itself is kept."""
    positive, negative = np.array([0.9, 0.8, 0.5, 0.4], np.float32), np.array([0.6, 0.1], np.float32)
    row = threshold_row(positive, negative, threshold=0.5)
    assert (row.precision, row.recall, row.kept_negative_share) == (0.75, 0.75, 0.5)
    assert row.f1 == pytest.approx(0.75)
    nothing = threshold_row(positive, negative, threshold=0.95)
    assert (nothing.precision, nothing.recall, nothing.f1) == (1.0, 0.0, 0.0)


@pytest.mark.private_data
def test_real_documents_are_told_from_pages_that_the_rules_remove(private_data: Path, tmp_path: Path) -> None:
    """Articles, statutes and classics against crawled menus and lists: nine of ten are told apart on held-out ones."""
    pages = read_documents(private_data / "restricted" / "web_zh_wet.jsonl.zst", limit=2000)
    is_kept, _ = evaluate(Measurer(CurationConfig()).measure(pages), pages["lane"], rules=CurationConfig().rules)
    junk = [text for text, kept in zip(pages["text"].to_pylist(), is_kept, strict=True) if not kept]
    config = QualityTrainingConfig(dim=32, epoch=15, max_documents=400, held_out_share=0.2)
    card = train_quality(
        positive=[str(private_data / "open" / "zh_docs.jsonl.zst")],
        negative=[str(write_records(tmp_path / "junk.jsonl", [{"text": text} for text in junk]))],
        out=str(tmp_path / "model"),
        config=config,
    )
    assert max(row.f1 for row in card.held_out) > 0.9


def read_documents(path: Path, *, limit: int) -> pa.RecordBatch:
    """The first documents of a file."""
    (split,) = plan_splits([str(path)], config=CurationConfig().sources)
    batches = read_batches(split, config=CurationConfig(), identifier=LanguageIdentifier.load())
    return next(iter(batches)).documents.slice(0, limit)
