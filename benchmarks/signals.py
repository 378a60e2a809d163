"""Speed of all signals on one core, per group and against a plain version in the same run; prints one JSON line.

    python benchmarks/signals.py CORPUS.jsonl.zst...     files of {"text": ...} lines

CPU time, best of three; MB are 10^6 bytes of UTF-8 text. The rival is the usual way in Python, a loop over characters
with `unicodedata` and a Counter of n-grams, for six character shares, entropy and the repetition of 2- to 10-grams;
it sees a small part of the text. `groups` are milliseconds per MB; what is missing to the whole is `Measurer` itself.
"""

import io
import json
import math
import sys
import time
import unicodedata
from collections import Counter
from collections.abc import Callable, Sequence

import pyarrow as pa
import zstandard

from ctllm.pipelines.batch import decode_utf8, text_buffers
from ctllm.pipelines.secret_patterns import may_hold_secrets
from ctllm.pipelines.signals.boilerplate import BoilerplateIndex
from ctllm.pipelines.signals.character_counts import count_characters
from ctllm.pipelines.signals.characters import classify, measure_characters
from ctllm.pipelines.signals.code import measure_code, measure_heads
from ctllm.pipelines.signals.line_forms import measure_line_forms
from ctllm.pipelines.signals.lines import hash_lines, measure_lines, split_lines
from ctllm.pipelines.signals.measure import Measurer
from ctllm.pipelines.signals.paragraphs import measure_paragraphs
from ctllm.pipelines.signals.phrases import PhraseIndex
from ctllm.pipelines.signals.prose import measure_prose
from ctllm.pipelines.signals.repetition import measure_repetition
from ctllm.pipelines.signals.script_shares import measure_scripts
from ctllm.pipelines.signals.sign_shares import measure_sign_shares
from ctllm.pipelines.signals.signs import find_signs
from ctllm.pipelines.signals.spam import SpamVocabulary
from ctllm.pipelines.signals.word_forms import measure_word_forms
from ctllm.pipelines.signals.words import measure_words, split_units
from ctllm.schemas.curation_config import CurationConfig
from ctllm.schemas.document import DOCUMENTS
from ctllm.schemas.memory import keep_freed_memory

BATCH = 200  # documents a batch, as the readers make them
PLAIN_BYTES = 200_000  # of text for the plain version


def cpu_seconds(work: Callable[[], object]) -> float:
    """CPU time of one call, the best of three."""
    times = []
    for _ in range(3):
        started = time.process_time()
        work()
        times.append(time.process_time() - started)
    return min(times)


def read_texts(path: str) -> list[str]:
    """The texts of one corpus."""
    with zstandard.open(path, "rb") as file:
        return [json.loads(line)["text"] for line in io.TextIOWrapper(file, encoding="utf-8")]


def documents(texts: list[str]) -> pa.RecordBatch:
    """A batch of DOCUMENTS with these texts."""
    blank = {name: pa.array([""] * len(texts), pa.string()) for name in DOCUMENTS.names}
    numbers = range(len(texts))
    columns = [
        pa.array(texts, field.type) if field.name == "text"
        else blank[field.name] if pa.types.is_string(field.type)
        else pa.array(numbers, field.type)
        for field in DOCUMENTS
    ]  # fmt: skip
    return pa.RecordBatch.from_arrays(columns, schema=DOCUMENTS)


