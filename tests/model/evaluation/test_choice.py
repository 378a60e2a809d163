"""Multiple choice: what is compared, and that the figures are those of a plain recomputation."""

import json
import math
from collections import Counter
from pathlib import Path

import pytest
import torch

from ctllm.model.checkpoint import load_model
from ctllm.model.evaluation.choice import ChoiceTask, per_byte
from ctllm.model.tokenizer import Tokenizer
from ctllm.schemas.errors import InputError
from ctllm.schemas.evaluation_config import ChoiceTaskConfig

CHOICES = ("春天", "the hot one", "秋", "snow 冬")


@pytest.fixture
def items(tmp_path: Path) -> str:
    """Two subjects: five questions whose answer is B, three whose answer is C."""
    for name, letter, number in (("one", "B", 5), ("two", "C", 3)):
        lines = [
            {"question": f"{n} 月是什么季节？", **dict(zip("ABCD", CHOICES, strict=True)), "answer": letter}
            for n in range(number)
        ]
        text = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)
        (tmp_path / f"{name}_val.jsonl").write_text(text)
    return str(tmp_path / "*_val.jsonl")


def plain_scores(checkpoint: str, prompt: str, answers: tuple[str, ...]) -> list[float]:
    """Log-probabilities of answers after a prompt, one forward pass each."""
    model, _ = load_model(checkpoint)
    tokenizer = Tokenizer(checkpoint)
    start = [tokenizer.end_of_document_id, *tokenizer.encode(prompt)]
    scores = []
    for answer in answers:
        tokens = tokenizer.encode(answer)
        with torch.no_grad():
            log_TV = model(torch.tensor([start + tokens]))[0].log_softmax(-1)
        scores.append(sum(log_TV[len(start) - 1 + place, token].item() for place, token in enumerate(tokens)))
    return scores


@pytest.mark.parametrize("form", ["letter", "cloze"])
def test_figures_are_those_of_a_plain_recomputation(checkpoint: str, items: str, form: str) -> None:
    """The chosen letters are those with the best score: of the letter, or of the answer's text per byte."""
    config = ChoiceTaskConfig.model_validate({"name": "seasons", "items": [items], "form": form})
    model, _ = load_model(checkpoint)
    result, rows = ChoiceTask(config).run(model, tokenizer=Tokenizer(checkpoint), per_batch=3)
    chosen = []
    for subject, number in (("B", 5), ("C", 3)):
        for n in range(number):
            question = f"{n} 月是什么季节？"
            listed = "\n".join(f"{letter}. {text}" for letter, text in zip("ABCD", CHOICES, strict=True))
            letter_prompt = f"以下是单项选择题，请选出其中的正确答案。\n\n{question}\n{listed}\n答案："
            if form == "letter":
                scores = plain_scores(checkpoint, letter_prompt, ("A", "B", "C", "D"))
            else:
                sums = plain_scores(checkpoint, f"问题：{question}\n答案：", CHOICES)
                scores = [score / len(text.encode()) for score, text in zip(sums, CHOICES, strict=True)]
            chosen.append(("ABCD"[scores.index(max(scores))], subject))
    hits = [answer == right for answer, right in chosen]
    assert [(row.given, row.answer, row.is_right) for row in rows] == [
        (*each, hit) for each, hit in zip(chosen, hits, strict=True)
    ]
    assert result.accuracy_micro == sum(hits) / 8
    assert result.accuracy_macro == pytest.approx((sum(hits[:5]) / 5 + sum(hits[5:]) / 3) / 2)
    assert result.answers_by_letter == Counter(answer for answer, _ in chosen)
    assert result.standard_error == math.sqrt(result.accuracy_micro * (1 - result.accuracy_micro) / 8)
    assert (result.items, result.chance) == (8, 0.25)
    assert (result.constant_letter, result.constant_letter_accuracy) == ("B", 0.625)
    assert (set(result.compared_tokens) == set("ABCD")) is (form == "letter")


def test_length_is_counted_in_bytes() -> None:
    """Two Han characters are six bytes, so they may cost as much as six letters."""
    assert per_byte([-6.0, -4.0], ["春天", "rain"]) == [-1.0, -1.0]


def test_shots_come_first_and_change_the_digest(items: str, tmp_path: Path) -> None:
    """Examples of the subject's own file stand before the question with their answers; the prompt's digest tells so."""
    for name in ("one", "two"):
        line = {"question": f"{name} 例？", "A": "甲", "B": "乙", "answer": "B"}
        (tmp_path / f"{name}_dev.jsonl").write_text(json.dumps(line))
    shots = {"shots": [str(tmp_path / "*_dev.jsonl")], "num_shots": 1}
    base = {"name": "seasons", "items": [items]}
    plain, shot = (ChoiceTask(ChoiceTaskConfig.model_validate(each)) for each in (base, {**base, **shots}))
    header = "以下是单项选择题，请选出其中的正确答案。\n\n"
    assert shot.beginnings == {name: f"{header}{name} 例？\nA. 甲\nB. 乙\n答案：B\n\n" for name in ("one", "two")}
    assert plain.prompt_digest() != shot.prompt_digest()
    with pytest.raises(InputError, match="fewer than 2 examples for one"):
        ChoiceTask(ChoiceTaskConfig.model_validate({**base, **shots, "num_shots": 2}))


def test_long_questions_are_cut_at_the_left(checkpoint: str, tmp_path: Path) -> None:
    """A question beyond the context keeps its end, is still answered, and is counted."""
    line = {"question": "长" * 400, "A": "甲", "B": "乙", "answer": "A"}
    (tmp_path / "long.jsonl").write_text(json.dumps(line, ensure_ascii=False))
    config = ChoiceTaskConfig(name="long", items=(str(tmp_path / "long.jsonl"),))
    model, _ = load_model(checkpoint)
    result, _ = ChoiceTask(config).run(model, tokenizer=Tokenizer(checkpoint), per_batch=8)
    assert (result.items, result.items_truncated) == (1, 1)
