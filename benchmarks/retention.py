"""What the rules of a finished run keep, per source, duplicates aside; prints one JSON line per source.

python benchmarks/retention.py RUN
"""

import json
import sys
from collections import Counter, defaultdict

from ctllm.schemas.files import join, read_parquet
from ctllm.schemas.verdict import EXACT_DUPLICATE, NEAR_DUPLICATE

COPIES = (EXACT_DUPLICATE, NEAR_DUPLICATE)
NUM_REASONS = 4


def main(run: str) -> None:
    """Reads the run's statistics and prints the lines."""
    documents: Counter[str] = Counter()
    kept: Counter[str] = Counter()
    for row in read_parquet(join(run, "stats", "funnel.parquet")).to_pylist():
        if row["outcome"] != "failed":
            documents[row["source"]] += row["documents"]
            kept[row["source"]] += row["documents"] * (row["reason"] in ("", *COPIES))
    failing: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for row in read_parquet(join(run, "stats", "rules.parquet")).to_pylist():
        failing[row["source"]][row["reason"]] += row["failing"] * (row["reason"] not in COPIES)
    for source, total in sorted(documents.items()):
        most = {reason: round(count / total, 4) for reason, count in failing[source].most_common(NUM_REASONS)}
        line = {"benchmark": "retention", "source": source, "documents": total, "kept": round(kept[source] / total, 4)}
        print(json.dumps({**line, "failing": most}))


if __name__ == "__main__":
    main(sys.argv[1])
