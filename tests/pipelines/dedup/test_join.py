"""The whole join on natural Chinese text: what is found, what is not, and that bytes never depend on the workers."""

import itertools
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import opencc
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ctllm.pipelines import options
from ctllm.pipelines.dedup import join, minhash, shuffle
from ctllm.pipelines.dedup.join import find_pairs
from ctllm.pipelines.options import RunnerOptions
from ctllm.schemas.curation_config import DedupConfig
from ctllm.schemas.dedup_index import EarlierSplit
from ctllm.schemas.duplicates import PAIRS
from ctllm.schemas.files import write_parquet

BandFiles = Callable[..., list[str]]
HEADER = "首页 > 文化频道 > 正文 来源：本站 作者：编辑部 发布时间：2024-03-05\n"
FOOTER = "\n上一篇 下一篇 版权所有 未经许可不得转载"
HAN = re.compile(r"[\u4e00-\u9fff]")
HALF_WIDTH = str.maketrans("，。、：；！？（）", ",.,:;!?()")


def joined(paths: list[str], out: Path, config: DedupConfig, *, workers: int = 2) -> tuple[dict[str, int], pa.Table]:
    """Counts and pairs of the band files."""
    counts = find_pairs(paths, out=str(out), config=config, options=RunnerOptions(workers=workers))
    return counts, pq.read_table(out)


def pairs_of(table: pa.Table) -> dict[tuple[int, int], tuple[str, float]]:
    """Kind and Jaccard by keys."""
    rows = table.to_pylist()
    return {(row["key_a"], row["key_b"]): (row["kind"], row["jaccard"]) for row in rows}


def test_copies_of_chinese_pages_are_found(
    band_files: BandFiles, tmp_path: Path, essays: list[str], edited: list[str]
) -> None:
    """A copy with edited words, other header, half-width punctuation, lost line breaks or in traditional is found.

    A word is changed in 30 % of the sentences; nothing is found between the five texts themselves.
    """
    variants = {
        "edited": edited,
        "chrome": [HEADER + each + FOOTER for each in essays],
        "punctuation": [each.translate(HALF_WIDTH) for each in essays],
        "line breaks": [each.replace("\n", "") for each in essays],
        "traditional": [opencc.OpenCC("s2tw").convert(each) for each in essays],
    }
    texts = [*essays, *(text for own in variants.values() for text in own)]
    counts, table = joined(band_files(texts, config=DedupConfig()), tmp_path / "pairs", DedupConfig())
    found = pairs_of(table)
    for number, name in enumerate(variants, 1):
        for essay in range(5):
            kind, jaccard = found[essay, 5 * number + essay]
            assert jaccard >= 0.8, name
            assert kind == ("exact" if name in ("punctuation", "line breaks") else kind), name
    assert all(one % 5 == other % 5 for one, other in found)
    assert counts["pairs"] == len(found) == counts["exact"] + counts["near"]
    assert table.schema.equals(PAIRS)


def test_different_documents_stay_different(band_files: BandFiles, tmp_path: Path, essays: list[str]) -> None:
    """Pages of one template with their own content, unrelated texts and those of 0 to 20 characters are not merged."""
    templated = [HEADER * 2 + each[:120] + FOOTER * 2 for each in essays]
    short = [essays[0].replace("，", "").replace("。", "")[:n] for n in range(21)]
    notices = [f"关于{name}的通知：请各位业主于{day}日前到{place}办理登记。" for name, day, place in
               [("停水", 3, "大厅"), ("停电", 4, "大厅"), ("检修", 5, "门岗")]]  # fmt: skip
    texts = [*templated, *short, *notices, "", "  ", "！！！", "？？？"]
    counts, _ = joined(band_files(texts, config=DedupConfig()), tmp_path / "pairs", DedupConfig())
    assert {name: counts[name] for name in ("pairs", "exact", "near", "hot_buckets")} == {
        "pairs": 0, "exact": 0, "near": 0, "hot_buckets": 0,
    }  # fmt: skip
    assert pq.read_table(tmp_path / "pairs").schema.equals(PAIRS)


