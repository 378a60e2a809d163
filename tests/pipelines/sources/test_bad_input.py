"""Bad input through the real `curate`: each piece is a counted record or a clear refusal, and the rest is processed."""

import gzip
import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard

from ctllm.pipelines.curate import curate
from ctllm.pipelines.options import RunnerOptions
from ctllm.schemas.config import parse_config
from ctllm.schemas.curation_config import CurationConfig
from ctllm.schemas.errors import InputError
from ctllm.schemas.files import read_json
from ctllm.schemas.guard_config import GuardConfig

BASE = Path(__file__).resolve().parents[3] / "examples" / "corpus" / "base" / "zh"
PROSE = [path.read_text(encoding="utf-8") for path in sorted(BASE.glob("*.txt"))[:6]]
GOOD = json.dumps({"id": "good", "text": PROSE[0]}, ensure_ascii=False).encode() + b"\n"


class Outcome:
    """What a finished run says of its input."""

    def __init__(self, run: Path) -> None:
        self.run = run
        stats = read_json(str(run / "stats" / "stats.json"))
        self.accounts: dict[str, int] = stats["accounts"]
        self.repaired: dict[str, int] = stats["repaired"]
        self.documents = self._rows("documents")
        self.failures = Counter((Path(row["path"]).name, row["error"]) for row in self._rows("failures"))
        self.reasons = {
            row["id"]: [reason["reason"] for reason in verdict["reasons"]]
            for row, verdict in zip(self.documents, self._rows("verdicts"), strict=True)
        }

    @property
    def kept(self) -> set[str]:
        """Ids of the published documents."""
        return {row["id"] for lane in ("zh", "en", "code") for row in self._rows(f"curated/{lane}")}

    def _rows(self, name: str) -> list[dict[str, Any]]:
        parts = sorted((self.run / name).glob("*.parquet"))
        return [row for part in parts for row in pq.read_table(part).to_pylist()]


Curate = Callable[..., Outcome]


