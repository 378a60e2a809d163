"""The page as a file: whole, self-contained, the same for the same run."""

import base64
import hashlib
import json
import random
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pyarrow as pa
import pytest

from ctllm.dashboards.report import PAGE, embedded_json, write_report
from ctllm.pipelines.samples import MAX_BORDER, MAX_SAMPLES
from ctllm.schemas.errors import InputError
from ctllm.schemas.files import read_json, read_parquet, write_json, write_parquet
from ctllm.schemas.privacy_config import PersonalData
from ctllm.schemas.signals import SIGNAL_NAMES, SIGNALS
from ctllm.schemas.stats import CLUSTERS, MAX_SAMPLED_DOCUMENTS, SAMPLED_SIGNALS, SAMPLES, SIGNAL_SAMPLE

MakeRun = Callable[..., Path]
SCRIPT = re.compile(r"<script>(.*?)</script>", re.DOTALL)


def test_report_stands_in_the_run(make_run: MakeRun, training: Path) -> None:
    """The report is RUN/report.html, at most 8 MB, and nothing else is left behind."""
    run = make_run()
    before = {each.name for each in run.iterdir()}
    path = Path(write_report(str(run), [str(training)]))
    assert path == run / "report.html"
    assert {each.name for each in run.iterdir()} == before | {"report.html"}
    assert 4_000_000 < path.stat().st_size < 8_000_000