def test_short_copies_are_found_exactly(band_files: BandFiles, tmp_path: Path) -> None:
    """Texts too short for shingles are copies when their hashing forms are equal, linked to the smallest key."""
    paths = band_files(["你好，世界", "世界你好", "你好 世界！", "", "", "你好世界"], config=DedupConfig(), rows=2)
    counts, table = joined(paths, tmp_path / "pairs", DedupConfig())
    assert pairs_of(table) == {(0, 2): ("exact", 1.0), (0, 5): ("exact", 1.0)}
    assert counts == {"pairs": 2, "exact": 2, "near": 0, "url": 0, "refused": 0, "border": 0, "hot_buckets": 0}


def test_same_text_is_a_copy_whatever_its_form(band_files: BandFiles, tmp_path: Path) -> None:
    """Texts without a word, and a file that is code here and prose there, are copies if they are the same."""
    code = "a = b + c\n" * 3
    paths = band_files(["！！！", "？？？", "！！！", code], config=DedupConfig())
    (other,) = band_files([code, "！！！"], config=DedupConfig(), lane="code", name="part-code", first_key=4)
    counts, table = joined([*paths, other], tmp_path / "pairs", DedupConfig())
    assert pairs_of(table) == dict.fromkeys([(0, 2), (0, 5), (3, 4)], ("exact", 1.0))
    assert counts == {"pairs": 3, "exact": 3, "near": 0, "url": 0, "refused": 0, "border": 0, "hot_buckets": 0}


def test_documents_of_one_url_are_copies_where_asked_for(
    band_files: BandFiles, tmp_path: Path, essays: list[str], edited: list[str]
) -> None:
    """Whatever their texts, each two of them; those that are copies anyway are named so; none without `by_url`."""
    urls = ["http://a.example/1", "https://A.example/1#top", "http://a.example/1", "http://a.example/2", None, None]
    texts = [essays[0], essays[1], edited[0], essays[0], essays[2], essays[3]]
    paths = band_files(texts, config=DedupConfig(), urls=urls)
    counts, table = joined(paths, tmp_path / "by_url", DedupConfig(by_url=True))
    kinds = {pair: kind for pair, (kind, _) in pairs_of(table).items()}
    assert kinds == {(0, 1): "url", (0, 2): "near", (1, 2): "url", (0, 3): "exact"}
    assert counts == {"pairs": 4, "exact": 1, "near": 1, "url": 2, "refused": 0, "border": 0, "hot_buckets": 0}
    assert pairs_of(table)[0, 1][1] < 0.1
    joined(paths, tmp_path / "by_text", DedupConfig())
    assert pairs_of(pq.read_table(tmp_path / "by_text")).keys() == {(0, 2), (0, 3)}


def test_bytes_do_not_depend_on_workers_or_order(
    band_files: BandFiles, tmp_path: Path, essays: list[str], edited: list[str]
) -> None:
    """One worker or three, files in either order: the same files with the same bytes, sorted by keys."""
    paths = band_files([*essays, *edited, *essays], config=DedupConfig(), rows=3)
    joined(paths, tmp_path / "one", DedupConfig(), workers=1)
    counts, table = joined(paths[::-1], tmp_path / "three", DedupConfig(), workers=3)
    contents = [{path.name: path.read_bytes() for path in (tmp_path / name).iterdir()} for name in ("one", "three")]
    assert contents[0] == contents[1]
    assert sorted(contents[0]) == ["_counts.json", "part-00000.parquet", "part-00001.parquet"]
    assert list(pairs_of(table)) == sorted(pairs_of(table))
    assert counts == {"pairs": 10, "exact": 5, "near": 5, "url": 0, "refused": 0, "border": 0, "hot_buckets": 0}


