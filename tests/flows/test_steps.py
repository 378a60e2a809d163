"""The whole way as a list of commands."""

from pathlib import Path

from ctllm.flows.steps import Workspace, steps
from ctllm.schemas.end_to_end_config import EndToEndConfig

CONFIG = EndToEndConfig(
    inputs=("raw/a.warc.gz", "raw/b.jsonl"),
    conversations=("sft.jsonl",),
    preferences=("dpo.jsonl",),
    curation="c.yaml",
    tokenizer="t.yaml",
    plan="p.yaml",
    pretrain="pre.yaml",
    sft="s.yaml",
    dpo="d.yaml",
    evaluate="e.yaml",
    prompts=("春天", "The"),
    workers=2,
    max_training_seconds=600,
)

EXPECTED = """
curate: curate c.yaml --input raw/a.warc.gz --input raw/b.jsonl --out w/curated --workers 2
tokenizer: tokenizer train w/curated --config t.yaml --out w/tokenizer
tokenize: tokenize w/curated --tokenizer w/tokenizer/tokenizer.model --out w/tokens --workers 2
plan: plan w/tokens --config p.yaml --out w/plan
conversations: conversations --input sft.jsonl --kind conversations --out w/conversations --workers 2
preferences: conversations --input dpo.jsonl --kind preferences --out w/preferences --workers 2
pretrain: pretrain pre.yaml --set tokens=w/tokens --set plan=w/plan --set out=w/pretrain --max-seconds 600
sft: sft s.yaml --set checkpoint=w/pretrain --set conversations=w/conversations --set out=w/sft --max-seconds 600
dpo: dpo d.yaml --set checkpoint=w/sft --set preferences=w/preferences --set out=w/dpo --max-seconds 600
evaluate pretrain: evaluate w/pretrain --config e.yaml --out w/pretrain @
evaluate sft: evaluate w/sft --config e.yaml --out w/sft @
evaluate dpo: evaluate w/dpo --config e.yaml --out w/dpo @
export: export w/dpo --out w/export
generate: generate w/pretrain --prompt 春天 --prompt The --out w/samples.json
report: report w/curated --training w/pretrain --training w/sft --training w/dpo
""".replace("@", "--set tokens=w/tokens --set plan=w/plan --set preferences=w/preferences")


def test_the_whole_way_is_these_commands() -> None:
    """The whole way is this list of command lines, in this order: what a user would type by hand."""
    lines = [f"{step.name}: {' '.join(step.arguments)}" for step in steps(CONFIG, Workspace(Path("w")))]
    assert lines == EXPECTED.strip().splitlines()


def test_nothing_is_written_outside_the_workspace() -> None:
    """Every step writes below the workspace."""
    assert all(step.out.startswith("w/") for step in steps(CONFIG, Workspace(Path("w"))))


def test_training_at_its_time_limit_is_left(tmp_path: Path) -> None:
    """With a time limit, a re-run does not train further what the next stages were built on; without, it continues."""
    (tmp_path / "pretrain").mkdir()
    (tmp_path / "pretrain" / "summary.json").touch()
    names = [step.name for step in steps(CONFIG, Workspace(tmp_path))]
    assert "pretrain" not in names
    assert {"sft", "dpo", "evaluate pretrain"} <= set(names)
    unlimited = CONFIG.model_copy(update={"max_training_seconds": None})
    assert "pretrain" in [step.name for step in steps(unlimited, Workspace(tmp_path))]


def test_without_limits_no_options() -> None:
    """Without workers and time limit in the config, the commands decide."""
    config = CONFIG.model_copy(update={"workers": None, "max_training_seconds": None})
    arguments = {argument for step in steps(config, Workspace(Path("w"))) for argument in step.arguments}
    assert not arguments & {"--workers", "--max-seconds"}
