"""The evaluation of a checkpoint: one file with everything in it, equal when made again."""

from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from ctllm.model.checkpoint import load_model
from ctllm.model.evaluation.bits_per_byte import bits_per_byte, held_out_documents
from ctllm.model.evaluation.suite import evaluate_checkpoint
from ctllm.model.evaluation.tables import ITEMS, SCORES
from ctllm.model.plan import Plan, make_plan
from ctllm.model.token_shards import TokenShards
from ctllm.model.tokenizer import Tokenizer
from ctllm.schemas.config import read_config
from ctllm.schemas.errors import ConfigError, InputError
from ctllm.schemas.evaluation_config import EvaluateConfig
from ctllm.schemas.files import file_digest, read_json, write_json
from ctllm.schemas.training_config import PlanConfig
from ctllm.schemas.tuning_run import EvaluationResult

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def overrides(
    checkpoint: str, write_shards: Callable[..., TokenShards], write_pairs: Callable[..., str], tmp_path: Path
) -> list[str]:
    """The command line's part of the demo's evaluation: shards of the checkpoint's tokenizer, a plan, pairs."""
    shards = write_shards([(lane, range(10, 10 + n)) for lane in ("zh", "en") for n in range(4, 30)])
    manifest = shards.manifest.model_copy(update={"tokenizer_digest": Tokenizer(checkpoint).digest})
    write_json(f"{shards.directory}/manifest.json", manifest.model_dump(mode="json"))
    Path(shards.tokenizer).write_bytes(Tokenizer(checkpoint).model)
    make_plan(shards.directory, config=PlanConfig(context_length=32, held_out_share=0.2), out=str(tmp_path / "plan"))
    pairs = write_pairs([([{"role": "user", "content": str(n)}], f"好{n}", f"坏{n}") for n in range(10)])
    return [f"tokens={shards.directory}", f"plan={tmp_path / 'plan'}", f"preferences={pairs}"]


def test_everything_is_measured(checkpoint: str, overrides: list[str], tmp_path: Path) -> None:
    """The demo's config measures lanes, both benchmarks and preferences; evaluation.json holds what is returned."""
    config = read_config(ROOT / "configs" / "evaluate" / "demo.yaml", EvaluateConfig, overrides=overrides)
    result = evaluate_checkpoint(checkpoint, config=config, out=str(tmp_path / "out"))
    assert EvaluationResult.model_validate(read_json(str(tmp_path / "out" / "evaluation.json"))) == result
    shards = TokenShards(str(config.tokens))
    lanes = bits_per_byte(load_model(checkpoint)[0], held_out_documents(Plan(str(config.plan), shards=shards), shards))
    assert {lane: each["bits_per_byte"] for lane, each in result.bits_per_byte.items()} == {
        lane: each.value for lane, each in lanes.items()
    }
    assert {name: (task.items, task.form) for name, task in result.choice.items()} == {
        "mini_zh": (24, "cloze"),
        "mini_en": (12, "cloze"),
    }
    items, scores = (pq.read_table(tmp_path / "out" / name).to_pylist() for name in (ITEMS, SCORES))
    assert {name: sum(row["task"] == name for row in items) for name in result.choice} == {"mini_zh": 24, "mini_en": 12}
    for row in scores:
        right = [each["is_right"] for each in items if each["task"] == row["task"]]
        assert (row["items"], row["accuracy"]) == (len(right), sum(right) / len(right))
    assert result.preferences is not None
    assert result.preferences.pairs == 2
    assert [row[0].split(",")[0] for row in result.rows()][:2] == ["bits per byte", "bits per byte"]
    again = evaluate_checkpoint(checkpoint, config=config, out=str(tmp_path / "again"))
    assert again.model_copy(update={"seconds": result.seconds}) == result


def test_foreign_tokens_are_refused(checkpoint: str, overrides: list[str], tmp_path: Path) -> None:
    """Bits per byte on shards of another tokenizer would be nonsense: an error that names the shards."""
    directory = overrides[0].removeprefix("tokens=")
    shards = TokenShards(directory)
    Path(shards.tokenizer).write_bytes(b"other")
    manifest = shards.manifest.model_copy(update={"tokenizer_digest": file_digest(shards.tokenizer)})
    write_json(f"{directory}/manifest.json", manifest.model_dump(mode="json"))
    config = EvaluateConfig(tokens=directory, plan=str(tmp_path / "plan"))
    with pytest.raises(InputError, match="another tokenizer"):
        evaluate_checkpoint(checkpoint, config=config, out=str(tmp_path / "out"))


def test_nothing_to_measure_is_refused(tmp_path: Path) -> None:
    """A config that measures nothing, or has shards without a plan, is refused before any work."""
    for text, message in (("{}", "nothing to measure"), ("tokens: here", "tokens and plan go together")):
        (tmp_path / "evaluate.yaml").write_text(text)
        with pytest.raises(ConfigError, match=message):
            read_config(tmp_path / "evaluate.yaml", EvaluateConfig)
