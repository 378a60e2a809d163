"""DPO: the reference and its check, the ledger's figures, that it learns, and that a resume changes no bit."""

import math
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest
import torch

from ctllm.model.checkpoint import find_checkpoint, load_model, weights_digest
from ctllm.model.dpo import Objective, both_fall, dpo
from ctllm.model.estimate import available_memory, check_memory, estimate_memory
from ctllm.model.ledger import read_ledger
from ctllm.model.preference_pairs import Pair, tokenize_pairs
from ctllm.model.reference import REFERENCE
from ctllm.model.tokenizer import Tokenizer
from ctllm.schemas.errors import AccountingError, ConfigError
from ctllm.schemas.files import list_files, read_parquet, write_parquet
from ctllm.schemas.training_config import LoopConfig, OptimizerConfig
from ctllm.schemas.training_run import LedgerLine
from ctllm.schemas.tuning_config import DpoConfig, TuningDataConfig

PAIRS = [
    ([{"role": "user", "content": f"{number}？"}], f"好的，{number}。", f"不知道{number}!!") for number in range(24)
]


@pytest.fixture
def config(checkpoint: str, write_pairs: Callable[..., str], tmp_path: Path) -> DpoConfig:
    """Ten steps over two dozen pairs whose rejected answers are easily told apart."""
    return DpoConfig(
        checkpoint=checkpoint,
        preferences=write_pairs(PAIRS),
        out=str(tmp_path / "dpo"),
        data=TuningDataConfig(held_out_share=0.2),
        beta=0.1,
        loop=LoopConfig(steps=10, sequences_per_step=4, checkpoint_every_steps=4, evaluate_every_steps=5),
        optimizer=OptimizerConfig(learning_rate=1e-3),
    )


@pytest.fixture
def pairs(tokenizer_directory: str) -> list[Pair]:
    """The pairs as tokens."""
    rows = [
        {"id": "p", "source": "s", "lane": "zh", "prompt": prompt, "chosen": good, "rejected": bad}
        for prompt, good, bad in PAIRS
    ]
    return tokenize_pairs(rows, tokenizer=Tokenizer(tokenizer_directory), context_length=128).pairs


def test_it_starts_at_ln_2_and_learns(config: DpoConfig) -> None:
    """The first loss is ln 2 with no margin; afterwards held-out pairs are told apart; the ledger has both levels."""
    summary = dpo(config)
    first, *_, last = read_ledger(config.out)
    assert first.loss == pytest.approx(math.log(2), abs=1e-6)
    assert abs(first.values["margin"]) < 1e-6
    assert summary.evaluation_before["held_out_loss"] == pytest.approx(math.log(2), abs=1e-6)
    assert summary.evaluation_before["held_out_reward_accuracy"] == 0.5
    assert summary.evaluation["held_out_reward_accuracy"] == 1.0
    assert summary.evaluation["held_out_loss"] < 0.6
    assert last.values["margin"] > 0.1
    assert last.values["margin"] == pytest.approx(0.1 * (last.values["chosen_gain"] - last.values["rejected_gain"]))
    assert {"accuracy", "chosen_log_probability", "rejected_log_probability", "chosen_tokens"} < set(last.values)


