"""The words around a question, against prompts written out by hand from both harnesses' own configs."""

from collections.abc import Mapping

import pytest

from ctllm.model.evaluation.wordings import WORDINGS
from ctllm.schemas.evaluation_config import Form, Style, Wording

ITEM = {"subject": "法学", "question": "一加一等于几？", "choices": "A. 一\nB. 二"}


def prompt(wording: Wording, item: Mapping[str, str]) -> str:
    """A question without examples, up to where the answer is scored."""
    return (wording.header + wording.question + wording.cue).format(**item)


@pytest.mark.parametrize(
    ("style", "expected"),
    [
        # lm-eval, tasks/ceval/_default_ceval_yaml: header, question, four choices, 答案：; target_delimiter " "
        (
            "lm_eval",
            "以下是中国关于法学的单项选择题，请选出其中的正确答案。\n\n一加一等于几？\nA. 一\nB. 二\n答案： |A",
        ),
        # OpenCompass, configs/datasets/ceval/ceval_ppl: the header of every round, then 答案: with an ASCII colon
        (
            "opencompass",
            "以下是中国关于法学考试的单项选择题，请选出其中的正确答案。\n一加一等于几？\nA. 一\nB. 二\n答案: |A",
        ),
        ("ctllm", "以下是单项选择题，请选出其中的正确答案。\n\n一加一等于几？\nA. 一\nB. 二\n答案：|A"),
    ],
)
def test_a_chinese_letter_question_reads_as_in_its_harness(style: Style, expected: str) -> None:
    """Header, question, choices, cue and what parts the answer from it, character by character."""
    wording = WORDINGS[style, "letter", "zh"]
    context, answer = expected.split("|")
    assert prompt(wording, ITEM) + wording.delimiter == context
    assert (wording.choice.format(letter="B", text="二"), answer) == ("B. 二", "A")


@pytest.mark.parametrize("style", ["ctllm", "lm_eval", "opencompass"])
@pytest.mark.parametrize("language", ["zh", "en"])
@pytest.mark.parametrize("form", ["letter", "cloze"])
def test_every_style_asks_in_both_forms_and_languages(style: Style, form: Form, language: str) -> None:
    """Letters are asked with the choices in sight, cloze without, or it would be a letter question in disguise."""
    asked = prompt(WORDINGS[style, form, language], ITEM)
    assert ITEM["question"] in asked
    assert (ITEM["choices"] in asked) == (form == "letter")
    assert ("答案" in asked) == (language == "zh")


def test_only_opencompass_repeats_its_header() -> None:
    """With five examples lm-eval says once what OpenCompass says six times."""
    repeating = {style for (style, _, _), wording in WORDINGS.items() if wording.repeats_header}
    assert repeating == {"opencompass"}
