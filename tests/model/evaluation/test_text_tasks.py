"""Benchmarks whose answer is a text."""

import gzip
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from ctllm.model.checkpoint import load_model
from ctllm.model.evaluation.contaminated import ContaminatedItems
from ctllm.model.evaluation.text_tasks import TextTask, last_number
from ctllm.model.generate import Writer
from ctllm.model.tokenizer import Tokenizer
from ctllm.schemas.errors import InputError
from ctllm.schemas.evaluation_config import TextTaskConfig
from ctllm.schemas.tuning_config import GenerateConfig


@pytest.fixture(scope="module")
def writer(make_checkpoint: Callable[..., str]) -> Writer:
    """An untrained model that has opinions."""
    return Writer.load(make_checkpoint(init_std=0.3))


def lines(path: Path, rows: list[dict[str, Any]]) -> str:
    """JSONL at `path`."""
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))
    return str(path)


def test_a_last_word_is_right_when_it_is_the_likeliest(writer: Writer, tmp_path: Path) -> None:
    """The word the model would write is right, another is not; perplexity is that of the words."""
    model, tokenizer = writer.model, writer.tokenizer
    context = [tokenizer.end_of_document_id, *tokenizer.encode("The cat sat on the")]
    with torch.no_grad():
        log_V = model(torch.tensor([context]))[0, -1].log_softmax(0)
    words = [token for token in range(6, tokenizer.vocab_size) if tokenizer.piece(token)[1:].isalpha()]
    spaced = [token for token in words if tokenizer.piece(token).startswith("▁")]
    best, other = max(spaced, key=lambda token: float(log_V[token])), spaced[0]
    rows = [{"context": "The cat sat on the", "continuation": tokenizer.piece(token)[1:]} for token in (best, other)]
    task = TextTask(TextTaskConfig(name="w", kind="last_word", items=(lines(tmp_path / "w.jsonl", rows),)))
    result, items = task.run(model, tokenizer=tokenizer, per_batch=2)
    values = [float(log_V[token]) for token in (best, other)]
    assert [item.log_probabilities[0] for item in items] == pytest.approx(values, abs=1e-3)
    assert [item.is_right for item in items] == [int(log_V.argmax()) == token for token in (best, other)]
    assert result.perplexity == pytest.approx(math.exp(-sum(values) / 2), rel=1e-3)


def test_numbers_are_compared_after_examples(writer: Writer, tmp_path: Path) -> None:
    """The text after the examples is the model's own, and its last number decides; contaminated items are left out."""
    shots = lines(tmp_path / "train.jsonl", [{"question": "1+1?", "answer": "It is 2.\n#### 2"}])
    prompt = "Question: 1+1?\nAnswer: It is 2.\n#### 2\n\nQuestion: 一加一？\nAnswer:"
    config = GenerateConfig(max_new_tokens=40, temperature=0)
    (written,) = writer.complete([prompt], config=config)
    expected = last_number(written.split("Question:")[0].split("\n\nQ")[0])
    rows = [{"question": "一加一？", "answer": f"x\n#### {answer}"} for answer in (expected or "0", "1,000")]
    items = lines(tmp_path / "test.jsonl", [*rows, {"question": "broken"}])
    base = {"name": "n", "kind": "number", "items": [items], "max_new_tokens": 40}
    task = TextTask(TextTaskConfig.model_validate({**base, "shots": [shots], "num_shots": 1}))
    known = ContaminatedItems({"test": frozenset(["1"])})
    result, given = task.run(writer.model, tokenizer=writer.tokenizer, per_batch=4, contaminated=known)
    assert [each.given for each in given] == [expected, expected]
    assert (result.items, result.items_unreadable, result.items_contaminated) == (2, 1, 1)
    assert (result.accuracy, result.accuracy_clean) == ((0.5 if expected else 0.0), 0.0)
    with pytest.raises(InputError, match="fewer than 2 examples"):
        TextTask(TextTaskConfig.model_validate({**base, "shots": [shots], "num_shots": 2}))


@pytest.mark.parametrize(
    ("text", "number"),
    [
        (" 5 + 3 = 8.\n#### 8", "8"), ("so $1,200.50", "1200.5"), ("-3", "-3"), ("none", ""), ("2.0 eggs", "2"),
    ],
)  # fmt: skip
def test_the_last_number(text: str, number: str) -> None:
    """Separators, currency, trailing zeros and the point of a sentence are no part of it."""
    assert last_number(text) == number


def test_programs_run_against_their_tests(writer: Writer, tmp_path: Path) -> None:
    """What an untrained model writes fails; the same items with a prompt that is already right pass."""
    item = {"test": "def check(f):\n    assert f(2) == 4", "entry_point": "double"}
    prompts = ["def double(x):\n    return 2 * x\n\ndone = 1  #", "def double(x):\n    raise ValueError\n\ndone = 1  #"]
    path = tmp_path / "HumanEval.jsonl.gz"
    rows = [{"task_id": f"T/{n}", "prompt": prompt, **item} for n, prompt in enumerate(prompts)]
    path.write_bytes(gzip.compress("\n".join(map(json.dumps, rows)).encode()))
    task = TextTask(TextTaskConfig(name="p", kind="program", items=(str(path),), max_new_tokens=1))
    result, items = task.run(writer.model, tokenizer=writer.tokenizer, per_batch=2)
    assert [(each.item_id, each.is_right) for each in items] == [("T/0", True), ("T/1", False)]
    assert (result.outcomes, result.accuracy) == ({"passed": 1, "failed": 1}, 0.5)
    assert items[1].note == "failed ValueError:"


def test_examples_are_left_out_before_the_item_is_cut(checkpoint: str, tmp_path: Path) -> None:
    """Where the context is too short, fewer examples stand before the item, and it is counted."""
    shots = lines(
        tmp_path / "train.jsonl", [{"question": "长" * 30, "answer": "#### 2"}, {"question": "短", "answer": "#### 3"}]
    )
    items = lines(tmp_path / "test.jsonl", [{"question": "问", "answer": "#### 1"}])
    task = TextTask(
        TextTaskConfig(name="n", kind="number", items=(items,), shots=(shots,), num_shots=2, max_new_tokens=90)
    )
    result, _ = task.run(load_model(checkpoint)[0], tokenizer=Tokenizer(checkpoint), per_batch=1)
    assert result.items_truncated == 1
