"""From a step of a training back to its documents."""

import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from ctllm.model.ledger import read_ledger
from ctllm.model.plan import make_plan
from ctllm.model.pretrain import pretrain
from ctllm.model.step_explanation import explain_step
from ctllm.pipelines.options import RunnerOptions
from ctllm.pipelines.tokenize import tokenize
from ctllm.schemas.document import CURATED
from ctllm.schemas.errors import AccountingError, ConfigError, InputError
from ctllm.schemas.files import write_parquet
from ctllm.schemas.manifest import finish_stage
from ctllm.schemas.training_config import PlanConfig, PretrainConfig

SHAPE = {"vocab_size": 1216, "d_model": 16, "num_layers": 1, "num_heads": 2, "d_ffn": 32, "context_length": 32}
STEPS, SEQUENCES = 4, 3
TEXTS = {
    "zh": [f"山下有一条河，第{row}位老人住在河边。" * (1 + row % 4) for row in range(20)],
    "en": [f"Old man number {row} lives by the river." * (1 + row % 3) for row in range(12)],
}


def url_of(lane: str, row: int) -> str | None:
    """Every second document has one."""
    return None if row % 2 else f"https://example.com/{lane}/{row}"


@pytest.fixture(scope="module")
def workspace(tokenizer_directory: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Curated text, its tokens, a plan and a short training on it."""
    root = tmp_path_factory.mktemp("workspace")
    for number, (lane, texts) in enumerate(TEXTS.items()):
        rows = len(texts)
        columns = {name: [1] * rows for name in ("snapshot", "num_chars", "token_estimate", "cluster_size")}
        columns |= {
            "key": [(number << 28) + row for row in range(rows)],
            "id": [f"{lane}-{row}" for row in range(rows)],
            "url": [url_of(lane, row) for row in range(rows)],
            "source": [f"{lane}_pages"] * rows,
            "license": [None] * rows,
            **{name: [lane] * rows for name in ("lane", "lang", "script")},
            "text": texts,
            "edits": [[]] * rows,
        }
        write_parquet(f"{root}/run/curated/{lane}/part-00000.parquet", pa.table(columns, schema=CURATED))
    finish_stage(f"{root}/run/curated", stage="publish", fingerprint="f", counts={}, seconds=0)
    options = RunnerOptions(workers=1)
    tokenize(str(root / "run"), tokenizer=tokenizer_directory, out=str(root / "tokens"), options=options)
    make_plan(str(root / "tokens"), config=PlanConfig(context_length=32), out=str(root / "plan"))
    pretrain(config(root, "trained"))
    return root


def config(root: Path, out: str, plan: str = "plan") -> PretrainConfig:
    """Four steps of three sequences."""
    loop = {"steps": STEPS, "sequences_per_step": SEQUENCES, "device": "cpu"}
    values = {"tokens": str(root / "tokens"), "plan": str(root / plan), "out": str(root / out)}
    return PretrainConfig.model_validate({**values, "model": SHAPE, "loop": loop})


@pytest.mark.parametrize("step", range(STEPS))
def test_a_step_names_its_documents(workspace: Path, step: int) -> None:
    """Ids, URLs, sources and beginnings are those of the curated texts; labels and digest are those of the ledger."""
    found = explain_step(str(workspace / "trained"), step)
    line = read_ledger(str(workspace / "trained"))[step]
    assert (found.batch, found.is_as_recorded, found.label_tokens) == (line.batch, True, line.label_tokens)
    assert (found.loss, found.learning_rate) == (line.loss, line.learning_rate)
    assert {each.sequence for each in found.documents} == set(range(SEQUENCES))
    for each in found.documents:
        lane, row = each.id.split("-")
        text = TEXTS[lane][int(row)]
        assert (each.lane, each.source, each.url) == (lane, f"{lane}_pages", url_of(lane, int(row)))
        assert each.excerpt
        assert each.excerpt in text
        assert text.startswith(each.excerpt) == (each.first_token == 0) or text.count(each.excerpt) > 1
    per_sequence = np.bincount([each.sequence for each in found.documents], [each.tokens for each in found.documents])
    assert per_sequence.max() <= 32


def test_other_steps_and_directories_are_refused(workspace: Path, tmp_path: Path) -> None:
    """A step that the run does not have and a directory without a training are named."""
    with pytest.raises(ConfigError, match=r"step 4: .*trained has steps 0 to 3"):
        explain_step(str(workspace / "trained"), 4)
    with pytest.raises(ConfigError, match=r"step -1: "):
        explain_step(str(workspace / "trained"), -1)
    with pytest.raises(InputError, match="no pretraining run here"):
        explain_step(str(tmp_path), 0)


def test_what_was_moved_can_be_named_and_must_be_the_same(workspace: Path, tmp_path: Path) -> None:
    """Moved shards and plan are found by option; another plan over the same shards is refused, before and after."""
    run = str(tmp_path / "trained")
    shutil.copytree(workspace / "trained", run)
    Path(run, "data.json").unlink()
    with pytest.raises(InputError, match=r"has no data\.json; pass --tokens"):
        explain_step(run, 0)
    shutil.copytree(workspace / "tokens", tmp_path / "moved")
    moved = explain_step(run, 0, tokens=str(tmp_path / "moved"), plan=str(workspace / "plan"))
    assert moved == explain_step(str(workspace / "trained"), 0)
    with pytest.raises(InputError, match=r"gone: no longer there; pass --plan"):
        explain_step(run, 0, tokens=str(tmp_path / "moved"), plan=str(tmp_path / "gone"))
    make_plan(str(workspace / "tokens"), config=PlanConfig(context_length=32, seed=1), out=str(workspace / "other"))
    with pytest.raises(AccountingError, match=r"other: plan \w+, the run was trained on \w+; pass its --plan"):
        explain_step(str(workspace / "trained"), 0, plan=str(workspace / "other"))
    with pytest.raises(ConfigError, match="plan was"):
        pretrain(config(workspace, "trained", plan="other"), resume=True)
    assert explain_step(str(workspace / "trained"), 0) == moved, "a refused resume leaves the note of the run alone"
