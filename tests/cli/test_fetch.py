"""`ctllm fetch` as a user meets it, also when it is killed."""

import gzip
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner, Result

from ctllm.cli import fetch
from ctllm.schemas.errors import ConfigError, InputError

ROOT = Path(__file__).resolve().parents[2]
CRAWL = "CC-MAIN-2024-10"
QUICK = ["--tries", "2", "--backoff", "0", "--stall-timeout", "0.5"]


@pytest.fixture
def run() -> Callable[..., Result]:
    """`ctllm` with only the fetch commands."""
    app = typer.Typer()
    fetch.register(app)
    app.command("other")(lambda: None)
    return lambda *arguments: CliRunner().invoke(app, [str(each) for each in arguments], terminal_width=200)


@pytest.fixture
def crawl(web: Any) -> Any:
    """A host with two WET files of a crawl."""
    paths = [f"crawl-data/{CRAWL}/segments/1.0/wet/{number}.warc.wet.gz" for number in range(2)]
    web.files[f"/crawl-data/{CRAWL}/wet.paths.gz"] = gzip.compress("\n".join(paths).encode())
    for path in paths:
        web.files[f"/{path}"] = gzip.compress(os.urandom(2_000_000))
    return web


def body(web: Any, number: int) -> bytes:
    """The bytes of the crawl's file `number`."""
    served: bytes = web.files[f"/crawl-data/{CRAWL}/segments/1.0/wet/{number}.warc.wet.gz"]
    return served


def test_commoncrawl(run: Callable[..., Result], crawl: Any, tmp_path: Path) -> None:
    """Files of a crawl arrive by position, and the line to go on with is printed; again, nothing is fetched."""
    arguments = ["fetch", "commoncrawl", "--crawl", CRAWL, "--segments", "1", "--kind", "wet", "--out", tmp_path]
    first = run(*arguments, "--base-url", crawl.base_url, *QUICK)
    assert first.exception is None, first.output
    assert (tmp_path / "1.warc.wet.gz").read_bytes() == body(crawl, 1)
    assert "wet: 1 files fetched, 0 were there, 2.0 MB" in first.output
    line = f"ctllm curate configs/curation/recommended.yaml --input {tmp_path}/1.warc.wet.gz --out {tmp_path}-curated"
    assert line in first.output
    again = run(*arguments, "--base-url", crawl.base_url, *QUICK)
    assert "wet: 0 files fetched, 1 were there" in again.output


def test_a_whole_crawl_is_not_meant(run: Callable[..., Result], tmp_path: Path) -> None:
    """Without --segments and --limit nothing begins: a crawl is 90,000 files."""
    result = run("fetch", "commoncrawl", "--crawl", CRAWL, "--out", tmp_path)
    assert isinstance(result.exception, ConfigError)
    assert "--segments" in str(result.exception)


