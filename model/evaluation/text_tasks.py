"""Benchmarks whose answer is a text: LAMBADA's last word, GSM8K's number, HumanEval's program.

last_word   the log-probability of the word; right when every token of it is the likeliest (lm-eval's `acc`)
number      written greedily after examples; the last number of the text is compared (lm-eval's flexible-extract)
program     written greedily up to the next top-level statement; right when the item's own tests pass in the sandbox
"""

import hashlib
import math
import queue
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ctllm.model.evaluation.choice import CLEAN, standard_error
from ctllm.model.evaluation.contaminated import ContaminatedItems
from ctllm.model.evaluation.items import benchmark_name, find_files, read_rows
from ctllm.model.evaluation.likelihood import encode_pair, is_truncated, score
from ctllm.model.evaluation.sandbox import run_program
from ctllm.model.evaluation.tables import ItemRow
from ctllm.model.serving.engine import Engine, Event, Failed, Piece, Request
from ctllm.model.tokenizer import Tokenizer
from ctllm.model.transformer import Transformer
from ctllm.schemas.benchmark_files import item_id
from ctllm.schemas.errors import InputError, StageError
from ctllm.schemas.evaluation_config import TextTaskConfig
from ctllm.schemas.progress import Progress, ProgressEvent, silent
from ctllm.schemas.serve_config import ServeConfig
from ctllm.schemas.tuning_config import GenerateConfig
from ctllm.schemas.tuning_run import TextResult

NUMBER_STOPS = ("Question:", "\n\nQ")  # lm-eval's `until`, and the beginning of a next example
PROGRAM_STOPS = ("\nclass", "\ndef", "\n#", "\nif", "\nprint")  # HumanEval paper (arXiv 2107.03374), section 2.2
_NUMBER = re.compile(r"-?\d[\d,]*(?:\.\d+)?")


@dataclass(frozen=True)
class TextItem:
    """One item."""

    item_id: str
    prompt: str
    answer: str
    """The word, the number, or the tests that the program must pass."""
    shown_answer: str
    """As it stands in an example."""


@dataclass(frozen=True)
class _Outcome:
    is_right: bool
    given: str
    log_probability: float | None = None
    note: str = ""