@pytest.fixture
def curated(tmp_path: Path) -> Curate:
    """Curates `tmp_path / "in"`, with these values under `sources`."""
    guard = {name: 1 for name in GuardConfig.model_fields if name.startswith("max_")}

    def run(inputs: Path = tmp_path / "in", **sources: object) -> Outcome:
        config = parse_config({"sources": sources, "guard": guard}, CurationConfig, origin="test")
        curate(config, inputs=[str(inputs)], out=str(tmp_path / "run"), options=RunnerOptions(workers=2))
        return Outcome(tmp_path / "run")

    return run


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The input directory, with one good document in it."""
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "good.jsonl").write_bytes(GOOD)
    return tmp_path / "in"


def lines(*records: object) -> bytes:
    """JSON Lines; bytes are written as they are."""
    return b"".join((each if isinstance(each, bytes) else json.dumps(each).encode()) + b"\n" for each in records)


def warc(text: str, *, length: int | None = None, number: int = 1) -> bytes:
    """A WARC record with a page of `text`; `length` is what it claims to be."""
    content = f"HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=utf-8\r\n\r\n<p>{text}</p>".encode()
    claimed = len(content) if length is None else length
    header = f"WARC/1.0\r\nWARC-Type: response\r\nWARC-Record-ID: <urn:{number}>\r\nContent-Length: {claimed}\r\n\r\n"
    return header.encode() + content + b"\r\n\r\n"


def test_broken_records_are_counted_one_by_one(curated: Curate, folder: Path) -> None:
    """Broken UTF-8, missing and non-string text, non-objects and half JSON cost themselves and nothing else."""
    (folder / "a.jsonl").write_bytes(
        lines(
            b'{"text": "\xff\xfe"}', {"body": "x"}, {"text": None}, {"text": 5}, {"text": ["x"]}, ["text"],
            b'{"text": "', {"id": "one", "text": PROSE[1]}, b'{"text": "\\ud800"}', {"id": "two", "text": PROSE[2]},
        )
    )  # fmt: skip
    (folder / "b.txt").write_bytes(bytes(range(128, 256)) * 50)
    found = curated()
    assert found.accounts == {"read": 12, "kept": 3, "removed": 0, "failed": 9}
    assert found.kept == {"good", "one", "two"}
    assert found.failures == {
        ("a.jsonl", "broken_encoding"): 2, ("a.jsonl", "missing_text"): 2, ("a.jsonl", "not_text"): 2,
        ("a.jsonl", "wrong_schema"): 1, ("a.jsonl", "broken_json"): 1, ("b.txt", "broken_encoding"): 1,
    }  # fmt: skip


def test_nul_bytes_and_controls_leave_the_text(curated: Curate, folder: Path) -> None:
    """NUL, escape and other controls are taken out; right-to-left marks and joiners belong to the text and stay."""
    marked = PROSE[1][:40] + "\u202eשלום\u202c\u200f مرحبا 👩\u200d👧" + PROSE[1][40:]
    (folder / "a.jsonl").write_bytes(
        lines({"id": "nul", "text": "\0" + PROSE[2].replace("，", "，\0\x1b\x07")}, {"id": "marked", "text": marked})
    )
    (folder / "nul.txt").write_bytes(PROSE[3].encode().replace(b"\n", b"\n\0"))
    (folder / "only.txt").write_bytes(b"\0" * 100)
    found = curated()
    assert found.accounts == {"read": 5, "kept": 4, "removed": 0, "failed": 1}
    texts = {row["id"]: row["text"] for row in found.documents}
    assert texts["nul"] == PROSE[2]
    assert texts["marked"] == marked
    assert texts["nul.txt"] == PROSE[3]
    assert found.failures == {("only.txt", "empty_text"): 1}


def test_documents_of_no_and_few_characters_are_accounted_for(curated: Curate, folder: Path) -> None:
    """Blank texts are failures; texts of 1 to 10 characters are documents, removed as too short."""
    rows = [{"id": f"n{length}", "text": "字" * length} for length in range(11)]
    (folder / "a.jsonl").write_bytes(lines(*rows, {"id": "blank", "text": " \u3000\n"}))
    found = curated()
    assert found.accounts == {"read": 13, "kept": 1, "removed": 10, "failed": 2}
    assert found.failures == {("a.jsonl", "empty_text"): 2}
    assert all("min_num_chars" in found.reasons[f"n{length}"] for length in range(1, 11))


def test_truncated_and_damaged_archives_keep_what_is_whole(curated: Curate, folder: Path) -> None:
    """A gzip cut off and a zstd file with a flipped byte lose their end, WARC records of wrong length themselves."""
    rows = lines(*({"id": f"row{number}", "text": f"{number} {PROSE[1]}"} for number in range(300)))
    (folder / "cut.jsonl.gz").write_bytes(gzip.compress(rows, 1)[:-1000])
    packed = bytearray(zstandard.compress(lines({"id": "z", "text": PROSE[2]})))
    packed[len(packed) // 2] ^= 0xFF
    (folder / "flip.jsonl.zst").write_bytes(bytes(packed))
    pages = [warc(PROSE[3], number=1), warc(PROSE[4], length=10, number=2), warc(PROSE[4], length=10**6, number=3)]
    (folder / "pages.warc").write_bytes(b"".join([*pages, warc(PROSE[5], number=4)]))
    found = curated()
    assert found.accounts["read"] == sum(found.accounts[each] for each in ("kept", "removed", "failed"))
    ids = {row["id"] for row in found.documents}
    assert {"good", "row0", "urn:1", "urn:4"} <= ids
    assert not {"z", "urn:2", "urn:3"} & ids
    assert found.failures == {
        ("cut.jsonl.gz", "truncated"): 1, ("flip.jsonl.zst", "broken_record"): 1,
        ("pages.warc", "broken_record"): 1, ("pages.warc", "truncated"): 1,
    }  # fmt: skip


def test_an_unreadable_file_in_the_middle_is_counted(curated: Curate, folder: Path) -> None:
    """Dangling links, to a container or a text, cost one failure each; a pipe, which would block, is left out."""
    (folder / "b.jsonl").symlink_to(folder / "nowhere.jsonl")
    (folder / "c").mkdir()
    (folder / "c" / "gone.txt").symlink_to(folder / "nowhere.txt")
    os.mkfifo(folder / "d.txt")
    (folder / "e.jsonl").write_bytes(lines({"id": "after", "text": PROSE[1]}))
    found = curated()
    assert found.accounts == {"read": 4, "kept": 2, "removed": 0, "failed": 2}
    assert found.failures == {("b.jsonl", "unreadable"): 1, ("gone.txt", "unreadable"): 1}
    with pytest.raises(InputError, match=r"d\.txt: a pipe or device"):
        curated(folder / "d.txt")


def test_a_parquet_of_another_schema_is_one_failure(curated: Curate, folder: Path) -> None:
    """A table without the text column, one of numbers, a JSON file called Parquet: counted; a good one is read."""
    pq.write_table(pa.table({"body": ["x", "y"]}), folder / "other.parquet")
    pq.write_table(pa.table({"text": [1, 2]}), folder / "numbers.parquet")
    (folder / "fake.parquet").write_bytes(GOOD)
    pq.write_table(pa.table({"text": [PROSE[1]], "id": ["row"]}), folder / "right.parquet")
    found = curated()
    assert found.accounts == {"read": 6, "kept": 2, "removed": 0, "failed": 4}
    assert found.failures == {
        ("other.parquet", "wrong_schema"): 1, ("numbers.parquet", "not_text"): 2, ("fake.parquet", "unreadable"): 1,
    }  # fmt: skip


def test_mojibake_is_counted(curated: Curate, folder: Path) -> None:
    """A repaired document is kept and counted with its steps; one that cannot be repaired is removed for it."""
    lost = PROSE[2].encode("gb18030").decode("utf-8", "replace")
    (folder / "a.jsonl").write_bytes(
        lines({"id": "misread", "text": PROSE[1].encode().decode("latin-1")}, {"id": "lost", "text": lost})
    )
    found = curated()
    assert found.accounts == {"read": 3, "kept": 2, "removed": 1, "failed": 0}
    assert found.kept == {"good", "misread"}
    assert found.repaired == {"latin-1>utf-8": 1}


def test_a_document_that_is_too_large_is_one_failure(curated: Curate, folder: Path) -> None:
    """Lines, texts and pages beyond the bound, and a gzip bomb, are counted; what stands beside them is read."""
    long = "长" * 100_000
    (folder / "a.jsonl").write_bytes(lines({"text": long}, {"id": "small", "text": PROSE[1]}))
    (folder / "b.txt").write_text(long)
    (folder / "bomb.txt.gz").write_bytes(gzip.compress(b"0" * (64 << 20)))
    (folder / "bomb.jsonl.gz").write_bytes(gzip.compress(b'{"text": "' + b"0" * (64 << 20) + b'"}\n' + GOOD))
    (folder / "pages.warc").write_bytes(warc(long, number=1) + warc(PROSE[2], number=2))
    found = curated(max_document_bytes=200_000)
    assert found.accounts == {"read": 9, "kept": 3, "removed": 1, "failed": 5}
    assert found.failures == {
        (name, "too_large"): 1 for name in ("a.jsonl", "b.txt", "bomb.txt.gz", "bomb.jsonl.gz", "pages.warc")
    }


def test_input_that_holds_nothing_is_refused(curated: Curate, tmp_path: Path) -> None:
    """Nothing but failures stops with the number of records and where their reasons stand."""
    path = tmp_path / "empty.jsonl"
    path.write_bytes(b"")
    with pytest.raises(InputError, match=r"none of 1 records in the inputs became a document; .*failures"):
        curated(path)


LARGE_SCRIPT = """
import resource, sys
from ctllm.pipelines.language import LanguageIdentifier
from ctllm.pipelines.sources.reader import read_batches
from ctllm.pipelines.sources.split import plan_splits
from ctllm.schemas.curation_config import CurationConfig
config = CurationConfig()
identifier = LanguageIdentifier.load()
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
splits = plan_splits([sys.argv[1]], config=config.sources)
documents = failures = 0
for split in splits:
    for batch in read_batches(split, config=config, identifier=identifier):
        documents += batch.documents.num_rows
        failures += batch.failures.num_rows
