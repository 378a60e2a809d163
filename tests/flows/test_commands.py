"""The command lines that flows run."""

from collections.abc import Callable

import pytest
import typer

from ctllm.flows import commands
from ctllm.flows.commands import Step

STEPS: list[Callable[[], Step]] = [
    lambda: commands.curate(["a", "b"], config="c.yaml", out="run", overrides=["a.b=c"], workers=2),
    lambda: commands.tokenizer("run", config="c.yaml", out="model"),
    lambda: commands.tokenize("run", tokenizer="m.model", out="tokens"),
    lambda: commands.plan("tokens", config="c.yaml", out="plan"),
    lambda: commands.conversations(["a"], kind="preferences", out="pairs", benchmarks=["b", "c"]),
    lambda: commands.pretrain("c.yaml", tokens="t", plan="p", out="o", max_seconds=600),
    lambda: commands.sft("c.yaml", checkpoint="k", conversations="c", out="o"),
    lambda: commands.dpo("c.yaml", checkpoint="k", preferences="p", out="o", max_seconds=0.5),
    lambda: commands.evaluate("k", config="c.yaml", out="o", tokens="t", plan="p", preferences=None),
    lambda: commands.export("k", out="o"),
    lambda: commands.generate("k", prompts=["春天", "x"], out="s.json"),
    lambda: commands.report("run", trainings=["t"]),
]


@pytest.mark.parametrize("make", STEPS, ids=lambda make: make().name)
def test_command_line_understands_every_step(make: Callable[[], Step]) -> None:
    """Every argument list that a flow makes is parsed by the real command line."""
    from ctllm.cli.main import app

    command, arguments, context = typer.main.get_command(app), list(make().arguments), None
    while hasattr(command, "commands"):  # groups: ctllm, ctllm tokenizer
        context = command.make_context(command.name or "ctllm", [arguments[0]], parent=context, resilient_parsing=True)
        command = command.commands[arguments.pop(0)]
    assert command.make_context(command.name, arguments, parent=context).params


def test_what_is_not_given_is_not_passed() -> None:
    """An option without a value leaves the command's own default."""
    assert commands.curate(["a"], config="c", out="o").arguments == ("curate", "c", "--input", "a", "--out", "o")
    assert commands.evaluate("k", config="c", out="o", tokens=None).arguments == (
        *("evaluate", "k", "--config", "c", "--out", "o"),
    )
    assert "--max-seconds" not in commands.pretrain("c", tokens="t", plan="p", out="o").arguments


def test_zero_is_a_value() -> None:
    """Zero seconds are passed on as zero; only None means no limit."""
    arguments = commands.pretrain("c", tokens="t", plan="p", out="o", max_seconds=0).arguments
    assert arguments[-2:] == ("--max-seconds", "0")


def test_trainers_are_the_three_trainings() -> None:
    """Pretraining, SFT and DPO want the machine for themselves, nothing else does."""
    assert [step.command for step in (make() for make in STEPS) if step.is_trainer] == ["pretrain", "sft", "dpo"]
