"""The page as a file: whole, self-contained, the same for the same run."""

import base64
import hashlib
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import get_args

import pytest

from ctllm.dashboards.report import PAGE, embedded_json, write_report
from ctllm.schemas.curation_config import PersonalData
from ctllm.schemas.errors import InputError
from ctllm.schemas.files import read_json, write_json
from ctllm.schemas.signals import SIGNAL_NAMES

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
    assert len(expected) == 14


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
