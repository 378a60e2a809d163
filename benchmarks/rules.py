"""What every rule of a finished run costs, alone and given the others, by source; prints Markdown.

python benchmarks/rules.py RUN > docs/rules.md
"""

import sys
from collections import Counter

from ctllm.pipelines.run_directory import read_run
from ctllm.schemas.files import join, read_parquet
from ctllm.schemas.rules import RuleSet

LANES = ("zh", "en", "code")
MIN_DOCUMENTS = 100  # shares of fewer documents are noise
HEAD = """# What the rules cost

Made by `python benchmarks/rules.py RUN > docs/rules.md`; do not edit. RUN is `ctllm curate
configs/curation/recommended.yaml` on the corpora named in the tables, which are not in this repository. A rule refuses
what is below (min) or above (max) its bound, never the bound itself. *Alone* is the share of the lane's documents that
fail the rule at all, *only* those that fail no other: what would come back if it were off, copies aside. The columns
after it are the shares that fail it at all by source."""


def main(path: str) -> None:
    """Reads the run's statistics and prints a table for every lane."""
    run = read_run(path)
    documents: Counter[tuple[str, str]] = Counter()
    for row in read_parquet(join(path, "stats", "funnel.parquet")).to_pylist():
        documents[row["lane"], row["source"]] += row["documents"]
    failing: Counter[tuple[str, str, str]] = Counter()
    only: Counter[tuple[str, str]] = Counter()
    for row in read_parquet(join(path, "stats", "rules.parquet")).to_pylist():
        failing[row["lane"], row["reason"], row["source"]] += row["failing"]
        only[row["lane"], row["reason"]] += row["only"]
    print(HEAD)
    for lane in LANES:
        sources = sorted(
            source for (each, source), count in documents.items() if each == lane and count >= MIN_DOCUMENTS
        )
        if sources:
            _print_lane(lane, getattr(run.config.rules, lane), sources, documents=documents, failing=failing, only=only)


def _print_lane(
    lane: str,
    rules: RuleSet,
    sources: list[str],
    *,
    documents: Counter[tuple[str, str]],
    failing: Counter[tuple[str, str, str]],
    only: Counter[tuple[str, str]],
) -> None:
    total = sum(count for (each, _), count in documents.items() if each == lane)
    print(f"\n## {lane}: {total:,} documents\n")
    print(f"| rule | bound | alone | only | {' | '.join(sources)} | where the number comes from |")
    print("|---" * (len(sources) + 5) + "|")
    for rule in rules.rules():
        counts = {source: count for (each, name, source), count in failing.items() if (each, name) == (lane, rule.name)}
        shares = [_percent(counts.get(source, 0), documents[lane, source]) for source in sources]
        bound = "off" if rule.threshold is None else f"{rule.threshold:g}"
        costs = [_percent(sum(counts.values()), total), _percent(only[lane, rule.name], total)]
        source = type(rules).model_fields[rule.name].description
        print(f"| `{rule.name}` | {bound} | {' | '.join([*costs, *shares])} | {source} |")


def _percent(part: int, whole: int) -> str:
    return f"{part / whole:.1%}" if part else "–"


if __name__ == "__main__":
    main(sys.argv[1])