def test_hf(run: Callable[..., Result], web: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Files of a dataset arrive from the hub that HF_ENDPOINT names; --limit takes the first."""
    monkeypatch.setenv("HF_ENDPOINT", web.base_url)
    tree = [{"type": "file", "path": f"d/{each}.jsonl", "oid": "0" * 40, "size": 2} for each in "ab"]
    tree[0]["oid"] = "d00491fd7e5bb6fa28c517a0bb32b8b506539d4d"  # git hash-object of "1\n"
    web.files["/api/datasets/o/d/revision/main"] = b'{"sha": "c0"}'
    web.files["/api/datasets/o/d/tree/c0?recursive=true"] = json.dumps(tree).encode()
    web.files["/datasets/o/d/resolve/c0/d/a.jsonl"] = b"1\n"
    result = run("fetch", "hf", "o/d", "--files", "*.jsonl", "--limit", 1, "--out", tmp_path / "x", *QUICK)
    assert result.exception is None, result.output
    assert (tmp_path / "x/d/a.jsonl").read_bytes() == b"1\n"
    assert "ctllm curate" in result.output


def test_recipe(run: Callable[..., Result], crawl: Any, tmp_path: Path) -> None:
    """A recipe shows licence and notes, fetches, and ends with the line to go on with."""
    arguments = ["fetch", "recipe", "commoncrawl_zh_wet", "--limit", 1, "--base-url", crawl.base_url, *QUICK]
    result = run(*arguments, "--out", tmp_path)
    assert result.exception is None, result.output
    assert "licence: Common Crawl Terms of Use" in result.output
    assert "begin with --limit 8" in result.output
    assert (tmp_path / "0.warc.wet.gz").read_bytes() == body(crawl, 0)
    assert f"--input {tmp_path}/0.warc.wet.gz" in result.output


def test_list(run: Callable[..., Result]) -> None:
    """The list names every recipe with size, licence and what must be accepted."""
    output = run("fetch", "list").output
    for text in ("map_cc", "CC-BY-NC-ND-4.0", "zh_baike", "gated: needs HF_TOKEN"):
        assert text in output


@pytest.mark.parametrize("rate", ["0", "-1k", "fast", "1T", "inf", "nan"])
def test_rate_that_is_none(run: Callable[..., Result], tmp_path: Path, rate: str) -> None:
    """A rate that is no positive number of bytes is refused with an example."""
    result = run("fetch", "commoncrawl", "--crawl", CRAWL, "--limit", 1, "--out", tmp_path, f"--rate={rate}")
    assert isinstance(result.exception, ConfigError)
    assert "500k or 20M" in str(result.exception)


@pytest.mark.parametrize(("given", "bytes_per_s"), [("500k", 5e5), ("20M", 2e7), ("1.5g", 1.5e9), ("100", 100.0)])
def test_rate(given: str, bytes_per_s: float) -> None:
    """Rates are bytes per second with k, M and G as thousands."""
    assert fetch._bytes_per_s(given) == bytes_per_s


def test_out_is_local(run: Callable[..., Result]) -> None:
    """A bucket is refused before a request: files are resumed and checked on a disk."""
    result = run("fetch", "commoncrawl", "--crawl", CRAWL, "--limit", 1, "--out", "gs://bucket/x")
    assert isinstance(result.exception, ConfigError)


def test_not_there(run: Callable[..., Result], web: Any, tmp_path: Path) -> None:
    """What is not there is an input error that names the URL."""
    arguments = ["--crawl", "CC-MAIN-2031-01", "--limit", 1, "--out", tmp_path, "--base-url", web.base_url]
    result = run("fetch", "commoncrawl", *arguments)
    assert isinstance(result.exception, InputError)
    assert f"{web.base_url}/crawl-data/CC-MAIN-2031-01/warc.paths.gz" in str(result.exception)


@pytest.mark.parametrize("deadly", [signal.SIGKILL, signal.SIGINT])
def test_killed_and_resumed(crawl: Any, answer: Any, tmp_path: Path, deadly: signal.Signals) -> None:
    """Killed in the middle, the same command asks for the rest only and ends with the bytes of an undisturbed fetch."""
    path = f"/crawl-data/{CRAWL}/segments/1.0/wet/0.warc.wet.gz"
    crawl.script[path] = [answer(stalls_at=1_000_000)]
    arguments = ["commoncrawl", "--crawl", CRAWL, "--segments", "0", "--kind", "wet", "--base-url", crawl.base_url]
    command = [sys.executable, "-m", "ctllm.cli.main", "fetch", *arguments, "--out", str(tmp_path)]
    partial = tmp_path / "0.warc.wet.gz.partial"
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 60
    while not (partial.exists() and partial.stat().st_size == 1_000_000) and time.monotonic() < deadline:
        time.sleep(0.02)  # until the other process has got so far
    process.send_signal(deadly)
    _, errors = process.communicate(timeout=30)
    assert process.returncode == (130 if deadly == signal.SIGINT else -9), errors
    assert ("the same command continues" in errors) is (deadly == signal.SIGINT)
    assert partial.read_bytes() == body(crawl, 0)[:1_000_000]
    again = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=120)
    assert again.returncode == 0, again.stderr
    assert (tmp_path / "0.warc.wet.gz").read_bytes() == body(crawl, 0)
    assert crawl.headers_of(path)[-1]["range"] == "bytes=1000000-"
    assert not partial.exists()