def test_the_largest_report_is_below_eight_megabytes(make_run: MakeRun, training: Path, tmp_path: Path) -> None:
    """Full tables of many sources, samples without repetition, a sample of incompressible signals, six trainings."""
    run = make_run(2000, sources=200)
    dice = random.Random(3)
    han = "".join(map(chr, range(0x4E00, 0x9000)))

    def text(length: int) -> str:
        return "".join(dice.choices(han, k=length))

    samples = read_parquet(str(run / "stats" / "samples.parquet")).to_pylist()
    most = (MAX_SAMPLES + MAX_BORDER) // len(samples) + 1
    rows = [
        row | {"excerpt": text(600), "url": f"https://example.org/{text(60)}"}
        for row in (samples * most)[: MAX_SAMPLES + MAX_BORDER]
    ]
    write_parquet(str(run / "stats" / "samples.parquet"), pa.Table.from_pylist(rows, schema=SAMPLES))
    cluster = read_parquet(str(run / "stats" / "clusters.parquet")).to_pylist()[0]
    rows = [cluster | {"kept_excerpt": text(600), "removed_excerpt": text(600)} for _ in range(40)]
    write_parquet(str(run / "stats" / "clusters.parquet"), pa.Table.from_pylist(rows, schema=CLUSTERS))
    numbers = np.random.default_rng(3)
    count = MAX_SAMPLED_DOCUMENTS
    columns: dict[str, Any] = {name: numbers.lognormal(0, 3, count) for name in SAMPLED_SIGNALS}
    columns |= {name: numbers.integers(1, 1 << 31, count) for name in ("key", "chars", "tokens")}
    columns |= {name: numbers.random(count) < 0.5 for name in ("kept", "is_copy", "has_copies", "nothing_left")}
    columns["lane"] = ["zh"] * (count // 2) + ["en"] * (count // 2)
    sample = pa.table([pa.array(columns[field.name]).cast(field.type) for field in SIGNAL_SAMPLE], schema=SIGNAL_SAMPLE)
    write_parquet(str(run / "stats" / "signal_sample.parquet"), sample)
    lines = [
        json.loads((training / "ledger.jsonl").read_text().splitlines()[1]) | {"step": step} for step in range(1000)
    ]
    for number in range(6):
        directory = tmp_path / f"training-{number}"
        directory.mkdir()
        lines = [
            line | {"loss": dice.random(), "grad_norm": dice.random(), "tokens_per_s": dice.random()} for line in lines
        ]
        (directory / "ledger.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    path = Path(write_report(str(run), [str(tmp_path / f"training-{number}") for number in range(6)]))
    assert 6_000_000 < path.stat().st_size <= 8_000_000


def test_same_run_same_bytes(make_run: MakeRun) -> None:
    """The same run gives the same bytes; another time of a stage changes nothing but that time."""
    run = make_run()
    first = Path(write_report(str(run))).read_text(encoding="utf-8")
    assert Path(write_report(str(run))).read_text(encoding="utf-8") == first
    manifest = read_json(str(run / "manifest.json"))
    manifest["stages"]["pairs"]["seconds"] = 98.765
    write_json(str(run / "manifest.json"), manifest)
    changed = Path(write_report(str(run))).read_text(encoding="utf-8")
    assert changed != first
    assert changed.replace("98.765", "3.1") == first


def test_page_links_to_nothing(make_run: MakeRun) -> None:
    """No element loads anything, and the policy lets exactly the scripts run that stand in the file."""
    page = Path(write_report(str(make_run()))).read_text(encoding="utf-8")
    markup = SCRIPT.sub("", page)
    assert not re.search(r"<(link|script src|img|iframe|@import)", markup.split('<script id="card"', maxsplit=1)[0])
    scripts = SCRIPT.findall(page)
    policy = re.search(r'<meta http-equiv="Content-Security-Policy" content="([^"]*)">', page)
    assert policy
    assert policy[1].startswith("default-src 'none'; script-src 'sha256-")
    expected = [base64.b64encode(hashlib.sha256(each.encode()).digest()).decode() for each in scripts]
    assert re.findall(r"'sha256-([^']*)'", policy[1]) == expected
    assert len(expected) == 16


def test_text_cannot_leave_the_data() -> None:
    """JSON in the page holds no `<` at all, so no document can end the script or open a comment."""
    value = {"text": "</script><!--<script>", "separator": "\u2028", "shares": [0.5, 1]}
    text = embedded_json(value)
    assert "<" not in text
    assert json.loads(text) == value


def test_numbers_json_lacks_become_null() -> None:
    """NaN and infinity, which JSON.parse refuses, are written as null."""
    assert json.loads(embedded_json({"a": float("nan"), "b": [float("inf"), 1.5]})) == {"a": None, "b": [None, 1.5]}


def test_missing_statistics_name_the_way_out(tmp_path: Path, make_run: MakeRun) -> None:
    """Without a manifest, or without stats/, the error names the missing file and the command that writes it."""
    with pytest.raises(InputError, match=r"manifest\.json: not there; give the --out of a `ctllm curate`"):
        write_report(str(tmp_path))
    manifest = make_run() / "manifest.json"
    (tmp_path / "manifest.json").write_bytes(manifest.read_bytes())
    with pytest.raises(InputError, match=r"stats/stats\.json: not there"):
        write_report(str(tmp_path))
    assert not (tmp_path / "report.html").exists()


def test_every_kind_of_personal_data_has_a_name_in_both_languages() -> None:
    """The dictionary of the page names each kind of personal data, and nothing else as such."""
    block = (PAGE / "words.js").read_text(encoding="utf-8").split("const EDITS = {", maxsplit=1)[1]
    named = re.findall(r'^ +"pii:(\w+)": \["[^"]+", "[^"]+"\],$', block, re.MULTILINE)
    assert sorted(named) == sorted(get_args(PersonalData))


def test_every_signal_has_a_name_in_both_languages() -> None:
    """The dictionary of the page names every measured signal, and no signal that is not measured."""
    words = (PAGE / "words.js").read_text(encoding="utf-8")
    block = words.split("const SIGNALS = {", maxsplit=1)[1].split("};", maxsplit=1)[0]
    named = re.findall(r'^ +(\w+): \["[^"]+", "[^"]+"\],$', block, re.MULTILINE)
    assert sorted(named) == sorted(SIGNAL_NAMES)


def test_every_signal_has_its_meaning_and_unit_in_chinese() -> None:
    """Every measured signal is explained in Chinese, and no other; so is every unit."""
    text = (PAGE / "meanings.js").read_text(encoding="utf-8")
    meanings, units = (text.split(f"const {name} = {{")[1].split("};")[0] for name in ("MEANINGS", "UNITS_OF_SIGNALS"))
    named = dict(re.findall(r'^ +(\w+): "([^"]+)",$', meanings, re.MULTILINE))
    assert sorted(named) == sorted(SIGNAL_NAMES)
    assert [name for name, meaning in named.items() if not re.search(r"[\u4e00-\u9fff]", meaning)] == []
    in_words = {single or quoted for single, quoted in re.findall(r'(?:(\w+)|"([^"]+)"): "', units)}
    assert in_words == {SIGNALS.field(name).metadata[b"unit"].decode() for name in SIGNAL_NAMES}