def group_seconds(batches: list[pa.RecordBatch]) -> dict[str, float]:
    """CPU time of each group of signals."""
    spent: Counter[str] = Counter()
    vocabulary, boilerplate = SpamVocabulary(CurationConfig().vocabularies), BoilerplateIndex()
    phrases = PhraseIndex.of_terms(vocabulary.terms + boilerplate.terms)
    spam_rows, boilerplate_rows = phrases.rows_in(vocabulary.index), phrases.rows_in(boilerplate.index)
    for batch in batches:
        data, byte_offsets = text_buffers(batch.column("text"))
        codepoints, offsets = decode_utf8(data, byte_offsets)
        classes = classify(codepoints)
        lines = split_lines(codepoints, offsets, classes=classes)
        counts, signs = count_characters(codepoints, offsets), find_signs(codepoints, offsets)
        units = split_units(codepoints, offsets, classes=classes)
        matches = phrases.find(units)
        spam, footers = matches.renumbered(spam_rows), matches.renumbered(boilerplate_rows)
        hashes = hash_lines(codepoints, lines)
        repeats = measure_lines(codepoints, lines, classes=classes, hashes=hashes)["duplicate_line_share"] > 0
        groups: dict[str, Callable[[], object]] = {
            "decode": lambda: decode_utf8(data, byte_offsets),  # noqa: B023 - called within this turn of the loop
            "classes": lambda: classify(codepoints),  # noqa: B023
            "split_lines": lambda: split_lines(codepoints, offsets, classes=classes),  # noqa: B023
            "split_units": lambda: split_units(codepoints, offsets, classes=classes),  # noqa: B023
            "signs": lambda: find_signs(codepoints, offsets),  # noqa: B023
            "character_counts": lambda: count_characters(codepoints, offsets),  # noqa: B023
            "characters": lambda: measure_characters(codepoints, offsets, counts, classes=classes),  # noqa: B023
            "sign_shares": lambda: measure_sign_shares(codepoints, offsets, signs),  # noqa: B023
            "hash_lines": lambda: hash_lines(codepoints, lines),  # noqa: B023
            "lines": lambda: measure_lines(codepoints, lines, classes=classes, hashes=hashes),  # noqa: B023
            "scripts": lambda: measure_scripts(codepoints, offsets, counts),  # noqa: B023
            "word_forms": lambda: measure_word_forms(codepoints, offsets, units, classes=classes, signs=signs),  # noqa: B023
            "line_forms": lambda: measure_line_forms(codepoints, lines),  # noqa: B023
            "paragraphs": lambda: measure_paragraphs(codepoints, lines, hashes=hashes, repeats_lines=repeats),  # noqa: B023
            "phrases": lambda: phrases.find(units),  # noqa: B023
            "boilerplate": lambda: boilerplate.measure(lines, units, footers),  # noqa: B023
            "code": lambda: measure_code(codepoints, lines, classes=classes),  # noqa: B023
            "prose": lambda: measure_prose(codepoints, lines, classes=classes, signs=signs),  # noqa: B023
            "heads": lambda: measure_heads(data, byte_offsets),  # noqa: B023
            "words": lambda: measure_words(units),  # noqa: B023
            "repetition": lambda: measure_repetition(units),  # noqa: B023
            "vocabulary": lambda: vocabulary.measure(units, spam),  # noqa: B023
            "secrets": lambda: may_hold_secrets(data, byte_offsets),  # noqa: B023
        }
        for name, work in groups.items():
            spent[name] += cpu_seconds(work)
    return dict(spent)


def plain(text: str) -> list[float]:
    """What the usual Python loop does for the same kind of signals."""
    kinds = Counter(unicodedata.category(char)[0] for char in text)
    shares = [count / len(text) for count in Counter(text).values()]
    values = [*(kinds[kind] / len(text) for kind in "LNPSZM"), -sum(share * math.log(share) for share in shares)]
    for size in range(2, 11):
        grams = Counter(text[at : at + size] for at in range(len(text) - size + 1))
        values.append(max(grams.values(), default=0) / len(text))
    return values


def main(paths: Sequence[str]) -> None:
    """Measures both and prints the line."""
    keep_freed_memory()  # as the stage does
    measurer = Measurer(CurationConfig())
    measurer.measure(documents(["compiles the kernels 编译"]))
    speeds, seconds, total = {}, 0.0, 0
    spent: Counter[str] = Counter()
    few: list[str] = []
    for path in paths:
        texts = [text for text in read_texts(path) if text]
        batches = [documents(texts[at : at + BATCH]) for at in range(0, len(texts), BATCH)]
        size = sum(len(text.encode()) for text in texts)
        took = cpu_seconds(lambda: [measurer.measure(batch) for batch in batches])  # noqa: B023
        speeds[path.rsplit("/", 1)[-1].partition(".")[0]] = round(size / took / 1e6, 1)
        spent.update(group_seconds(batches))
        seconds, total = seconds + took, total + size
        few += texts[: max(1, len(texts) * PLAIN_BYTES // size // len(paths))]
    theirs = sum(len(text.encode()) for text in few) / cpu_seconds(lambda: [plain(text) for text in few])
    line = {
        "benchmark": "signals",
        "mb": round(total / 1e6, 1),
        "mb_per_s": round(total / seconds / 1e6, 1),
        "by_corpus": speeds,
        "groups_ms_per_mb": {name: round(1e9 * each / total, 2) for name, each in spent.items()},
        "plain_python_mb_per_s": round(theirs / 1e6, 2),
        "ratio": round(total / seconds / theirs, 1),
    }
    print(json.dumps(line))


if __name__ == "__main__":
    main(sys.argv[1:])
