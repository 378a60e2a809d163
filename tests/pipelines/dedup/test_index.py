"""Snapshots against an index: what an earlier one kept stands for its copies, and what is refused before any work."""

import hashlib
import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from ctllm.pipelines.curate import RunSummary, curate
from ctllm.pipelines.dedup.index import (
    add_compared,
    add_snapshot,
    check_snapshots,
    compared_snapshots,
    read_index,
    snapshots_to_compare,
    withdraw_snapshot,
)
from ctllm.pipelines.documents import fetch_documents
from ctllm.pipelines.options import RunnerOptions
from ctllm.pipelines.run_directory import read_run
from ctllm.pipelines.why import explain
from ctllm.schemas.curation_config import CurationConfig, DedupConfig
from ctllm.schemas.duplicates import BANDS_VERSION
from ctllm.schemas.errors import AccountingError, ConfigError, InputError, OutputError, StageError
from ctllm.schemas.files import write_parquet
from tests.pipelines.conftest import SPAM, prose, write_records

OPTIONS = RunnerOptions(workers=1)


def edited(index: int) -> str:
    """A near copy of the `index`-th text: a line before it."""
    return "本站讯：以下文章由读者推荐，编辑部略有删节。\n" + prose(index)


OLD = {"a0": prose(0), "a1": prose(1), "a1-long": edited(1), "a2": prose(2), "spam": SPAM}
NEW = {
    "b0": prose(0), "b1": prose(1), "b2-long": edited(2), "b2-longer": edited(2).replace("\n", "（转载）\n", 1),
    "b3": prose(3), "b4": prose(4), "b4-long": edited(4), "spam-again": SPAM,
}  # fmt: skip


@dataclass(frozen=True)
class Crawls:
    """Two snapshots of one site and the index that they came into, one after the other."""

    directory: Path
    inputs: Path

    @property
    def index(self) -> str:
        """The index directory."""
        return str(self.directory / "index")

    def curate(self, name: str, *, snapshot: int, dedup: DedupConfig | None = None, index: bool = True) -> RunSummary:
        """Curates `name.jsonl` into `name`."""
        return curate(
            CurationConfig(snapshot=snapshot, dedup=dedup or DedupConfig()),
            inputs=[str(self.inputs / f"{name}.jsonl")],
            out=str(self.directory / name),
            options=OPTIONS,
            index=self.index if index else None,
        )

    def kept(self, name: str) -> set[str]:
        """Texts that the run published."""
        return {row["text"] for row in pq.read_table(self.directory / name / "curated" / "zh").to_pylist()}

    def duplicates(self, name: str) -> dict[str, tuple[str, int, str]]:
        """Id of each removed copy to id, snapshot and kind of what stands for it."""
        run = read_run(str(self.directory / name))
        rows = pq.read_table(self.directory / name / "duplicates").to_pylist()
        ids = fetch_documents(run, [row[key] for row in rows for key in ("key", "kept_key")], columns=["id"])
        return {ids[row["key"]]["id"]: (ids[row["kept_key"]]["id"], row["kept_snapshot"], row["kind"]) for row in rows}

    def digests(self, name: str) -> dict[str, str]:
        """sha256 of every file of a run."""
        files = sorted(path for path in (self.directory / name).rglob("*") if path.is_file())
        return {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def write(directory: Path, name: str, texts: dict[str, str]) -> None:
    """A JSONL of texts by id."""
    write_records(directory / f"{name}.jsonl", [{"id": each, "text": text} for each, text in texts.items()])


@pytest.fixture(scope="module")
def _both(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, str]]:
    """The finished crawls, and the digests of the first before the second was made."""
    directory = tmp_path_factory.mktemp("crawls")
    crawls = Crawls(directory, directory)
    write(directory, "old", OLD)
    write(directory, "new", NEW)
    crawls.curate("old", snapshot=1)
    before = crawls.digests("old")
    crawls.curate("new", snapshot=2)
    return directory, before


@pytest.fixture
def crawls(_both: tuple[Path, dict[str, str]]) -> Crawls:
    """The finished crawls, only to be looked at."""
    return Crawls(_both[0], _both[0])


@pytest.fixture
def own(_both: tuple[Path, dict[str, str]], tmp_path: Path) -> Crawls:
    """A copy of the finished crawls and of their index, to be damaged; as if they had been made here."""
    for name in ("old", "new", "index"):
        shutil.copytree(_both[0] / name, tmp_path / name)
    for path in (
        *tmp_path.glob("index/snapshot-*.json"),
        tmp_path / "old/manifest.json",
        tmp_path / "new/manifest.json",
    ):
        values = json.loads(path.read_text())
        for each in [values, *values["compared"]]:
            for key in {"run", "index"} & each.keys():
                each[key] = each[key].replace(str(_both[0]), str(tmp_path))
        path.write_text(json.dumps(values))
    return Crawls(tmp_path, _both[0])


