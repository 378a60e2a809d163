"""The words around a question: ours, and as lm-evaluation-harness and OpenCompass write them.

Differences that matter: lm-eval says the header once and puts a space before the answer even in Chinese; OpenCompass
says the header again for every example and has an ASCII colon in its cue.
"""

from ctllm.schemas.evaluation_config import Form, Style, Wording

_ZH = "以下是单项选择题，请选出其中的正确答案。\n\n"
_ZH_SUBJECT = "以下是中国关于{subject}的单项选择题，请选出其中的正确答案。\n\n"
_ZH_EXAM = "以下是中国关于{subject}考试的单项选择题，请选出其中的正确答案。\n"
_EN = "The following are multiple choice questions.\n\n"
_EN_SUBJECT = "The following are multiple choice questions (with answers) about {subject}.\n\n"
_SHOWN = "{question}\n{choices}\n"

WORDINGS: dict[tuple[Style, Form, str], Wording] = {
    ("ctllm", "letter", "zh"): Wording(header=_ZH, question=_SHOWN, cue="答案：", delimiter=""),
    ("ctllm", "letter", "en"): Wording(header=_EN, question=_SHOWN, cue="Answer:"),
    ("ctllm", "cloze", "zh"): Wording(question="问题：{question}\n", cue="答案：", delimiter=""),
    ("ctllm", "cloze", "en"): Wording(question="Question: {question}\n", cue="Answer:"),
    ("lm_eval", "letter", "zh"): Wording(header=_ZH_SUBJECT, question=_SHOWN, cue="答案："),
    ("lm_eval", "letter", "en"): Wording(header=_EN_SUBJECT, question=_SHOWN, cue="Answer:"),
    ("lm_eval", "cloze", "zh"): Wording(question="{question}\n", cue="答案："),
    ("lm_eval", "cloze", "en"): Wording(question="Question: {question}\n", cue="Answer:"),
    ("opencompass", "letter", "zh"): Wording(
        header=_ZH_EXAM, repeats_header=True, question=_SHOWN, cue="答案: ", delimiter="", shot_separator="\n"
    ),
    ("opencompass", "letter", "en"): Wording(
        header="There is a single choice question about {subject}. Answer the question by replying A, B, C or D.\n",
        repeats_header=True,
        question="Question: {question}\n{choices}\n",
        cue="Answer: ",
        delimiter="",
        shot_separator="\n",
    ),
    ("opencompass", "cloze", "zh"): Wording(question="{question}\n", cue="答案: ", delimiter=""),
    ("opencompass", "cloze", "en"): Wording(question="Question: {question}\n", cue="Answer: ", delimiter=""),
}
"""Of training-reference's summary of both harnesses (lm-eval 0.4.13; OpenCompass' ppl configs, in its own words)."""
