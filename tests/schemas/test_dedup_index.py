"""The files of an index: a snapshot's identity follows from what is in it, not from where it lies."""

from ctllm.schemas.dedup_index import IndexedSnapshot

SNAPSHOT = IndexedSnapshot(
    snapshot=3, run="/runs/a", run_id="a", documents=5, kept=4, files=(("d1", "d2"), ("d3", "d4")), compared=()
)


def test_the_identity_is_of_the_content() -> None:
    """A moved run is the same snapshot; another file, another order or another number is another one."""
    moved = SNAPSHOT.model_copy(update={"run": "gs://bucket/a", "run_id": "b"})
    assert moved.id == SNAPSHOT.id
    changes = ({"snapshot": 4}, {"files": (("d3", "d4"), ("d1", "d2"))}, {"files": (("d1", "d2"),)})
    assert len({SNAPSHOT.id, *(SNAPSHOT.model_copy(update=change).id for change in changes)}) == 4


def test_splits_lie_where_curate_writes_them() -> None:
    """Three aligned files of each split, local or behind a URL."""
    first = SNAPSHOT.model_copy(update={"run": "gs://bucket/a"}).splits()[0]
    assert (first.bands, first.verdicts) == (
        "gs://bucket/a/bands/part-00000.parquet",
        "gs://bucket/a/verdicts/part-00000.parquet",
    )
    assert [split.documents for split in SNAPSHOT.splits()] == [
        "/runs/a/documents/part-00000.parquet",
        "/runs/a/documents/part-00001.parquet",
    ]