def test_too_large_a_step_is_refused(config: DpoConfig) -> None:
    """A pair is two sequences: what half the pairs could do is too much."""
    model = load_model(find_checkpoint(config.checkpoint))[1]
    memory = estimate_memory(model, config.loop)
    most = available_memory(torch.device("cpu"))
    fitting = (most - memory.states) * config.loop.sequences_per_step // memory.activations
    loop = config.loop.model_copy(update={"sequences_per_step": fitting * 3 // 4})
    check_memory(model, loop, available=most)
    with pytest.raises(ConfigError, match=r"a step needs \d+\.\d GiB"):
        dpo(config.model_copy(update={"loop": loop, "preferences": "nowhere"}))


def test_a_resume_changes_no_bit(config: DpoConfig, tmp_path: Path) -> None:
    """Stopped after every step and continued from the same reference file, the run ends in the same weights."""
    whole = dpo(config)
    pieces = config.model_copy(update={"out": str(tmp_path / "pieces")})
    summary = dpo(pieces, resume=True, max_seconds=0)
    while not summary.finished:
        summary = dpo(pieces, resume=True, max_seconds=0)
    digests = [weights_digest(load_model(each.checkpoint)[0]) for each in (whole, summary)]
    assert digests[0] == digests[1]
    assert len(list_files(f"{pieces.out}/reference")) == 1


def test_micro_batches_change_nothing(config: DpoConfig, tmp_path: Path) -> None:
    """Four pairs at once or one after the other: the gradients are those of the step."""
    whole = dpo(config)
    loop = config.loop.model_copy(update={"sequences_per_micro_batch": 1})
    pieces = dpo(config.model_copy(update={"out": str(tmp_path / "pieces"), "loop": loop}))
    assert pieces.last_loss == pytest.approx(whole.last_loss, abs=1e-5)


def test_a_foreign_reference_is_noticed(config: DpoConfig) -> None:
    """Log-probabilities that are not the checkpoint's stop the run before its first step and name the file."""
    dpo(config)
    (path,) = list_files(f"{config.out}/reference")
    table = read_parquet(path)
    moved = [value + 5e-4 for value in table["chosen"].to_pylist()]
    write_parquet(path, pa.table([moved, table["rejected"]], schema=REFERENCE.with_metadata(table.schema.metadata)))
    with pytest.raises(AccountingError, match=r"reference: .*instead of 0\.6931472"):
        dpo(config, resume=True)


def test_runs_share_a_reference(config: DpoConfig, tmp_path: Path) -> None:
    """A second run on the same pairs and weights computes nothing anew; where the directory lies decides nothing."""
    shared = config.model_copy(update={"reference": str(tmp_path / "reference")})
    own = dpo(config)
    dpo(shared.model_copy(update={"out": str(tmp_path / "first"), "beta": 0.5}))
    (path,) = list_files(str(shared.reference))
    before = Path(path).stat().st_mtime_ns
    told: list[str] = []
    second = shared.model_copy(update={"out": str(tmp_path / "second")})
    summary = dpo(second, progress=lambda event: told.append(event.stage))
    assert list_files(str(shared.reference)) == [path]
    assert Path(path).stat().st_mtime_ns == before
    digests = [weights_digest(load_model(each.checkpoint)[0]) for each in (own, summary)]
    assert digests[0] == digests[1]
    dpo(second.model_copy(update={"reference": None}), resume=True)


def line(step: int, chosen: float, rejected: float) -> LedgerLine:
    """A line of the ledger with both gains."""
    values = {"chosen_gain": chosen, "rejected_gain": rejected}
    return LedgerLine(
        step=step, batch="", label_tokens=4, loss=0.5, grad_norm=1, learning_rate=1e-6, tokens_per_s=1, values=values
    )


@pytest.mark.parametrize(
    ("chosen", "rejected", "is_alarm"),
    [(-1.0, -9.0, True), (-0.99, -9.0, False), (0.5, -9.0, False), (-9.0, -1.0, True)],
)
def test_both_answers_falling_is_an_alarm(chosen: float, rejected: float, is_alarm: bool) -> None:
    """A margin that grows while even the chosen answer loses a nat is named, one that grows by rising is not."""
    message = both_fall([line(step, chosen, rejected) for step in range(10)])
    assert bool(message) == is_alarm
    assert not is_alarm or f"{chosen:.1f} and {rejected:.1f} nats" in message


def test_the_ledger_and_the_terminal_tell_of_the_fall(config: DpoConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    """The run says once that both fall; the ledger holds it at every step that it lasts, a resumed one too."""
    monkeypatch.setattr("ctllm.model.dpo.FALL_NATS", -5.0)  # a "fall" is a gain of less than 5 nats: from the start on
    told: list[str] = []
    changes = {"loop": config.loop.model_copy(update={"steps": 11})}
    summary = dpo(config.model_copy(update=changes), progress=lambda event: told.append(event.message))
    assert [each.step for each in read_ledger(config.out) if each.alarm] == [9, 10]
    assert summary.alarmed_steps == 2
    assert sum("both lose likelihood" in message for message in told) == 1
    pieces = config.model_copy(update={**changes, "out": f"{config.out}-pieces"})
    while not dpo(pieces, resume=True, max_seconds=0).finished:
        pass
    assert [each.alarm for each in read_ledger(pieces.out)] == [each.alarm for each in read_ledger(config.out)]


def test_gradients_reach_the_policy_only(config: DpoConfig, pairs: list[Pair], checkpoint: str) -> None:
    """The loss has a gradient in every weight, in the direction that raises the chosen answer."""
    model, _ = load_model(checkpoint)
    objective = Objective(config, pairs[:8], [], padding_id=1)
    objective.load_reference(model)
    batch = objective.batch(0)
    output = objective.loss(model, batch)
    output.loss_sum.backward()  # type: ignore[no-untyped-call]
    with torch.no_grad():
        for parameter in model.parameters():
            assert parameter.grad is not None
            parameter.sub_(0.01 * parameter.grad)
    assert objective.loss(model, batch).loss_sum < output.loss_sum