def test_copy_of_an_earlier_kept_document_goes(crawls: Crawls) -> None:
    """What stands for it is the earlier one, shorter too, with its snapshot; other copies gather among themselves.

    A copy of what the earlier run removed as spam is judged by the rules; a copy of what it removed as a copy goes for
    the document kept there instead.
    """
    assert crawls.duplicates("old") == {"a1": ("a1-long", 1, "near")}
    assert crawls.duplicates("new") == {
        "b0": ("a0", 1, "exact"), "b1": ("a1-long", 1, "near"), "b2-long": ("a2", 1, "near"),
        "b2-longer": ("a2", 1, "near"), "b4": ("b4-long", 2, "near"),
    }  # fmt: skip
    assert crawls.kept("new") == {NEW["b3"], NEW["b4-long"]}


def test_earlier_output_is_untouched(crawls: Crawls, _both: tuple[Path, dict[str, str]]) -> None:
    """Not one byte of the first run changed."""
    assert crawls.digests("old") == _both[1]


def test_two_snapshots_keep_what_one_run_over_both_keeps(crawls: Crawls, tmp_path: Path) -> None:
    """The union of what was kept is that of a single run that prefers the first source."""
    dedup = DedupConfig(source_priority=("old", "new"))
    inputs = [str(crawls.inputs / f"{name}.jsonl") for name in ("old", "new")]
    curate(CurationConfig(dedup=dedup), inputs=inputs, out=str(tmp_path / "both"), options=OPTIONS)
    assert Crawls(tmp_path, tmp_path).kept("both") == crawls.kept("old") | crawls.kept("new")


def test_index_lists_its_snapshots(crawls: Crawls) -> None:
    """Each run that ended is in it, with its counts and what it was compared with."""
    rows = [(each.snapshot, each.documents, each.kept, [one.snapshot for one in each.compared], each.run)
            for each in read_index(crawls.index)]  # fmt: skip
    assert rows == [
        (1, 5, 3, [], str(crawls.directory / "old")), (2, 8, 2, [1], str(crawls.directory / "new")),
    ]  # fmt: skip
    check_snapshots(read_index(crawls.index), options=OPTIONS)


@pytest.mark.parametrize("name", ["old", "new"])
def test_finished_runs_are_not_made_again(own: Crawls, name: str) -> None:
    """The same command skips everything: a run is not compared with itself, nor with what came after it."""
    before = own.digests("index")
    summary = own.curate(name, snapshot=1 if name == "old" else 2)
    assert summary.skipped == ("measure", "pairs", "lines", "decide", "publish")
    assert list(own.digests("index")) == list(before)
    assert [each.snapshot for each in read_index(own.index)[1].compared] == [1]


def test_survivor_of_another_snapshot_is_shown(crawls: Crawls) -> None:
    """`why` reads the earlier document where it lies."""
    instead = explain(str(crawls.directory / "new"), "b0").kept_instead
    assert instead is not None
    assert (instead["kept_snapshot"], instead["other"]["id"], instead["other"]["source"]) == (1, "a0", "old")
    assert instead["other"]["excerpt"] == prose(0)[:400]


def test_survivor_whose_documents_were_deleted_is_named_by_key(own: Crawls) -> None:
    """The index needs bands and verdicts only: without the earlier texts it is said which are lost."""
    shutil.rmtree(own.directory / "old" / "documents")
    instead = explain(str(own.directory / "new"), "b0").kept_instead
    assert instead is not None
    assert instead["other"]["id"].startswith(f"key {instead['kept_key']}, not in {own.directory / 'old'}")
    assert instead["other"]["excerpt"] == ""


def test_withdrawn_snapshot_gives_its_copies_back(own: Crawls) -> None:
    """After a withdrawal the same command measures nothing and keeps what had been lost to that snapshot."""
    assert [each.snapshot for each in withdraw_snapshot(own.index, 1)] == [2]
    summary = own.curate("new", snapshot=2)
    assert summary.skipped == ("measure",)
    assert own.duplicates("new") == {"b2-long": ("b2-longer", 2, "near"), "b4": ("b4-long", 2, "near")}
    assert [(each.snapshot, each.compared) for each in read_index(own.index)] == [(2, ())]
    with pytest.raises(InputError, match=r"no snapshot 1; it holds 2"):
        withdraw_snapshot(own.index, 1)


def test_second_snapshot_of_a_number_is_refused(own: Crawls) -> None:
    """Two crawls cannot share a number: their keys would be the same. Nothing is written."""
    shutil.copytree(own.directory / "new", own.directory / "newer")
    with pytest.raises(ConfigError, match=r"^snapshot: 2 is in the index .* already \(run .*/new\)"):
        curate(
            CurationConfig(snapshot=2), inputs=[], out=str(own.directory / "other"), options=OPTIONS, index=own.index
        )
    with pytest.raises(ConfigError, match=r"^snapshot: 2 is in the index"):
        add_snapshot(own.index, read_run(str(own.directory / "newer")))
    assert not (own.directory / "other").exists()


