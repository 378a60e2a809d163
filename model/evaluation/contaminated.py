"""Benchmark items that a curation run found in documents it kept: scores are given with and without them."""

from collections.abc import Mapping
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from ctllm.schemas.cuts import CUT
from ctllm.schemas.errors import InputError
from ctllm.schemas.files import join, list_files, read_parquet

TABLES = ("contamination", "verdicts", "cuts")


@dataclass(frozen=True)
class ContaminatedItems:
    """Benchmark, as contamination names it, to ids of its items."""

    by_benchmark: Mapping[str, frozenset[str]]

    def of(self, benchmark: str) -> frozenset[str]:
        """Ids of the benchmark whose file has this path without its ending; the longest name that ends it counts."""
        names = [name for name in self.by_benchmark if f"/{benchmark}".endswith(f"/{name}")]
        return self.by_benchmark[max(names, key=len)] if names else frozenset()


def read_contaminated(run: str, *, max_overlap: float) -> ContaminatedItems:
    """Items that one kept document covers to more than `max_overlap` and that were not cut out of it.

    Raises InputError when `run` is no curation run.
    """
    found, verdicts, cuts = (_read(run, name) for name in TABLES)
    if found is None or verdicts is None:
        raise InputError(f"{run}: no contamination/ and verdicts/ here; give the directory that `ctllm curate` wrote")
    kept = verdicts.filter(verdicts["kept"])["key"]
    found = found.filter(pc.and_(pc.greater(found["overlap"], max_overlap), pc.is_in(found["key"], value_set=kept)))
    removed = set[tuple[int, str]]()
    if cuts is not None:
        cuts = cuts.filter(pc.equal(cuts["replacement"], CUT))
        removed = {(row["key"], row["kind"].removeprefix("benchmark:")) for row in cuts.to_pylist()}
    items: dict[str, set[str]] = {}
    for row in found.to_pylist():
        if (row["key"], row["benchmark"]) not in removed:
            items.setdefault(row["benchmark"], set()).add(row["item_id"])
    return ContaminatedItems({name: frozenset(each) for name, each in items.items()})


def _read(run: str, table: str) -> pa.Table | None:
    files = list_files(join(run, table), suffix=".parquet")
    return pa.concat_tables([read_parquet(path) for path in files]) if files else None