print(len(splits), documents, failures, (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) >> 10)
"""


def read_large(path: Path) -> list[int]:
    """Splits, documents, failures and the growth of memory in MiB of reading `path` in a process of its own."""
    command = [sys.executable, "-c", LARGE_SCRIPT, str(path)]
    return [int(part) for part in subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()]


@pytest.mark.slow
def test_a_line_of_200_mb_is_never_held(tmp_path: Path) -> None:
    """A single-line document of 200 MB is one failure at the cost of its bound, not of its size."""
    path = tmp_path / "a.jsonl"
    with path.open("wb") as file:
        file.write(b'{"text": "')
        for _ in range(200):
            file.write("长".encode() * 349_525)
        file.write(b'"}\n' + GOOD)
    splits, documents, failures, growth_mib = read_large(path)
    assert (splits, documents, failures) == (4, 1, 1)
    assert growth_mib < 150


@pytest.mark.slow
def test_a_file_of_ten_million_lines_is_judged(curated: Curate, folder: Path) -> None:
    """Ten million lines in one document of 40 MB go the whole way: measured, signed and refused for what they are."""
    (folder / "a.txt").write_bytes("行\n".encode() * 10_000_000)
    found = curated()
    assert found.accounts == {"read": 2, "kept": 1, "removed": 1, "failed": 0}
    (reasons,) = [reasons for id, reasons in found.reasons.items() if id != "good"]
    assert "max_duplicate_line_share" in reasons


def test_many_lines_are_read_in_blocks(curated: Curate, folder: Path) -> None:
    """Twelve thousand lines in blocks are as many documents; as one document the file is refused for its size."""
    (folder / "a.txt").write_bytes(b"".join(b"line %d of many\n" % number for number in range(12_000)))
    found = curated(text_unit="line", block_size_bytes=1 << 16)
    assert found.accounts == {"read": 12_001, "kept": 1, "removed": 12_000, "failed": 0}
    assert len(list((found.run / "documents").glob("*.parquet"))) == 5
