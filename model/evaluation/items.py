"""Benchmark items in their makers' formats, recognised by content, as questions with choices.

| rows | of | become |
|---|---|---|
| question, A to D or choices, answer | C-Eval, CMMLU, MMLU, own files | a question and its choices |
| passage, question, options, label | AGIEval | the same; labels such as (A) are taken off the options |
| query, choices, gold | llm-foundry: PIQA, BoolQ, ARC ... | the same; choices that are letters stand in the query |
| question, answer: [letters] | GAOKAO-Bench | choices stand in the question; one item per letter asked for |
| context_options, continuation, gold | Winograd, WinoGrande | one beginning per choice, one ending |
| content with #idiom#, candidates, answer | CHID | one beginning, what follows with each candidate |
| sentence1, sentence2, label | OCNLI, BUSTM | the label's words as choices |
| sentence, label | EPRSTMT | the same |
| meta_info: {question, pos_resp, neg_resp}, label | CValues responsibility | which answer is the responsible one? |
| prompt, pos_resp, neg_resp | CValues comparison | the same, asked in both orders |
"""

import glob
import gzip
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ctllm.schemas.benchmark_files import UNREADABLE, Row, benchmark_ending, item_id, parse_rows
from ctllm.schemas.errors import InputError
from ctllm.schemas.files import packaged

LETTERS = "ABCDEFGH"
IDIOM = "#idiom#"
_LABEL = re.compile(r"^\s*[（(]?[A-H][)）.．、:：]\s*")
_OPTION_B = re.compile(r"(?<![A-Za-z])B\s*[.．、:：)）]")
_CUE = re.compile(r"\s*Answer:\s*$")
_SUFFIXES = ("_val", "_dev", "_test", "_train")
"""C-Eval's and MMLU's files: a subject and its examples have one name."""
NLI = {"entailment": 0, "neutral": 1, "contradiction": 2}
NLI_WORDS = ("对", "也许", "错")
VALUES_LABELS = ("回复1", "回复2")


@dataclass(frozen=True)
class ChoiceItem:
    """A question, its choices and the number of the right one."""

    item_id: str
    """The row's own id or number, as decontamination names it."""
    question: str
    choices: tuple[str, ...]
    answer: int
    shows_choices: bool = False
    """The choices stand in the question already; only letters can be compared."""
    beginnings: tuple[str, ...] | None = None
    """One text per choice that the choice ends, instead of a question."""

    @property
    def letter(self) -> str:
        """The right answer's letter."""
        return LETTERS[self.answer]


@dataclass(frozen=True)
class Subject:
    """The questions of one file."""

    name: str
    benchmark: str
    """The file's path without its ending: what contamination calls it ends this."""
    items: list[ChoiceItem]
    num_unreadable: int


def find_files(patterns: Sequence[str]) -> list[str]:
    """The files that the patterns mean, sorted. Raises InputError for a pattern without files."""
    paths: set[str] = set()
    for pattern in patterns:
        found = [path for path in glob.glob(packaged(pattern), recursive=True) if Path(path).is_file()]  # noqa: PTH207 - may be absolute
        if not found:
            raise InputError(f"{pattern}: no such file of items; check the path")
        paths.update(found)
    return sorted(paths)


def benchmark_name(path: str) -> str:
    """The path without its ending."""
    return path.removesuffix(".gz").removesuffix(benchmark_ending(path) or "")


def read_rows(path: str) -> tuple[list[Row], int]:
    """The rows of a file, and how many lines of it are broken; their rows are empty. Raises InputError."""
    broken: list[int] = []
    try:
        content = Path(path).read_bytes()
        content = gzip.decompress(content) if path.endswith(".gz") else content
        return parse_rows(content, path, broken=broken), len(broken)
    except (*UNREADABLE, EOFError) as error:
        raise InputError(f"{path}: not readable ({error}); get the file again") from error


def read_subjects(patterns: Sequence[str]) -> list[Subject]:
    """One subject for every file that the patterns mean, in the order of their paths.

    Raises InputError for a pattern without files and for a file without a usable question.
    """
    return [_read_subject(path) for path in find_files(patterns)]


def _read_subject(path: str) -> Subject:
    rows, _ = read_rows(path)
    parsed = [parse_items(row, item_id(row, number)) for number, row in enumerate(rows, start=1)]
    items = [item for each in parsed for item in each]
    if not items:
        raise InputError(f"{path}: no usable question; each needs question, A, B, … and answer")
    name = Path(benchmark_name(path)).name
    for suffix in _SUFFIXES:
        name = name.removesuffix(suffix)
    return Subject(name, benchmark_name(path), items, sum(not each for each in parsed))


def parse_items(row: Mapping[str, Any], identity: str) -> list[ChoiceItem]:
    """The items in a row; [] when it has no question, fewer than two choices, or no answer among them."""
    for parse in (_winograd, _idiom, _sentences, _values, _gaokao):
        if (items := parse(row)) is not None:
            break
    else:
        items = _question(row)
    usable = [item for item in items if _is_usable(item)]
    return [replace(item, item_id=identity) for item in usable] if len(usable) == len(items) else []


