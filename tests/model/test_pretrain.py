"""Pretraining on a real plan, killed without warning."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from ctllm.model.batches import PlanBatches
from ctllm.model.ledger import read_ledger
from ctllm.model.losses import IGNORED
from ctllm.model.plan import Plan, make_plan
from ctllm.model.pretrain import pretrain
from ctllm.model.token_shards import TokenShards
from ctllm.schemas.errors import ConfigError
from ctllm.schemas.files import file_digest
from ctllm.schemas.training_config import LoopConfig, ModelConfig, OptimizerConfig, PlanConfig, PretrainConfig

WriteShards = Callable[..., TokenShards]

KILLED_AND_NOT = """
import json, os, random, signal, sys, time
import torch, torch._dynamo  # what AdamW imports at its first step, here once for all lives
from ctllm.model.checkpoint import load_model, weights_digest
from ctllm.model.ledger import read_ledger
from ctllm.model.pretrain import pretrain
from ctllm.schemas.training_config import PretrainConfig

def steps_done(config):
    path = os.path.join(config.out, "ledger.jsonl")
    return open(path, "rb").read().count(b"\\n") if os.path.exists(path) else 0

def life(config, kill_after):
    child = os.fork()
    if child == 0:
        torch.set_num_threads(1)
        pretrain(config, resume=True)
        os._exit(0)
    while kill_after is not None and steps_done(config) < kill_after:
        time.sleep(0.002)
    if kill_after is not None:
        time.sleep(random.random() * 0.02)
        os.kill(child, signal.SIGKILL)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])

def outcome(config, kills):
    codes = [life(config, kill) for kill in kills]
    lines = [(line.step, line.batch, line.loss, line.grad_norm) for line in read_ledger(config.out)]
    return codes, weights_digest(load_model(config.out)[0]), lines

config = PretrainConfig.model_validate_json(sys.argv[1])
random.seed(int(sys.argv[2]))
killed = outcome(config, [5, 14, 25, None])
whole = outcome(config.model_copy(update={"out": config.out + "-whole"}), [None])
print(json.dumps([killed, whole]))
"""


@pytest.fixture
def config(tiny: ModelConfig, write_shards: WriteShards, tmp_path: Path) -> PretrainConfig:
    """Forty steps of two sequences over a plan of two lanes."""
    documents = [
        (lane, [(3 * place) % 60 + 2 for place in range(length)]) for lane in ("zh", "en") for length in range(2, 60)
    ]
    shards = write_shards(documents)
    make_plan(shards.directory, config=PlanConfig(context_length=32, held_out_share=0.1), out=str(tmp_path / "plan"))
    return PretrainConfig(
        tokens=shards.directory,
        plan=str(tmp_path / "plan"),
        out=str(tmp_path / "run"),
        model=tiny,
        loop=LoopConfig(steps=40, sequences_per_step=2, checkpoint_every_steps=2, device="cpu"),
        optimizer=OptimizerConfig(learning_rate=3e-3),
        sample_prompts=(),
    )


def test_bits_per_byte_fall_on_every_lane(config: PretrainConfig) -> None:
    """Forty steps lower the held-out bits per byte of each lane, measured before and after."""
    summary = pretrain(config)
    assert summary.finished
    assert set(summary.evaluation) == {"bits_per_byte_zh", "bits_per_byte_en"}
    assert all(value < summary.evaluation_before[name] for name, value in summary.evaluation.items())
    assert summary.last_loss < summary.first_loss
    assert json.loads((Path(config.out) / "summary.json").read_text()) == summary.model_dump()


def test_three_kills_change_nothing(config: PretrainConfig) -> None:
    """After three SIGKILLs, in a step or a save, weights are as if uninterrupted and each step is logged once."""
    command = [sys.executable, "-c", KILLED_AND_NOT, config.model_dump_json(), "0"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=600)
    assert done.returncode == 0, done.stderr
    (killed_codes, *killed), (whole_codes, *whole) = json.loads(done.stdout.splitlines()[-1])
    assert (killed_codes, whole_codes) == ([-9, -9, -9, 0], [0])
    assert [line[0] for line in killed[1]] == list(range(40))
    assert killed == whole


def test_unmasked_documents_train_differently(config: PretrainConfig) -> None:
    """As CT-LLM trained, documents see those packed before them: same batches, another loss."""
    pretrain(config, max_seconds=0)
    unmasked = config.model_copy(update={"document_masks": False, "out": f"{config.out}-unmasked"})
    pretrain(unmasked, max_seconds=0)
    masked_line, unmasked_line = read_ledger(config.out)[0], read_ledger(unmasked.out)[0]
    assert masked_line.batch == unmasked_line.batch
    assert masked_line.loss != unmasked_line.loss


def test_no_loss_after_a_document(config: PretrainConfig) -> None:
    """As Megatron's --eod-mask-loss: the first token of each document has no label, all others keep theirs."""
    pretrain(config, max_seconds=0)
    masked = config.model_copy(update={"loss_after_document": False, "out": f"{config.out}-masked"})
    pretrain(masked, max_seconds=0)
    shards = TokenShards(config.tokens)
    batch = PlanBatches(Plan(config.plan, shards=shards), shards, sequences_per_step=2).batch(0)
    num_starts = int(((batch.tokens_BT == shards.end_of_document_id) & (batch.labels_BT != IGNORED)).sum())
    assert num_starts > 0
    assert read_ledger(config.out)[0].label_tokens - read_ledger(masked.out)[0].label_tokens == num_starts


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"vocab_size": 1 << 40}, r"model tiny: a step needs .* GiB \(states .*the device has"),
        ({"vocab_size": 63}, r"model\.vocab_size 63 is below the tokenizer's 64"),
        ({"context_length": 31}, r"model\.context_length 31 is below the plan's 32"),
    ],
)
def test_too_small_a_model_is_refused(config: PretrainConfig, change: dict[str, int], message: str) -> None:
    """A vocabulary, a context or a memory that does not fit stops the run before it starts."""
    small = config.model_copy(update={"model": config.model.model_copy(update=change)})
    with pytest.raises(ConfigError, match=message):
        pretrain(small)
    assert not Path(config.out).exists()


