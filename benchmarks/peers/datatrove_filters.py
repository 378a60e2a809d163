"""What datatrove's filters keep of a sample and how much CPU they take; runs in an environment of its own.

    PEER/bin/python benchmarks/peers/datatrove_filters.py SAMPLE.jsonl     lines of {source, lang, text}

Chinese: the filters, their order and values of FineWeb-2 (huggingface/fineweb-2, fineweb-2-pipeline.py and
configs/cmn_Hani.yml), with the tokenizer `cmn_Hani`; no C4, which FineWeb-2 leaves out and which keeps no Chinese page.
English: Gopher repetition, Gopher quality, C4 and FineWeb quality with the library's defaults, C4 without its rule on
terminal punctuation, as in FineWeb. A document that one filter drops is not shown to the next, as in their pipelines.

Prints {version, sources: {name: {cpu_s, reasons: [one a document, "" where it is kept]}}}.
"""

import json
import sys
import time
from importlib.metadata import version
from pathlib import Path

from datatrove.data import Document
from datatrove.pipeline.filters import (
    C4QualityFilter,
    FineWebQualityFilter,
    GopherQualityFilter,
    GopherRepetitionFilter,
)
from datatrove.pipeline.filters.base_filter import BaseFilter

# huggingface/fineweb-2, configs/cmn_Hani.yml
STOP_WORDS = [*"的年在月是和日了於·為有被人中为他與後也而由"]
TOP_N_GRAMS = ((2, 0.256), (3, 0.201), (4, 0.171))
DUP_N_GRAMS = ((5, 0.198), (6, 0.182), (7, 0.167), (8, 0.154), (9, 0.14), (10, 0.127))


def chinese_filters() -> list[BaseFilter]:
    """FineWeb-2's filters for Mandarin."""
    return [
        GopherRepetitionFilter(
            language="cmn_Hani",
            dup_para_frac=0,
            dup_line_char_frac=0,
            dup_para_char_frac=0,
            dup_line_frac=0.287,
            top_n_grams=TOP_N_GRAMS,
            dup_n_grams=DUP_N_GRAMS,
        ),
        FineWebQualityFilter(
            language="cmn_Hani",
            short_line_thr=999,
            char_duplicates_ratio=0.1,
            line_punct_thr=0.106,
            new_line_ratio=0.178,
        ),
        GopherQualityFilter(
            language="cmn_Hani",
            max_avg_word_length=5,
            min_avg_word_length=1,
            stop_words=STOP_WORDS,
            max_non_alpha_words_ratio=0.735,
            min_stop_words=2,
        ),
    ]


def english_filters() -> list[BaseFilter]:
    """FineWeb's filters for English."""
    return [
        GopherRepetitionFilter(),
        GopherQualityFilter(),
        C4QualityFilter(filter_no_terminal_punct=False),
        FineWebQualityFilter(),
    ]


def first_reason(filters: list[BaseFilter], text: str) -> str:
    """Why the first filter that drops the text does so; "" when all keep it."""
    document = Document(text=text, id="")
    for each in filters:
        result = each.filter(document)
        kept, reason = result if isinstance(result, tuple) else (result, each.name)
        if not kept:
            return reason
    return ""


def main(path: str) -> None:
    """Prints one JSON object."""
    rows = [json.loads(line) for line in Path(path).read_text(encoding="utf-8").splitlines()]
    filters = {"zh": chinese_filters(), "en": english_filters()}
    for row in {row["lang"]: row for row in rows}.values():
        first_reason(filters[row["lang"]], row["text"][:500])  # loads the segmenter and its dictionary
    sources = {}
    for source in dict.fromkeys(row["source"] for row in rows):
        texts = [(filters[row["lang"]], row["text"]) for row in rows if row["source"] == source]
        started = time.process_time()
        reasons = [first_reason(chosen, text) for chosen, text in texts]
        sources[source] = {"cpu_s": time.process_time() - started, "reasons": reasons}
    print(json.dumps({"version": version("datatrove"), "sources": sources}, ensure_ascii=False))


if __name__ == "__main__":
    main(sys.argv[1])
