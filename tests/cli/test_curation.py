"""Commands on a finished curation: why, stats, decide, report."""

import json
import shutil
from pathlib import Path

import pytest
from rich.cells import cell_len

from ctllm.cli.curation import further_inputs, parse_prices, runner_options
from ctllm.schemas.errors import ConfigError

from .conftest import ROOT, Miniature, run_ctllm

EXPECTED = ROOT / "examples" / "corpus" / "expected.jsonl"


def test_stats_shows_two_runs_side_by_side(miniature: Miniature) -> None:
    """One run is a funnel; two runs are the same funnel with a column each."""
    run = miniature.workspace / "curated"
    assert "max_gambling_share" in run_ctllm("stats", run).stdout
    both = run_ctllm("stats", run, run).stdout
    line = next(line for line in both.splitlines() if "exact_duplicate" in line and " zh " in line)
    assert line.split("│")[-4].strip() == line.split("│")[-3].strip() != "0"
    values = json.loads(run_ctllm("stats", run, "--json").stdout)
    assert sum(row["documents"][0] for row in values["funnel"]) == len(EXPECTED.read_text().splitlines())


def test_stats_refuses_what_is_no_run(tmp_path: Path) -> None:
    """A directory that no curation wrote is named."""
    result = run_ctllm("stats", tmp_path)
    assert result.returncode == 3
    assert "not a run directory" in result.stderr


def test_why_explains_a_removed_document(miniature: Miniature) -> None:
    """A gambling page is shown with its reasons, its rules and the signals behind them."""
    expected = (json.loads(line) for line in EXPECTED.read_text(encoding="utf-8").splitlines())
    spam = next(each for each in expected if each["reasons"] == ["max_gambling_share"])
    result = run_ctllm("why", miniature.workspace / "curated", spam["id"])
    assert result.returncode == 0, result.stderr
    assert result.stdout.startswith("removed")
    for part in ("✗ max_gambling_share", "cost: refuses", "rules of lane zh", "words\n", "stop_word_share"):
        assert part in result.stdout
    values = json.loads(run_ctllm("why", miniature.workspace / "curated", spam["id"], "--json").stdout)
    assert (values["document"]["id"], values["kept"]) == (spam["id"], False)


def test_pairs_are_shown_side_by_side(miniature: Miniature) -> None:
    """Pairs come with both ids and what differs in brackets; bounds that no pair meets say so; JSON has the same."""
    run = miniature.workspace / "curated"
    shown = run_ctllm("pairs", run, "--max-jaccard", "0.999", "--limit", "2").stdout
    for part in ("near, Jaccard 0.", "A: ", "removed as a copy", "differences", "["):
        assert part in shown
    values = json.loads(run_ctllm("pairs", run, "--max-jaccard", "0.999", "--limit", "2", "--json").stdout)
    assert [f"Jaccard {pair['jaccard']:.3f}" in shown for pair in values["pairs"]] == [True, True]
    assert run_ctllm("pairs", run, "--max-jaccard", "0").stdout == "no pairs within these bounds\n"


def test_explanations_fit_80_columns(miniature: Miniature) -> None:
    """`why`, `stats A B` and a dry run keep their tables within a terminal of 80 columns."""
    run = miniature.workspace / "curated"
    expected = (json.loads(line) for line in EXPECTED.read_text(encoding="utf-8").splitlines())
    spam = next(each for each in expected if each["reasons"] == ["max_gambling_share"])
    for command in (["why", run, spam["id"]], ["pairs", run], ["stats", run, run], ["decide", run, "--dry-run"]):
        lines = run_ctllm(*command, columns=80).stdout.splitlines()
        assert len(lines) > 20
        assert max(map(cell_len, lines)) <= 80


def test_decide_dry_run_and_for_good(miniature: Miniature, tmp_path: Path) -> None:
    """A dry run shows now and then; without it the run is decided, published and reported anew."""
    run = tmp_path / "run"
    shutil.copytree(miniature.workspace / "curated", run)
    change = ["--set", "rules.zh.min_num_chars=1000000"]
    shown = run_ctllm("decide", run, *change, "--dry-run")
    for part in ("what would be kept", "min_num_chars", "newly removed, nearest to the bound"):
        assert part in shown.stdout
    values = json.loads(run_ctllm("decide", run, *change, "--dry-run", "--json").stdout)
    assert {group["then"]["kept_documents"] for group in values["groups"] if group["lane"] == "zh"} == {0}
    done = run_ctllm("decide", run, *change)
    assert done.returncode == 0, done.stderr
    line = next(line for line in done.stdout.splitlines() if line.startswith("│ zh"))
    assert line.split("│")[3].strip() == "0"
    assert not list(run.glob("curated/zh/*.parquet"))