def test_bytes_do_not_depend_on_the_shuffle(
    band_files: BandFiles, tmp_path: Path, essays: list[str], edited: list[str]
) -> None:
    """Through memory or through files, with documents of an earlier snapshot: the same bytes, and no file is left."""
    paths = band_files([*essays, *edited, *essays], config=DedupConfig(), rows=3)
    for path in paths[:2]:
        kept = pa.array([False, True, True])
        write_parquet(path.replace("bands", "verdicts"), pa.table([kept], names=["kept"]))
    earlier = [
        EarlierSplit(path, path.replace("bands", "verdicts"), path.replace("bands", "gone")) for path in paths[:2]
    ]
    contents = []
    for mode in ("gbk", "files"):
        options = RunnerOptions(workers=2, shuffle=mode)
        counts = find_pairs(paths[2:], out=str(tmp_path / mode), config=DedupConfig(), options=options, earlier=earlier)
        contents.append({path.name: path.read_bytes() for path in (tmp_path / mode).iterdir()})
    assert contents[0] == contents[1]
    found = pairs_of(pq.read_table(tmp_path / "gbk"))
    expected = {(1, 6), (1, 11), (2, 7), (2, 12), (4, 9), (4, 14), (5, 10), (8, 13)}  # 0 and 3 were not kept
    assert found.keys() == expected
    assert counts["exact"] == 3


def windows_of(text: str) -> set[str]:
    """Windows of five Han characters, without what stands between them."""
    han = "".join(HAN.findall(text))
    return {han[at : at + 5] for at in range(len(han) - 4)}


