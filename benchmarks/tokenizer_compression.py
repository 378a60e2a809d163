"""Tokenizers beside each other on held-out curated text, and `ctllm tokenize` beside SentencePiece; one JSON line.

    python benchmarks/tokenizer_compression.py RUN TOKENIZER [MODEL...]

RUN is a curated run on which TOKENIZER was trained with `held_out_share` 0.02 (the default); MODELs are other
tokenizer.model files. Held-out documents are those whose key hash is below that share. Given are bytes per token by
lane, and for each model the speed of SentencePiece's own batch call on the held-out Chinese text.

`tokenize_by_sentencepiece` is the CPU time of `TokenizePart` on all curated files (Parquet in, shard and index out)
over that of SentencePiece's batch call on the same texts, as lists of ids. They take turns, the best of three each.
"""

import json
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from ctllm.pipelines.tokenize import TokenizePart
from ctllm.schemas.curated import CuratedPart, curated_parts
from ctllm.schemas.files import read_parquet
from ctllm.schemas.mixture import HELD_OUT_SALT, key_hash
from ctllm.schemas.training_config import HELD_OUT_SHARE
from ctllm.schemas.vocabulary import Vocabulary, read_tokenizer_model

NUM_RUNS = 3
BATCH_TEXTS = 256


def cpu_seconds(work: Callable[[], object]) -> float:
    """CPU time of one call, all threads."""
    started = time.process_time()
    work()
    return time.process_time() - started


def read_texts(parts: Sequence[CuratedPart], *, below: float) -> dict[str, list[str]]:
    """Lane to the texts whose hash is below the bound."""
    texts: dict[str, list[str]] = {}
    for part in parts:
        table = read_parquet(part.path, columns=["key", "text"])
        is_chosen = key_hash(table["key"].to_numpy(), salt=HELD_OUT_SALT) < below
        chosen = [str(text) for text, wanted in zip(table["text"].to_pylist(), is_chosen, strict=True) if wanted]
        texts.setdefault(part.lane, []).extend(chosen)
    return texts


def encode_all(vocabulary: Vocabulary, texts: Sequence[str]) -> int:
    """SentencePiece's own batch call; the number of tokens."""
    batches = [list(texts[start : start + BATCH_TEXTS]) for start in range(0, len(texts), BATCH_TEXTS)]
    return sum(len(ids) for batch in batches for ids in vocabulary.processor.encode(batch, num_threads=1))


def tokenize_all(vocabulary: Vocabulary, parts: Sequence[CuratedPart]) -> None:
    """What a worker of `ctllm tokenize` does."""
    with tempfile.TemporaryDirectory() as directory:
        step = TokenizePart(vocabulary.model, directory)
        step.setup()
        for part in parts:
            list(step.process(part))


def main(run: str, models: Sequence[str]) -> None:
    """Measures and prints the line."""
    parts = curated_parts(run)
    held_out, everything = read_texts(parts, below=HELD_OUT_SHARE), read_texts(parts, below=1.0)
    vocabularies = {model: Vocabulary(read_tokenizer_model(model), origin=model) for model in models}
    figures = {}
    for model, vocabulary in vocabularies.items():
        tokens = {lane: sum(map(len, vocabulary.encode_batch(texts))) for lane, texts in held_out.items()}
        sizes = {lane: sum(len(text.encode()) for text in texts) for lane, texts in held_out.items()}
        ratios = {lane: round(sizes[lane] / max(tokens[lane], 1), 3) for lane in tokens}
        figures[Path(model).name] = {"vocab_size": vocabulary.vocab_size, "bytes_per_token": ratios}
    speeds: dict[str, list[float]] = {model: [] for model in models}
    ours, theirs = list[float](), list[float]()
    first = vocabularies[models[0]]
    texts = [text for lane in everything.values() for text in lane]
    num_tokens = encode_all(first, texts)
    for _ in range(NUM_RUNS):
        for model, vocabulary in vocabularies.items():
            speeds[model].append(cpu_seconds(lambda each=vocabulary: encode_all(each, held_out["zh"])))  # type: ignore[misc]
        theirs.append(cpu_seconds(lambda: encode_all(first, texts)))
        ours.append(cpu_seconds(lambda: tokenize_all(first, parts)))
    zh_bytes = sum(len(text.encode()) for text in held_out["zh"])
    for model in models:
        figures[Path(model).name]["zh_mb_per_cpu_s"] = round(zh_bytes / 1e6 / min(speeds[model]), 1)
    line = {
        "benchmark": "tokenizers",
        "held_out_bytes": {lane: sum(len(text.encode()) for text in texts) for lane, texts in held_out.items()},
        "models": figures,
        "tokens": num_tokens,
        "sentencepiece_tokens_per_cpu_s": round(num_tokens / min(theirs)),
        "tokenize_tokens_per_cpu_s": round(num_tokens / min(ours)),
        "tokenize_by_sentencepiece": round(min(ours) / min(theirs), 3),
    }
    print(json.dumps(line))


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    main(sys.argv[1], sys.argv[2:])