def test_a_run_starts_where_a_checkpoint_ended(config: PretrainConfig) -> None:
    """Bits per byte before the first step are those that the other run ended with; a longer context is allowed."""
    first = pretrain(config)
    update = {"checkpoint": config.out, "out": f"{config.out}-2"}
    again = pretrain(config.model_copy(update=update), max_seconds=0)
    assert again.evaluation_before == pytest.approx(first.evaluation, rel=1e-5)
    longer = config.model.model_copy(update={"context_length": 40, "name": "longer", "num_kv_heads": 2})
    pretrain(config.model_copy(update={**update, "out": f"{config.out}-3", "model": longer}), max_seconds=0)
    with pytest.raises(ConfigError, match=r"--resume with another run's settings: weights was \w+, is None"):
        pretrain(config.model_copy(update={**update, "checkpoint": None}), resume=True)


def test_a_checkpoint_must_be_of_this_model_and_tokenizer(config: PretrainConfig) -> None:
    """Another shape and another tokenizer are refused, and what differs is named."""
    pretrain(config, max_seconds=0)
    update = {"checkpoint": config.out, "out": f"{config.out}-2"}
    wider = config.model.model_copy(update={"d_ffn": 64, "qk_norm": True})
    with pytest.raises(ConfigError, match=r"another model than the config's: d_ffn is 48, not 64, qk_norm is"):
        pretrain(config.model_copy(update={**update, "model": wider}))
    (saved,) = (Path(config.out) / "checkpoints").iterdir()
    (saved / "tokenizer.model").write_bytes(b"another")
    manifest = json.loads((saved / "manifest.json").read_text())
    manifest["tokenizer.model"] = file_digest(str(saved / "tokenizer.model"))
    (saved / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(ConfigError, match=r"its tokenizer is not that of .*; run `ctllm tokenize` with it"):
        pretrain(config.model_copy(update=update))
    assert not Path(f"{config.out}-2").exists()
