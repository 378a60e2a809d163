"""Commands that measure models: what they refuse before a model is loaded, and what they print."""

import json
import socket
from pathlib import Path

import pytest
from click.testing import Result
from typer.testing import CliRunner

from ctllm.cli.console import console
from ctllm.cli.main import app
from ctllm.schemas.errors import InputError, StageError

SUBJECT = {"items": 8, "accuracy": 0.5, "standard_error": 0.2, "items_contaminated": 0}
CMMLU = {
    "form": "cloze",
    "style": "lm_eval",
    "language": "zh",
    "normalisation": "bytes",
    "num_shots": 0,
    "prompt_digest": "aa",
    "items": 8,
    "accuracy_micro": 0.5,
    "accuracy_macro": 0.5,
    "accuracy_of_sums": 0.25,
    "standard_error": 0.2,
    "items_contaminated": 0,
    "accuracy_clean": 0.5,
    "chance": 0.25,
    "constant_letter": "B",
    "constant_letter_accuracy": 0.375,
    "answers_by_letter": {"A": 8},
    "compared_tokens": {},
    "compared_texts": {},
    "items_truncated": 0,
    "items_unreadable": 0,
    "subjects": {"law": SUBJECT},
}


@pytest.fixture(autouse=True)
def wide_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """The console keeps the width that COLUMNS had when it was made, which pytest-xdist sets."""
    monkeypatch.setattr(console, "_width", 200)


def ctllm(*arguments: str | Path) -> Result:
    """The command in this process."""
    return CliRunner().invoke(app, [str(each) for each in arguments])


def measured(directory: Path, *, accuracy: float, prompt: str = "aa") -> Path:
    """A directory with an evaluation.json of one benchmark and one lane."""
    result = {
        "checkpoint": str(directory),
        "step": 1,
        "num_parameters": 3,
        "weights_digest": "w",
        "tokenizer_digest": "t",
        "config": {},
        "plan_digest": None,
        "bits_per_byte": {"zh": {"bits_per_byte": 2.5, "num_bytes": 10.0}},
        "choice": {"cmmlu": {**CMMLU, "accuracy_micro": accuracy, "prompt_digest": prompt}},
        "preferences": None,
        "seconds": 1.0,
    }
    directory.mkdir()
    (directory / "evaluation.json").write_text(json.dumps(result))
    return directory


def test_checkpoints_stand_side_by_side(tmp_path: Path) -> None:
    """Before and after in a table and a picture, published scores beside or not, and what cannot be compared said."""
    sft, dpo = measured(tmp_path / "sft", accuracy=0.4), measured(tmp_path / "dpo", accuracy=0.625, prompt="bb")
    result = ctllm("compare", sft, dpo, "--out", tmp_path / "picture.html")
    assert result.exit_code == 0, result.output
    (header,) = (line.split("┃")[1:-1] for line in result.output.splitlines() if "measure" in line)
    (row,) = (line.split("│")[1:-1] for line in result.output.splitlines() if "cmmlu" in line and "│" in line)
    cells = dict(zip(map(str.strip, header), map(str.strip, row), strict=True))
    assert (cells["sft"], cells["dpo"], cells["CT-LLM-2B SFT*"]) == ("0.400 ± 0.200", "0.625 ± 0.200", "0.415")
    assert "* CT-LLM-2B SFT, published: Steel-LLM paper" in result.output
    assert "cmmlu: other prompts or items; these scores cannot be compared" in result.output
    assert str(tmp_path / "picture.html") in result.output.replace("\n", "")
    assert (tmp_path / "picture.html").read_text().startswith("<!doctype html>")
    alone = ctllm("compare", sft, "--no-published")
    assert alone.exit_code == 0
    assert "CT-LLM" not in alone.output
    assert "cannot be compared" not in alone.output


def test_what_was_not_measured_is_named(tmp_path: Path) -> None:
    """A directory without an evaluation ends with the command that makes one."""
    error = ctllm("compare", tmp_path).exception
    assert isinstance(error, InputError)
    assert str(error) == f"{tmp_path}: no evaluation.json here; run `ctllm evaluate` with --out {tmp_path} first"


def test_missing_benchmarks_are_named_with_their_recipe(tmp_path: Path) -> None:
    """Before a checkpoint is looked for: each benchmark, what was looked for where, and what brings it."""
    for more in ([], ["--skip-missing"]):  # of nothing at all nothing can be skipped
        error = ctllm("evaluate", "nowhere", "--out", tmp_path, "--suite", "code", "--data", tmp_path, *more).exception
        assert isinstance(error, InputError)
        said, way_out = str(error).splitlines()
        assert said.startswith("humaneval: ")
        assert str(tmp_path) in said
        assert "ctllm fetch" in said or "https://" in said
        assert way_out == "fetch what is missing, or pass --skip-missing to measure the rest"


def test_an_unknown_suite_is_refused(tmp_path: Path) -> None:
    """The names that there are stand in the refusal."""
    result = ctllm("evaluate", "nowhere", "--out", tmp_path, "--suite", "jp")
    assert result.exit_code == 2
    assert all(name in result.output for name in ("zh", "en", "code", "full"))


@pytest.fixture
def closed_port() -> int:
    """A port of this machine on which nobody listens."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def test_a_server_that_is_gone_ends_a_judges_run(tmp_path: Path, closed_port: int) -> None:
    """The address stands in the error, and what to do: the same command goes on."""
    (tmp_path / "questions.jsonl").write_text('{"question": "几？"}\n')
    address = f"http://127.0.0.1:{closed_port}/v1"
    settings = {
        "questions": f"[{tmp_path / 'questions.jsonl'}]",
        "out": str(tmp_path / "judged"),
        "answers": f"{{base_url: '{address}', model: m, max_tries: 1, retry_wait_s: 0}}",
        "judge": f"{{base_url: '{address}', model: j}}",
    }
    overrides = [part for key, value in settings.items() for part in ("--set", f"{key}={value}")]
    error = ctllm("judge", "configs/judge/chc_bench.yaml", *overrides).exception
    assert isinstance(error, StageError)
    assert address in str(error)
    assert "same command" in str(error)


def test_a_judge_needs_questions(tmp_path: Path) -> None:
    """Files that are not there are named before anybody is asked."""
    overrides = ["--set", f"questions=[{tmp_path}/none*.jsonl]", "--set", f"out={tmp_path / 'judged'}"]
    error = ctllm("judge", "configs/judge/chc_bench.yaml", *overrides).exception
    assert isinstance(error, InputError)
    assert f"{tmp_path}/none*.jsonl" in str(error)
    assert not (tmp_path / "judged").exists()