@pytest.mark.parametrize("changed", [{"threshold": 0.7}, {"shingle_chars": 6}, {"fold_variants": False}])
def test_index_of_other_settings_is_refused(own: Crawls, changed: dict[str, object]) -> None:
    """The setting is named with both values, before any work."""
    name, value = next(iter(changed.items()))
    was = getattr(DedupConfig(), name)
    with pytest.raises(ConfigError, match=rf"^dedup\.{name}: {value} here, {was} in the index"):
        own.curate("third", snapshot=3, dedup=DedupConfig.model_validate(changed))
    assert not (own.directory / "third").exists()


def test_index_of_another_version_is_refused(own: Crawls) -> None:
    """Signatures that another version computed otherwise are not compared."""
    path = own.directory / "index" / "index.json"
    path.write_text(path.read_text().replace(f'"bands_version": {BANDS_VERSION}', '"bands_version": 0'))
    with pytest.raises(ConfigError, match=f"bands_version is 0, this version of ctllm writes {BANDS_VERSION}"):
        own.curate("third", snapshot=3)


def test_settings_read_after_signing_may_differ(own: Crawls) -> None:
    """The order of survival and the cap of a bucket do not make signatures."""
    config = CurationConfig(snapshot=3, dedup=DedupConfig(max_bucket=50, survivor_order=("key",)))
    assert [each.snapshot for each in snapshots_to_compare(own.index, "elsewhere", config)] == [1, 2]


@pytest.mark.parametrize(("table", "change"), [("bands", "cut off"), ("bands", "lost"), ("verdicts", "made anew")])
def test_damaged_snapshot_stops_the_run_before_it_reads_a_source(own: Crawls, table: str, change: str) -> None:
    """A bands file that is cut off or lost, and verdicts that are others now, are found by their digest."""
    path = own.directory / "old" / table / "part-00000.parquet"
    if change == "cut off":
        os.truncate(path, path.stat().st_size - 100)
    elif change == "lost":
        path.unlink()
    else:
        write_parquet(str(path), pq.read_table(path).slice(1))
    shutil.copy(own.inputs / "new.jsonl", own.directory / "third.jsonl")
    with pytest.raises(AccountingError, match=rf"old/{table}/part-00000.parquet: (not as it was|of snapshot 1)"):
        Crawls(own.directory, own.directory).curate("third", snapshot=3)
    assert not (own.directory / "third" / "documents").exists()


def test_index_that_changed_meanwhile_does_not_take_the_run(own: Crawls) -> None:
    """A run that was compared with other snapshots than the index holds when it ends is not added."""
    withdraw_snapshot(own.index, 1)
    with pytest.raises(StageError, match="changed while"):
        add_compared(own.index, read_run(str(own.directory / "new")))


def test_pairs_of_a_withdrawn_snapshot_are_not_looked_for(own: Crawls) -> None:
    """A run that was stopped before its pairs does not go on against another index than it was begun with."""
    run = read_run(str(own.directory / "new"))
    withdraw_snapshot(own.index, 1)
    assert compared_snapshots(run) == []  # its pairs are there
    (own.directory / "new" / "pairs" / "_SUCCESS").unlink()
    with pytest.raises(InputError, match="snapshot 1 was withdrawn or replaced since"):
        compared_snapshots(run)


def test_run_is_continued_with_its_index_only(own: Crawls) -> None:
    """Without --index the copies would come back unseen: refused. One made without can be added."""
    with pytest.raises(OutputError, match="give it as --index"):
        own.curate("new", snapshot=2, index=False)
    withdraw_snapshot(own.index, 1)
    withdraw_snapshot(own.index, 2)
    manifest = own.directory / "old" / "manifest.json"
    manifest.write_text(json.dumps(json.loads(manifest.read_text()) | {"index": None}))
    assert own.curate("old", snapshot=1).skipped == ("measure", "pairs", "lines", "decide", "publish")
    assert [each.snapshot for each in read_index(own.index)] == [1]


def test_unfinished_run_is_not_added(own: Crawls) -> None:
    """Only a run that ended whole can stand for others."""
    (own.directory / "old" / "verdicts" / "_SUCCESS").unlink()
    with pytest.raises(InputError, match="decide has not ended"):
        add_snapshot(own.index, read_run(str(own.directory / "old")))


def test_index_does_not_begin_among_other_files(own: Crawls) -> None:
    """A directory that holds something else is not an index and does not become one."""
    with pytest.raises(InputError, match="not a dedup index"):
        read_index(str(own.directory / "old"))
    with pytest.raises(OutputError, match="choose another directory"):
        add_snapshot(str(own.directory / "old"), read_run(str(own.directory / "old")))
