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

from ctllm.model.evaluation.contaminated import ContaminatedItems
from ctllm.model.evaluation.items import LETTERS, ChoiceItem, Subject, read_subjects
from ctllm.model.evaluation.likelihood import Likelihood, encode_pair, is_truncated, score
from ctllm.model.evaluation.tables import ItemRow
from ctllm.model.evaluation.wordings import WORDINGS
from ctllm.model.tokenizer import Tokenizer
from ctllm.model.transformer import Transformer
from ctllm.schemas.errors import InputError
from ctllm.schemas.evaluation_config import ChoiceTaskConfig
from ctllm.schemas.progress import Progress, ProgressEvent, silent
from ctllm.schemas.tuning_run import ChoiceResult, ChoiceSubject

CLEAN = ContaminatedItems({})


@dataclass(frozen=True)
class _Answered:
    """One item with the log-probability of each choice."""

    item: ChoiceItem
    sums: list[float]
    """As they are."""
    scores: list[float]
    """As the task compares them."""
    is_contaminated: bool

    @property
    def is_right(self) -> bool:
        return _best(self.scores) == self.item.answer


class ChoiceTask:
    """A benchmark, its files read."""

    def __init__(self, config: ChoiceTaskConfig) -> None:
        """Raises InputError when a file is missing, or a subject has no examples."""
        self.config = config
        self.wording = config.wording or WORDINGS[config.style, config.form, config.language]
        self.normalisation = config.normalisation or ("bytes" if config.form == "cloze" else "none")
        self.subjects = read_subjects(config.items)
        examples = {subject.name: subject for subject in read_subjects(config.shots)}
        self.beginnings = {subject.name: self._beginning(subject, examples) for subject in self.subjects}

    def _beginning(self, subject: Subject, known: Mapping[str, Subject]) -> str:
        """Header and examples in front of every question of a subject; of the only file when there is one for all."""
        wording, number = self.wording, self.config.num_shots
        header = wording.header.format(subject=self.config.subject_names.get(subject.name, _spoken(subject.name)))
        if number == 0:
            return header
        source = known.get(subject.name) or (next(iter(known.values())) if len(known) == 1 else None)
        if source is None or len(source.items) < number:
            raise InputError(
                f"choice task {self.config.name}: fewer than {number} examples for {subject.name} in shots"
            )
        examples = [self._prompt(item) + self._answers(item)[item.answer] for item in source.items[:number]]
        if wording.repeats_header:
            return "".join(f"{header}{each}{wording.shot_separator}" for each in examples) + header
        return header + "".join(f"{each}{wording.shot_separator}" for each in examples)

    def prompt_digest(self) -> str:
        """16 hex digits of the wording and the examples."""
        content = repr((self.wording, sorted(self.beginnings.items())))
        return hashlib.sha256(content.encode()).hexdigest()[:16]

    def run(
        self,
        model: Transformer,
        *,
        tokenizer: Tokenizer,
        per_batch: int,
        contaminated: ContaminatedItems = CLEAN,
        progress: Progress = silent,
    ) -> tuple[ChoiceResult, list[ItemRow]]:
        """Scores every item; the sums, and a row per item."""
        answered: dict[str, list[_Answered]] = {}
        compared: dict[str, list[int]] = {}
        num_truncated = 0
        for number, subject in enumerate(self.subjects):
            items = subject.items[: self.config.max_items]
            known = contaminated.of(subject.benchmark)
            pairs = [self._pairs(subject.name, item) for item in items]
            completions = [
                encode_pair(*pair, tokenizer=tokenizer, context_length=model.config.context_length)
                for each in pairs
                for pair in each
            ]
            if self.config.form == "letter" and len(items[0].choices) > len(compared):
                compared = {letter: each.tokens for letter, each in zip(self._answers(items[0]), completions)}  # noqa: B905 - of the first item
            results = iter(score(model, completions, per_batch=per_batch))
            answered[subject.name] = [
                self._answered(item, [next(results) for _ in item.choices], item.item_id in known) for item in items
            ]
            firsts = [0, *_running_sum([len(each) for each in pairs])][:-1]
            num_truncated += sum(
                is_truncated(each[0][0], completions[first], tokenizer=tokenizer)
                for each, first in zip(pairs, firsts, strict=True)
            )
            progress(ProgressEvent(f"choice {self.config.name}", number + 1, len(self.subjects), unit="subjects"))
        result = self._sum_up(answered, num_truncated=num_truncated, compared=compared, tokenizer=tokenizer)
        return result, [self._row(name, each) for name, members in answered.items() for each in members]

    def _pairs(self, subject: str, item: ChoiceItem) -> list[tuple[str, str]]:
        """Context and continuation of every choice."""
        if item.beginnings is not None:
            starts, gap = item.beginnings, "" if item.beginnings[0] == item.beginnings[-1] else " "
            return [(start, gap + choice) for start, choice in zip(starts, item.choices, strict=True)]
        context = self.beginnings[subject] + self._prompt(item, with_delimiter=False)
        return [(context, self.wording.delimiter + answer) for answer in self._answers(item)]

    def _prompt(self, item: ChoiceItem, *, with_delimiter: bool = True) -> str:
        wording = self.wording
        choices = wording.choice_separator.join(
            wording.choice.format(letter=letter, text=text) for letter, text in zip(LETTERS, item.choices, strict=False)
        )
        question = item.question.strip()
        if item.shows_choices:
            template = wording.question.replace("{choices}\n", "").replace("{choices}", "")
            text = template.replace("{question}", question)
        else:
            text = wording.question.replace("{choices}", choices).replace("{question}", question)
        return text + wording.cue + (wording.delimiter if with_delimiter else "")

    def _answers(self, item: ChoiceItem) -> list[str]:
        """The texts that are compared."""
        shows_letters = self.config.form == "letter" and item.beginnings is None
        return list(LETTERS[: len(item.choices)]) if shows_letters else list(item.choices)

    def _answered(self, item: ChoiceItem, results: Sequence[Likelihood], is_contaminated: bool) -> _Answered:
        sums = [each.log_probability for each in results]
        scores = per_byte(sums, self._answers(item)) if self.normalisation == "bytes" else sums
        return _Answered(item, sums, scores, is_contaminated)

    def _row(self, subject: str, answered: _Answered) -> ItemRow:
        return ItemRow(
            task=self.config.name,
            subject=subject,
            item_id=answered.item.item_id,
            is_right=answered.is_right,
            is_contaminated=answered.is_contaminated,
            answer=answered.item.letter,
            given=LETTERS[_best(answered.scores)],
            log_probabilities=answered.sums,
        )

    def _sum_up(
        self,
        answered: Mapping[str, list[_Answered]],
        *,
        num_truncated: int,
        compared: dict[str, list[int]],
        tokenizer: Tokenizer,
    ) -> ChoiceResult:
        everything = [each for members in answered.values() for each in members]
        clean = [each for each in everything if not each.is_contaminated]
        subjects = {name: _subject(members) for name, members in answered.items()}
        constant, hits = Counter(each.item.letter for each in everything).most_common(1)[0]
        chosen = Counter(LETTERS[_best(each.scores)] for each in everything)
        return ChoiceResult(
            form=self.config.form,
            style=self.config.style,
            language=self.config.language,
            normalisation=self.normalisation,
            num_shots=self.config.num_shots,
            prompt_digest=self.prompt_digest(),
            items=len(everything),
            accuracy_micro=_accuracy(everything),
            accuracy_macro=sum(subject.accuracy for subject in subjects.values()) / len(subjects),
            accuracy_of_sums=sum(_best(each.sums) == each.item.answer for each in everything) / len(everything),
            standard_error=standard_error(_accuracy(everything), len(everything)),
            items_contaminated=len(everything) - len(clean),
            accuracy_clean=_accuracy(clean) if clean else None,
            chance=sum(1 / len(each.item.choices) for each in everything) / len(everything),
            constant_letter=constant,
            constant_letter_accuracy=hits / len(everything),
            answers_by_letter=dict(sorted(chosen.items())),
            compared_tokens=compared,
            compared_texts={letter: [tokenizer.piece(token) for token in ids] for letter, ids in compared.items()},
            items_truncated=num_truncated,
            items_unreadable=sum(subject.num_unreadable for subject in self.subjects),
            subjects=subjects,
        )


def per_byte(scores: Sequence[float], texts: Sequence[str]) -> list[float]:
    """Log-probabilities divided by the texts' bytes of UTF-8, so that short answers have no advantage."""
    return [score / len(text.encode()) for score, text in zip(scores, texts, strict=True)]


def standard_error(share: float, number: int) -> float:
    """Of a share of `number` items."""
    return math.sqrt(share * (1 - share) / number)


def _best(scores: Sequence[float]) -> int:
    """The likeliest choice, the first of equals."""
    return max(range(len(scores)), key=scores.__getitem__)


def _spoken(name: str) -> str:
    """A file's name as words."""
    return name.replace("_", " ")


def _running_sum(numbers: Sequence[int]) -> list[int]:
    sums, total = [], 0
    for number in numbers:
        total += number
        sums.append(total)
    return sums


def _subject(answered: Sequence[_Answered]) -> ChoiceSubject:
    accuracy = _accuracy(answered)
    return ChoiceSubject(
        items=len(answered),
        accuracy=accuracy,
        standard_error=standard_error(accuracy, len(answered)),
        items_contaminated=sum(each.is_contaminated for each in answered),
    )


def _accuracy(answered: Sequence[_Answered]) -> float:
    return sum(each.is_right for each in answered) / len(answered)