def test_sketches_count_for_the_way_of_the_shuffle(
    band_files: BandFiles, tmp_path: Path, essays: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where band keys alone would fit the runner's memory but four sketches a document would not, files are used."""
    num_bands, _ = minhash.banding(DedupConfig())
    keys, sketches = 24 * num_bands * len(essays), 4 * 4 * DedupConfig().sketch_size * len(essays)
    paths = band_files(essays, config=DedupConfig())
    modes = []
    monkeypatch.setattr(join, "Shuffle", lambda mode, scratch: modes.append(mode) or shuffle.Shuffle(mode, scratch))
    for most in (keys + sketches, keys + sketches - 1):
        monkeypatch.setattr(options, "_MAX_GROUPED_BYTES", most)
        joined(paths, tmp_path / str(most), DedupConfig())
    assert [mode for mode, _ in itertools.groupby(modes)] == ["gbk", "files"]


def test_pairs_near_the_threshold_are_compared_by_all_shingles(
    band_files: BandFiles, tmp_path: Path, essays: list[str]
) -> None:
    """Sketches of 32 err by 0.07: every pair within four times that gets its true Jaccard, and is kept by that.

    Within fewer standard errors fewer are looked at. Bytes depend on neither workers nor shuffle.
    """
    added = essays[0][::-1][100:160]
    texts = [text[:180] + added[:length] for text in essays for length in (0, 20, 30, 40, 50, 60)]
    sets = list(map(windows_of, texts))
    every = itertools.combinations(range(len(texts)), 2)
    true = {(one, other): len(sets[one] & sets[other]) / len(sets[one] | sets[other]) for one, other in every}
    config = DedupConfig(sketch_size=32, bands=(32, 4))
    paths = band_files(texts, config=config, rows=7)
    documents = [path.replace("/bands/", "/texts/") for path in paths]
    contents, counts = {}, {}
    runs = (("sketch", None, 1, "gbk"), ("narrow", 1.0, 1, "gbk"), ("one", 4.0, 1, "gbk"), ("two", 4.0, 2, "files"))
    for name, within, workers, mode in runs:
        counts[name] = find_pairs(
            paths[::-1] if name == "two" else paths,
            document_files=documents[::-1] if name == "two" else documents,
            out=str(tmp_path / name),
            config=config.model_copy(update={"exact_within": within}),
            options=RunnerOptions(workers=workers, shuffle=mode),  # type: ignore[arg-type]
        )
        contents[name] = {path.name: path.read_bytes() for path in (tmp_path / name).iterdir()}
    found = {name: pairs_of(pq.read_table(tmp_path / name)) for name, *_ in runs}
    assert contents["one"] == contents["two"]
    assert found["one"].keys() == {pair for pair, jaccard in true.items() if jaccard >= 0.8} != found["sketch"].keys()
    near = {pair: jaccard for pair, (_, jaccard) in found["one"].items() if true[pair] < 0.95}
    assert near == {pair: np.float32(true[pair]) for pair in near}
    assert 0 == counts["sketch"]["border"] < counts["narrow"]["border"] < counts["one"]["border"] <= len(true)


def test_run_over_a_killed_one_starts_clean(band_files: BandFiles, tmp_path: Path, essays: list[str]) -> None:
    """What a killed attempt left behind, half a file or a whole one, is gone after the next run."""
    out = tmp_path / "pairs"
    out.mkdir()
    (out / ".part-00003.parquet.0badcafe.tmp").write_bytes(b"half")
    (out / "part-00009.parquet").write_bytes(b"stale")
    counts, table = joined(band_files(essays[:2] * 2, config=DedupConfig()), out, DedupConfig())
    assert sorted(each.name for each in out.iterdir()) == ["_counts.json", "part-00000.parquet"]
    assert counts["exact"] == table.num_rows == 2


def test_candidates_below_the_threshold_are_refused_and_counted(
    band_files: BandFiles, tmp_path: Path, essays: list[str], edited: list[str]
) -> None:
    """Bands made for 0.5 offer the edited texts, a verification at 0.95 refuses them; containment alone can accept."""
    paths = band_files([*essays, *edited], config=DedupConfig(threshold=0.5))
    strict, _ = joined(paths, tmp_path / "strict", DedupConfig(threshold=0.95))
    lenient, table = joined(paths, tmp_path / "lenient", DedupConfig(threshold=0.95, containment=0.85))
    assert (strict["pairs"], strict["refused"]) == (0, 5)
    assert (lenient["pairs"], lenient["refused"]) == (5, 0)
    assert all(0.85 <= each < 1 for each in table["containment"].to_pylist())


def test_boilerplate_bucket_is_counted_as_hot(band_files: BandFiles, tmp_path: Path, essays: list[str]) -> None:
    """More near copies of one text than `max_bucket` are linked to the first, in each band they share, and counted."""
    config = DedupConfig(max_bucket=3)
    copies = [essays[0] + "尾" * number for number in range(1, 7)]
    counts, table = joined(band_files(copies, config=config), tmp_path / "pairs", config)
    assert counts["hot_buckets"] > 0
    assert {(0, other) for other in range(1, 6)} <= set(pairs_of(table))
    everything, _ = joined(band_files(copies, config=DedupConfig()), tmp_path / "pairs", DedupConfig())
    assert (everything["pairs"], everything["hot_buckets"]) == (15, 0)


@pytest.mark.parametrize("lane", ["code", "en"])
def test_reformatted_code_is_a_copy(band_files: BandFiles, tmp_path: Path, lane: str) -> None:
    """Code with other indentation is the same; with other operators it is not, unless it is read as prose."""
    lines = [f"def f{i}(x):\n    return x + {i} if x > {i * 7} else g{i}(x)\n" for i in range(12)]
    text = "\n".join(lines)
    texts = [text, text.replace("    ", "\t").replace(" + ", "+"), text.replace("+", "-").replace(">", "<")]
    _, table = joined(band_files(texts, config=DedupConfig(), lane=lane), tmp_path / "pairs", DedupConfig())
    found = pairs_of(table)
    assert found[0, 1] == ("exact", 1.0)
    assert ((0, 2) in found) == (lane == "en")