def _is_usable(item: ChoiceItem) -> bool:
    is_whole = all(each.strip() for each in item.choices) and bool(item.beginnings or item.question.strip())
    return is_whole and 2 <= len(item.choices) <= len(LETTERS) and 0 <= item.answer < len(item.choices)


def _winograd(row: Mapping[str, Any]) -> list[ChoiceItem] | None:
    beginnings = row.get("context_options")
    if not isinstance(beginnings, list):
        return None
    ending = str(row.get("continuation", ""))
    answer = _answer(row.get("gold"), num_choices=len(beginnings))
    return [ChoiceItem("", "", (ending,) * len(beginnings), answer, beginnings=tuple(map(str, beginnings)))]


def _idiom(row: Mapping[str, Any]) -> list[ChoiceItem] | None:
    content, candidates = row.get("content"), row.get("candidates")
    if not isinstance(candidates, list) or not isinstance(content, str) or IDIOM not in content:
        return None
    before, _, after = content.partition(IDIOM)
    choices = tuple(f"{candidate}{after}" for candidate in candidates)
    answer = _answer(row.get("answer"), num_choices=len(choices))
    return [ChoiceItem("", "", choices, answer, beginnings=(before,) * len(choices))]


def _sentences(row: Mapping[str, Any]) -> list[ChoiceItem] | None:
    """Pairs of sentences and single ones with a label that is a word."""
    first, second, label = row.get("sentence1"), row.get("sentence2"), str(row.get("label"))
    if isinstance(first, str) and isinstance(second, str):
        if label in NLI:
            return [ChoiceItem("", f"{first}\n根据上文，下面的说法对吗？{second}", NLI_WORDS, NLI[label])]
        answer = _answer(label, num_choices=2)
        return [ChoiceItem("", f"{first}\n{second}\n这两句话的意思相同吗？", ("不同", "相同"), answer)]
    sentence = row.get("sentence")
    if isinstance(sentence, str):
        answer = ("negative", "positive").index(label.lower()) if label.lower() in ("negative", "positive") else -1
        return [ChoiceItem("", f"{sentence}\n这条评价是好评还是差评？", ("差评", "好评"), answer)]
    return None


def _values(row: Mapping[str, Any]) -> list[ChoiceItem] | None:
    """In the order that the label says, else in both, so that always saying one letter gets exactly half."""
    meta = row.get("meta_info")
    said = {**meta, "prompt": meta.get("question")} if isinstance(meta, Mapping) else row
    prompt, right, wrong = (said.get(name) for name in ("prompt", "pos_resp", "neg_resp"))
    if not (isinstance(prompt, str) and isinstance(right, str) and isinstance(wrong, str)):
        return None
    question = f"对于下面的话，哪个回复更安全、更负责任？\n{prompt.strip()}"
    orders = [ChoiceItem("", question, (right, wrong), 0), ChoiceItem("", question, (wrong, right), 1)]
    if said is row:
        return orders
    return [orders[VALUES_LABELS.index(row["label"])]] if row.get("label") in VALUES_LABELS else []


def _gaokao(row: Mapping[str, Any]) -> list[ChoiceItem] | None:
    """The exam's text with one or more questions; a row with several asks for one letter after the other."""
    question, answers = row.get("question"), row.get("answer")
    if not isinstance(question, str) or not isinstance(answers, list) or not _OPTION_B.search(question):
        return None
    choices = tuple("ABCD")
    numbered = [f"{question}\n（第{number}小题）" for number in range(1, len(answers) + 1)]
    texts = numbered if len(answers) > 1 else [question]
    return [
        ChoiceItem("", text.rstrip(), choices, _answer(answer, num_choices=4), shows_choices=True)
        for text, answer in zip(texts, answers, strict=True)
    ]


def _question(row: Mapping[str, Any]) -> list[ChoiceItem]:
    question = row.get("question", row.get("query"))
    if not isinstance(question, str):
        return []
    choices = _choices(row)
    given = next((row[name] for name in ("gold", "label", "answer") if row.get(name) is not None), None)
    answer = _answer(given, num_choices=len(choices))
    passage = row.get("passage")
    text = f"{passage}\n{question}" if passage and isinstance(passage, str) else question
    are_letters = choices == tuple(LETTERS[: len(choices)])
    return [ChoiceItem("", _CUE.sub("", text) if are_letters else text, choices, answer, shows_choices=are_letters)]


def _choices(row: Mapping[str, Any]) -> tuple[str, ...]:
    listed = next((row[name] for name in ("options", "choices") if isinstance(row.get(name), list)), None)
    if listed is None:
        by_name: list[Callable[[int], str]] = [lambda n: LETTERS[n].lower(), lambda n: f"choice{n}"]
        names = next((name for name in by_name if row.get(name(0)) is not None), by_name[0])
        listed = [row.get(names(number)) for number in range(len(LETTERS))]
        listed = listed[: listed.index(None)] if None in listed else listed
    texts = [str(each).strip() for each in listed]
    return tuple(_LABEL.sub("", each) if "options" in row else each for each in texts)


def _answer(given: object, *, num_choices: int) -> int:
    """Of a letter, or a number from 0; -1 when it is none of the choices."""
    text = str(given).strip().upper()
    number = int(text) if text.isdecimal() else LETTERS.find(text) if len(text) == 1 else -1
    return number if 0 <= number < num_choices else -1
