"""Speed of the line stages on real text; prints one JSON line.

    python benchmarks/lines.py TEXTS.jsonl.zst [MAX_DOCUMENTS]     rows with text and, for sites, url

MB are 10^6 bytes of UTF-8. `similar_mb_s` is decoding, cutting and comparing sentences as the CT-LLM authors do;
`twin_mb_s` their rule as it reads, every pair of sentences by the textbook's table, compiled, on the first documents:
both cut the same. `across_mb_s` is the way of a line across documents: read Parquet, decode, hash; count; read again,
cut, write Parquet (zstd 1). `copy_mb_s` is reading and writing alone: what no line work can exceed.
CPU time of one process, best of three.
"""

import json
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import fsspec
import numba as nb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from ctllm.pipelines.batch import TextBatch
from ctllm.pipelines.cuts import merge_cuts
from ctllm.pipelines.dedup.common_lines import count_all, count_split, find_lines
from ctllm.pipelines.dedup.line_tables import LineMeasurer
from ctllm.pipelines.dedup.sentences import Sentences, cut_as_ctllm
from ctllm.pipelines.dedup.similar_sentences import similar_to_earlier
from ctllm.pipelines.planned_edits import PlannedEdits
from ctllm.schemas.curation_config import LinesConfig
from ctllm.schemas.cuts import CUT, CUTS
from ctllm.schemas.files import repeating_columns

BATCH_DOCUMENTS, TWIN_DOCUMENTS, TWIN_CHARS = 512, 300, 6000
KEYED = pa.schema([("key", pa.uint64()), ("text", pa.large_string())])
NO_COPIES = np.empty(0, np.uint64)


@nb.njit(nogil=True)
def twin(codepoints: np.ndarray, starts: np.ndarray, ends: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    """The authors' rule as it reads: each sentence against all earlier ones that stay, by the table of the textbook."""
    goes = np.zeros(len(starts), np.bool_)
    for text in range(len(offsets) - 1):
        for own in range(offsets[text], offsets[text + 1]):
            one = codepoints[starts[own] : ends[own]]
            for earlier in range(offsets[text], own):
                other = codepoints[starts[earlier] : ends[earlier]]
                longer = max(len(one), len(other))
                if goes[earlier] or abs(len(one) - len(other)) > 0.3 * longer:
                    continue
                row = np.arange(len(other) + 1)
                for i in range(len(one)):
                    before = row[0]
                    row[0] = i + 1
                    for j in range(len(other)):
                        above = row[j + 1]
                        row[j + 1] = min(before + (one[i] != other[j]), above + 1, row[j] + 1)
                        before = above
                if row[-1] == 0 or (min(len(one), len(other)) > 15 and row[-1] <= 0.1 * longer):
                    goes[own] = True
                    break
    return goes


def best_s(work: Callable[[], object], rounds: int = 3) -> float:
    """CPU seconds of the fastest round; the first one, which compiles, does not count."""
    work()
    seconds = []
    for _ in range(rounds):
        started = time.process_time()
        work()
        seconds.append(time.process_time() - started)
    return min(seconds)


def similar(texts: "pa.Array[pa.LargeStringScalar]") -> tuple[TextBatch, Sentences, np.ndarray]:
    """What the rule cuts."""
    batch = TextBatch.of(texts)
    sentences = cut_as_ctllm(batch.codepoints, batch.offsets)
    return batch, sentences, similar_to_earlier(batch.codepoints, sentences)


def across(path: Path, out: Path) -> int:
    """Lines of a Parquet file counted, cut and the texts written again; how many were cut."""
    measurer = LineMeasurer(LinesConfig(within_document="off"), fold_variants=True)
    measured = []
    for batch in pq.ParquetFile(path).iter_batches(batch_size=BATCH_DOCUMENTS):
        texts = TextBatch.of(batch.column("text"))
        measured.append(measurer.measure(batch, texts, measurer.tokenise(batch, texts))["lines"])
    lines = pa.Table.from_batches(measured)
    _, common = count_all(count_split(lines, split=0, copies=NO_COPIES), config=LinesConfig())
    found = find_lines(lines, common, copies=NO_COPIES).select(["key", "kind", "start", "end"])
    cuts = merge_cuts(found.append_column("replacement", pa.array([CUT] * found.num_rows, pa.string())).cast(CUTS))
    with _writer(out) as writer:
        for batch in pq.ParquetFile(path).iter_batches(batch_size=BATCH_DOCUMENTS, columns=["key", "text"]):
            planned = PlannedEdits.of(cuts, batch.column("key").to_numpy())
            published = planned.cut_out(batch.column("text"))
            writer.write_batch(pa.record_batch([batch.column("key"), published], schema=KEYED))
    return cuts.num_rows


def _writer(out: Path) -> pq.ParquetWriter:
    dictionaries = repeating_columns(KEYED)
    return pq.ParquetWriter(out, KEYED, compression="zstd", compression_level=1, use_dictionary=dictionaries)


def copy(path: Path, out: Path) -> None:
    """Reads a Parquet file twice and writes it once, as `across` does."""
    for _ in pq.ParquetFile(path).iter_batches(batch_size=BATCH_DOCUMENTS):
        pass
    with _writer(out) as writer:
        for batch in pq.ParquetFile(path).iter_batches(batch_size=BATCH_DOCUMENTS, columns=["key", "text"]):
            writer.write_batch(batch.cast(KEYED))


def main(path: str, max_documents: int) -> None:
    """Measures and prints the line."""
    with fsspec.open(path, "rt", encoding="utf-8", compression="infer") as file:
        rows = [row for row, _ in zip(map(json.loads, file), range(max_documents), strict=False)]
    texts = pa.array([row["text"] for row in rows], pa.large_string())
    mb = pc.sum(pc.binary_length(texts)).as_py() / 1e6
    short = pa.array([row["text"] for row in rows if len(row["text"]) < TWIN_CHARS][:TWIN_DOCUMENTS], texts.type)
    batch, sentences, earlier = similar(short)
    spans = batch.codepoints, sentences.starts_S, sentences.ends_S, sentences.offsets
    assert np.array_equal(twin(*spans), earlier >= 0)
    with tempfile.TemporaryDirectory() as directory:
        documents = pa.table({
            "key": pa.array(range(len(rows)), pa.uint64()),
            "lane": ["zh"] * len(rows),
            "url": pa.array([row.get("url") for row in rows], pa.string()),
            "text": texts,
        })  # fmt: skip
        stored, published = Path(directory) / "in.parquet", Path(directory) / "out.parquet"
        pq.write_table(
            documents, stored, compression="zstd", compression_level=1, row_group_size=4096,
            use_dictionary=repeating_columns(documents.schema),
        )  # fmt: skip
        num_cuts = across(stored, published)
        across_s = best_s(lambda: across(stored, published))
        copy_s = best_s(lambda: copy(stored, published))
    twin_mb = pc.sum(pc.binary_length(short)).as_py() / 1e6
    print(json.dumps({
        "benchmark": "lines",
        "documents": len(rows),
        "mb": round(mb, 1),
        "similar_mb_s": round(mb / best_s(lambda: similar(texts)), 1),
        "similar_same_documents_mb_s": round(twin_mb / best_s(lambda: similar(short)), 1),
        "twin_mb_s": round(twin_mb / best_s(lambda: twin(*spans), rounds=1), 2),
        "across_mb_s": round(mb / across_s, 1),
        "copy_mb_s": round(mb / copy_s, 1),
        "across_cuts": num_cuts,
    }))  # fmt: skip


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 1 << 60)