class TextTask:
    """A benchmark, its files read."""

    def __init__(self, config: TextTaskConfig) -> None:
        """Raises InputError when a file is missing or has no usable item, or there are too few examples."""
        self.config = config
        self.items: list[tuple[str, TextItem]] = []
        self.num_unreadable = 0
        for path in find_files(config.items):
            items, num_unreadable = _read(path, config.kind)
            self.items += [(benchmark_name(path), item) for item in items]
            self.num_unreadable += num_unreadable
        self.items = self.items[: config.max_items]
        shots = [item for path in find_files(config.shots) for item in _read(path, config.kind)[0]]
        if not self.items or len(shots) < config.num_shots:
            raise InputError(f"text task {config.name}: no usable item, or fewer than {config.num_shots} examples")
        self.examples = [f"{item.prompt}{item.shown_answer}\n\n" for item in shots[: config.num_shots]]

    def prompt_digest(self) -> str:
        """16 hex digits of the examples and of how an item is asked."""
        return hashlib.sha256(repr((self.config.kind, self.examples)).encode()).hexdigest()[:16]

    def run(
        self,
        model: Transformer,
        *,
        tokenizer: Tokenizer,
        per_batch: int,
        contaminated: ContaminatedItems = CLEAN,
        progress: Progress = silent,
    ) -> tuple[TextResult, list[ItemRow]]:
        """Scores every item; the sums, and a row per item."""
        if self.config.kind == "last_word":
            outcomes, num_truncated = self._predict(model, tokenizer=tokenizer, per_batch=per_batch)
        else:
            outcomes, num_truncated = self._write(model, tokenizer=tokenizer, per_batch=per_batch, progress=progress)
        known = {benchmark: contaminated.of(benchmark) for benchmark, _ in self.items}
        is_known = [item.item_id in known[benchmark] for benchmark, item in self.items]
        rows = [
            ItemRow(
                task=self.config.name,
                subject=benchmark.rsplit("/", 1)[-1],
                item_id=item.item_id,
                is_right=outcome.is_right,
                is_contaminated=is_contaminated,
                answer="" if self.config.kind == "program" else item.answer,
                given=outcome.given,
                log_probabilities=[] if outcome.log_probability is None else [outcome.log_probability],
                note=outcome.note,
            )
            for (benchmark, item), outcome, is_contaminated in zip(self.items, outcomes, is_known, strict=True)
        ]
        return self._sum_up(rows, num_truncated=num_truncated), rows

    def _predict(self, model: Transformer, *, tokenizer: Tokenizer, per_batch: int) -> tuple[list[_Outcome], int]:
        length = model.config.context_length
        pairs = [(item.prompt, f" {item.answer}") for _, item in self.items]
        completions = [encode_pair(*pair, tokenizer=tokenizer, context_length=length) for pair in pairs]
        results = score(model, completions, per_batch=per_batch)
        outcomes = [_Outcome(each.is_greedy, "", log_probability=each.log_probability) for each in results]
        truncated = [
            is_truncated(context, each, tokenizer=tokenizer)
            for (context, _), each in zip(pairs, completions, strict=True)
        ]
        return outcomes, sum(truncated)

    def _write(
        self, model: Transformer, *, tokenizer: Tokenizer, per_batch: int, progress: Progress
    ) -> tuple[list[_Outcome], int]:
        stops = NUMBER_STOPS if self.config.kind == "number" else PROGRAM_STOPS
        config = GenerateConfig(max_new_tokens=self.config.max_new_tokens, temperature=0)
        prompts, num_truncated = self._prompts(tokenizer, context_length=model.config.context_length)
        requests = [
            Request(prompt, config, frozenset([tokenizer.end_of_document_id]), stop_texts=stops) for prompt in prompts
        ]
        outcomes = []
        limits = ServeConfig(max_rows=per_batch, max_queue=len(requests), timeout_s=1e9)
        with Engine(model, tokenizer, config=limits) as engine:
            answers = [queue.SimpleQueue[Event]() for _ in requests]
            for request, events in zip(requests, answers, strict=True):
                engine.submit(request, events.put)
            for number, (events, (_, item)) in enumerate(zip(answers, self.items, strict=True), start=1):
                outcomes.append(self._judge(item, _text(events)))
                progress(ProgressEvent(f"text {self.config.name}", number, len(self.items), unit="items"))
        return outcomes, num_truncated

    def _prompts(self, tokenizer: Tokenizer, *, context_length: int) -> tuple[list[list[int]], int]:
        """Tokens of examples and item with room for an answer: examples are left out, then the beginning is cut."""
        room = context_length - min(self.config.max_new_tokens, context_length // 2)
        prompts, num_truncated = [], 0
        for _, item in self.items:
            for num_left_out in range(len(self.examples) + 1):
                text = "".join(self.examples[num_left_out:]) + item.prompt
                tokens = [tokenizer.end_of_document_id, *tokenizer.encode(text)]
                if len(tokens) <= room:
                    break
            num_truncated += num_left_out > 0 or len(tokens) > room
            prompts.append([tokens[0], *tokens[1:][-(room - 1) :]])
        return prompts, num_truncated

    def _judge(self, item: TextItem, text: str) -> _Outcome:
        if self.config.kind == "number":
            given = last_number(text)
            return _Outcome(given == item.answer, given)
        result = run_program(f"{item.prompt}{text}\n{item.answer}")
        return _Outcome(result.outcome == "passed", text, note=" ".join([result.outcome, result.message]).strip())

    def _sum_up(self, rows: Sequence[ItemRow], *, num_truncated: int) -> TextResult:
        clean = [row.is_right for row in rows if not row.is_contaminated]
        accuracy = sum(row.is_right for row in rows) / len(rows)
        values = [value for row in rows for value in row.log_probabilities]
        return TextResult(
            kind=self.config.kind,
            num_shots=self.config.num_shots,
            prompt_digest=self.prompt_digest(),
            items=len(rows),
            accuracy=accuracy,
            standard_error=standard_error(accuracy, len(rows)),
            items_contaminated=len(rows) - len(clean),
            accuracy_clean=sum(clean) / len(clean) if clean else None,
            perplexity=math.exp(min(700.0, -sum(values) / len(values))) if values else None,  # above 700 exp overflows
            outcomes=dict(Counter(row.note.split(" ")[0] for row in rows)) if self.config.kind == "program" else {},
            items_truncated=num_truncated,
            items_unreadable=self.num_unreadable,
        )


def last_number(text: str) -> str:
    """The last number in a text without separators and trailing zeros of a fraction, "" when there is none."""
    found = _NUMBER.findall(text)
    return plain_number(found[-1]) if found else ""


def plain_number(text: str) -> str:
    """`1,200.50` as `1200.5`."""
    plain = text.replace(",", "")
    return plain.rstrip("0").rstrip(".") if "." in plain else plain


def _text(events: "queue.SimpleQueue[Event]") -> str:
    text = ""
    while isinstance(event := events.get(), Piece):
        text += event.text
    if isinstance(event, Failed):
        raise StageError(f"the model wrote nothing: {event.message}")
    return text


def _read(path: str, kind: str) -> tuple[list[TextItem], int]:
    rows, _ = read_rows(path)
    parsed = [_parse(row, item_id(row, number), kind) for number, row in enumerate(rows, start=1)]
    items = [item for item in parsed if item is not None]
    return items, len(parsed) - len(items)


def _parse(row: Mapping[str, Any], identity: str, kind: str) -> TextItem | None:
    fields = {
        "last_word": ("context", "continuation"),
        "number": ("question", "answer"),
        "program": ("prompt", "test", "entry_point"),
    }[kind]
    texts = [row.get(name) for name in fields]
    if kind == "last_word" and isinstance(row.get("text"), str):  # LAMBADA as first published
        texts = list(row["text"].rpartition(" ")[::2])
    if not all(isinstance(text, str) and text for text in texts):
        return None
    first, second = str(texts[0]), str(texts[1])
    if kind == "number":
        answer = plain_number(second.rpartition("####")[2].strip())
        return TextItem(identity, f"Question: {first}\nAnswer:", answer, f" {second}")
    if kind == "program":
        return TextItem(identity, first, f"{second}\ncheck({texts[2]})", "")
    return TextItem(identity, first, second.strip(), f" {second}")
