"""The sample of signals: the same documents however many workers, with the values that the rules were asked."""

from pathlib import Path

import numpy as np
import pytest

from ctllm.pipelines import signal_sample
from ctllm.pipelines.cuts import after_cuts, cut_chars
from ctllm.pipelines.run_directory import Run, read_run
from ctllm.schemas.files import list_files, read_parquet
from ctllm.schemas.mixture import key_hash
from ctllm.schemas.stats import SAMPLED_SIGNALS, SIGNAL_SAMPLE

SPLITS = (0, 1)


def rows_of(run: Run, name: str) -> list[dict[str, object]]:
    """Rows of one directory of the run."""
    return [
        row for path in list_files(run.directory(name), suffix=".parquet") for row in read_parquet(path).to_pylist()
    ]


def test_small_run_is_sampled_whole(small_run: Path) -> None:
    """Of few documents all are there, with their verdict, what was measured, and whether they have copies."""
    run = read_run(str(small_run / "run"))
    table = read_parquet(str(small_run / "run" / "stats" / "signal_sample.parquet"))
    assert table.schema.equals(SIGNAL_SAMPLE)
    sample = {row["key"]: row for row in table.to_pylist()}
    verdicts = {row["key"]: row for row in rows_of(run, "verdicts") if row["lane"] != "other"}
    assert {key: row["kept"] for key, row in sample.items()} == {key: row["kept"] for key, row in verdicts.items()}
    assert {key for key, row in sample.items() if row["is_copy"]} == {row["key"] for row in rows_of(run, "duplicates")}
    pairs = rows_of(run, "pairs")
    paired = {row[name] for row in pairs for name in ("key_a", "key_b")}
    assert {key for key, row in sample.items() if row["has_copies"]} == paired
    for split in SPLITS:
        cuts = read_parquet(run.part("cuts", split))
        signals = read_parquet(run.part("signals", split))
        for row in after_cuts(signals, cut_chars(cuts, signals.num_rows)).to_pylist():
            if row["key"] in sample:
                assert sample[row["key"]]["chars"] == row["num_chars"]
                seen = [sample[row["key"]][name] for name in SAMPLED_SIGNALS]
                np.testing.assert_array_equal(np.array(seen, float), np.array([row[n] for n in SAMPLED_SIGNALS], float))


def test_smallest_hashes_of_each_lane_are_taken(small_run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of more documents than fit, the Chinese ones with the smallest hashes stay beside the one English text."""
    run = read_run(str(small_run / "run"))
    monkeypatch.setattr(signal_sample, "MAX_SAMPLED_DOCUMENTS", 5)
    counts = signal_sample.lane_counts(run, SPLITS)
    assert counts == {"zh": 11, "en": 1}
    assert signal_sample.quotas(counts) == {"zh": 4, "en": 1}
    for split in SPLITS:
        tables = {name: read_parquet(run.part(name, split)) for name in ("signals", "verdicts", "cuts")}
        signal_sample.write_sample_part(run, split, **tables, below=signal_sample.cutoffs(counts))
    sample = signal_sample.merge_samples(run, SPLITS)
    keys = np.array([row["key"] for row in rows_of(run, "verdicts") if row["lane"] == "zh"], np.uint64)
    smallest = keys[np.argsort(key_hash(keys, salt=signal_sample.SAMPLE_SALT))][:4]
    assert sample["key"].to_pylist()[:4] == smallest.tolist()
    assert sample["lane"].to_pylist() == ["zh"] * 4 + ["en"]
    assert not (small_run / "run" / signal_sample.PARTS).exists()


def test_cutoffs_leave_out_most_of_a_large_lane() -> None:
    """A lane of a billion gives its quota and a few documents to spare; a lane below its quota is taken whole."""
    below = signal_sample.cutoffs({"zh": 10**9, "en": 100})
    assert below["en"] >= 1
    quota = signal_sample.quotas({"zh": 10**9, "en": 100})["zh"]
    assert quota == 19_900
    assert quota < below["zh"] * 10**9 < 1.05 * quota
