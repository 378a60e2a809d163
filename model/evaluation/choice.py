"""Multiple choice by log-likelihood: which answer does the model find likeliest? Nothing is generated or parsed.

letter   question and all choices are shown, the letters after the cue are compared (C-Eval's and CMMLU's own form)
cloze    only the question is shown, the answers' own texts are compared, per byte; the signal for small models, which
         do not know letters yet

A result carries the digest of everything around the questions: scores with different digests cannot be compared.
"""

import hashlib
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ctllm.model.completions import Completion, score_completions
from ctllm.model.evaluation.choice_items import LETTERS, ChoiceItem, Subject, read_subjects
from ctllm.model.tokenizer import Tokenizer
from ctllm.model.transformer import Transformer
from ctllm.schemas.errors import InputError
from ctllm.schemas.progress import Progress, ProgressEvent, silent
from ctllm.schemas.tuning_config import ChoiceTaskConfig
from ctllm.schemas.tuning_run import ChoiceResult, ChoiceSubject


@dataclass(frozen=True)
class Wording:
    """What stands around a question."""

    header: str
    question: str
    cue: str
    before_answer: str
    """Between the cue and the answer; scored with the answer."""


WORDINGS = {
    ("letter", "zh"): Wording("以下是单项选择题，请选出其中的正确答案。\n\n", "{question}\n{choices}\n", "答案：", ""),
    ("letter", "en"): Wording(
        "The following are multiple choice questions.\n\n", "{question}\n{choices}\n", "Answer:", " "
    ),
    ("cloze", "zh"): Wording("", "问题：{question}\n", "答案：", ""),
    ("cloze", "en"): Wording("", "Question: {question}\n", "Answer:", " "),
}


@dataclass(frozen=True)
class _Answered:
    """One item with the log-probability of each choice."""

    item: ChoiceItem
    scores: list[float]

    @property
    def chosen(self) -> int:
        """The likeliest choice, the first of equals."""
        return max(range(len(self.scores)), key=self.scores.__getitem__)


class ChoiceTask:
    """A benchmark, its files read."""

    def __init__(self, config: ChoiceTaskConfig) -> None:
        """Raises InputError when a file is missing, or a subject has no examples."""
        self.config = config
        self.wording = WORDINGS[config.form, config.language]
        self.subjects = read_subjects(config.items)
        examples = {subject.name: subject for subject in read_subjects(config.shots)}
        self.examples = {subject.name: self._examples(subject, examples) for subject in self.subjects}

    def _examples(self, subject: Subject, known: Mapping[str, Subject]) -> str:
        """The shots in front of every question of a subject; of the only file when there is just one for all."""
        number = self.config.num_shots
        if number == 0:
            return ""
        source = known.get(subject.name) or (next(iter(known.values())) if len(known) == 1 else None)
        if source is None or len(source.items) < number:
            raise InputError(
                f"choice task {self.config.name}: fewer than {number} examples for {subject.name} in shots"
            )
        return "".join(f"{self._prompt(item)}{self._answers(item)[item.answer]}\n\n" for item in source.items[:number])

    def prompt_digest(self) -> str:
        """16 hex digits of the wording and the examples."""
        return hashlib.sha256(repr((self.wording, sorted(self.examples.items()))).encode()).hexdigest()[:16]

    def run(
        self, model: Transformer, *, tokenizer: Tokenizer, per_batch: int, progress: Progress = silent
    ) -> ChoiceResult:
        """Scores every item and sums up."""
        answered: dict[str, list[_Answered]] = {}
        num_truncated = 0
        for number, subject in enumerate(self.subjects):
            items = subject.items[: self.config.max_items]
            completions, cut = self._completions(subject.name, items, model=model, tokenizer=tokenizer)
            scores = score_completions(model, completions, padding_id=tokenizer.end_of_document_id, per_batch=per_batch)
            answered[subject.name] = [self._answer(item, [next(scores) for _ in item.choices]) for item in items]
            num_truncated += cut
            progress(ProgressEvent(f"choice {self.config.name}", number + 1, len(self.subjects), unit="subjects"))
        return self._sum_up(answered, num_truncated=num_truncated, tokenizer=tokenizer)

    def _completions(
        self, subject: str, items: Sequence[ChoiceItem], *, model: Transformer, tokenizer: Tokenizer
    ) -> tuple[list[Completion], int]:
        """One completion per choice, in order, and how many items had to be cut at the left."""
        start, room = tokenizer.end_of_document_id, model.config.context_length
        completions, num_truncated = [], 0
        for item in items:
            prompt = tokenizer.encode(self.wording.header + self.examples[subject] + self._prompt(item))
            answers = [tokenizer.encode(self.wording.before_answer + text)[:room] for text in self._answers(item)]
            longest = max(map(len, answers))
            kept = prompt[max(0, len(prompt) - (room - longest)) :]  # prompt and answer, less the last token, are fed
            num_truncated += len(kept) < len(prompt)
            completions += [Completion([start, *kept], answer) for answer in answers]
        return completions, num_truncated

    def _prompt(self, item: ChoiceItem) -> str:
        choices = "\n".join(f"{letter}. {text}" for letter, text in zip(LETTERS, item.choices, strict=False))
        return self.wording.question.format(question=item.question, choices=choices) + self.wording.cue

    def _answers(self, item: ChoiceItem) -> list[str]:
        """The texts that are compared."""
        return list(LETTERS[: len(item.choices)]) if self.config.form == "letter" else list(item.choices)

    def _answer(self, item: ChoiceItem, scores: list[float]) -> _Answered:
        if self.config.form == "cloze":
            scores = per_byte(scores, item.choices)
        return _Answered(item, scores)

    def _sum_up(
        self, answered: Mapping[str, list[_Answered]], *, num_truncated: int, tokenizer: Tokenizer
    ) -> ChoiceResult:
        everything = [each for members in answered.values() for each in members]
        subjects = {name: ChoiceSubject(items=len(each), accuracy=_accuracy(each)) for name, each in answered.items()}
        accuracy = _accuracy(everything)
        constant, hits = Counter(each.item.letter for each in everything).most_common(1)[0]
        chosen = Counter(LETTERS[each.chosen] for each in everything)
        letters = LETTERS[: max(len(each.item.choices) for each in everything)] if self.config.form == "letter" else ""
        return ChoiceResult(
            form=self.config.form,
            language=self.config.language,
            num_shots=self.config.num_shots,
            prompt_digest=self.prompt_digest(),
            items=len(everything),
            accuracy_micro=accuracy,
            accuracy_macro=sum(subject.accuracy for subject in subjects.values()) / len(subjects),
            standard_error=math.sqrt(accuracy * (1 - accuracy) / len(everything)),
            chance=sum(1 / len(each.item.choices) for each in everything) / len(everything),
            constant_letter=constant,
            constant_letter_accuracy=hits / len(everything),
            answers_by_letter=dict(sorted(chosen.items())),
            compared_tokens={letter: tokenizer.encode(self.wording.before_answer + letter) for letter in letters},
            items_truncated=num_truncated,
            items_unreadable=sum(subject.num_unreadable for subject in self.subjects),
            subjects=subjects,
        )


def per_byte(scores: Sequence[float], texts: Sequence[str]) -> list[float]:
    """Log-probabilities divided by the texts' bytes of UTF-8, so that short answers have no advantage."""
    return [score / len(text.encode()) for score, text in zip(scores, texts, strict=True)]


def _accuracy(answered: Sequence[_Answered]) -> float:
    return sum(each.chosen == each.item.answer for each in answered) / len(answered)