def test_decide_refuses_what_is_no_setting(miniature: Miniature) -> None:
    """An override without a value is refused before anything is read."""
    result = run_ctllm("decide", miniature.workspace / "curated", "--set", "rules.zh.min_num_chars")
    assert result.returncode == 2
    assert "write it as key.subkey=value" in result.stderr


def test_map_names_the_columns_of_a_source(tmp_path: Path) -> None:
    """`--map` tells where text and URL stand, in JSON Lines and JSON alike; a column may be called 1."""
    text = next((ROOT / "examples" / "corpus" / "base" / "zh").glob("*.txt")).read_text(encoding="utf-8")
    (tmp_path / "a.jsonl").write_text(json.dumps({"1": text, "meta": {"link": "https://a.example/1"}}) + "\n")
    (tmp_path / "b.json").write_text(json.dumps([{"1": "太短", "meta": {"link": "https://a.example/2"}}]))
    run = tmp_path / "run"
    arguments = ["--input", tmp_path / "*.json*", "--out", run, "--map", "text=1, url=meta.link"]
    result = run_ctllm("curate", "configs/curation/recommended.yaml", *arguments)
    assert "read 2 = kept 1 + removed 1 + failed 0" in result.stdout, result.stderr
    assert run_ctllm("why", run, "https://a.example/1").stdout.startswith("kept")


def test_what_a_shell_makes_of_a_glob_is_read(tmp_path: Path) -> None:
    """`--input *.jsonl` without quotes comes as one option and some arguments: every file is read, none is lost."""
    for name in ("a", "b", "c"):
        (tmp_path / f"{name}.jsonl").write_text(json.dumps({"text": f"{name} 春天来了，河边的柳树绿了。" * 5}) + "\n")
    files = sorted(tmp_path.glob("*.jsonl"))
    done = run_ctllm("curate", ROOT / "configs/curation/demo.yaml", "--out", tmp_path / "run", "--input", *files)
    assert "read 3 =" in done.stdout, done.stderr


def test_beams_options_come_after_the_inputs() -> None:
    """Their values may stand apart; where a command takes no inputs, a stray argument is refused."""
    assert further_inputs(["a.gz", "b.gz", "--project", "p", "@options.txt"]) == (
        ["a.gz", "b.gz"],
        ["--project", "p", "@options.txt"],
    )
    assert further_inputs(None) == ([], [])
    with pytest.raises(ConfigError, match="stray: no option of this command"):
        runner_options("direct", None, ["stray"])


def test_a_dry_run_forecasts_amounts_and_what_they_cost(tmp_path: Path) -> None:
    """A table of totals with intervals, priced, and no run directory; without --dry-run a directory is asked for."""
    text = (ROOT / "examples/corpus/base/zh").glob("*.txt")
    lines = [json.dumps({"text": path.read_text(encoding="utf-8")}, ensure_ascii=False) for path in text]
    (tmp_path / "in.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    arguments = ("curate", ROOT / "configs/curation/demo.yaml", "--input", tmp_path / "in.jsonl")
    shown = run_ctllm(*arguments, "--dry-run", "--sample", "1", "--prices", "core_hour=0.05")
    assert shown.returncode == 0, shown.stderr
    row = next(line for line in shown.stdout.splitlines() if " documents " in line)
    assert [int(cell) for cell in row.split("│")[2:5]] == [len(lines)] * 3
    assert "cost of CPU seconds" in shown.stdout
    assert list(tmp_path.iterdir()) == [tmp_path / "in.jsonl"]
    refused = run_ctllm(*arguments)
    assert (refused.returncode, "--out: is needed" in refused.stderr) == (2, True)


def test_prices_are_of_known_units() -> None:
    """Units and numbers; anything else is refused by name."""
    assert parse_prices("core_hour=0.05,disk_gb=1e-2") == {"core_hour": 0.05, "disk_gb": 0.01}
    assert parse_prices(None) == {}
    with pytest.raises(ConfigError, match="no unit 'hour'; units are core_hour, disk_gb, shuffle_gb"):
        parse_prices("hour=1")
    with pytest.raises(ConfigError, match="'cheap' is no number"):
        parse_prices("core_hour=cheap")
