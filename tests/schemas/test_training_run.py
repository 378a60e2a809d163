"""What a training leaves: lines and states come back as they were, and files of earlier versions can be read."""

import json
import math
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from ctllm.schemas.training_run import LedgerLine, StepSpeed, TrainingState

FLOATS = st.floats(allow_nan=False, allow_infinity=False)
LINES = st.builds(
    LedgerLine,
    step=st.integers(0, 10**9),
    batch=st.text("0123456789abcdef", max_size=16),
    label_tokens=st.integers(0, 10**9),
    loss=FLOATS,
    grad_norm=FLOATS,
    skipped=st.booleans(),
    left_out=st.booleans(),
    learning_rate=FLOATS,
    alarm=st.text(max_size=8),
    tokens_per_s=FLOATS,
    speed=st.none() | st.builds(StepSpeed, positions_per_s=FLOATS, flops_per_s=FLOATS, mfu=st.none() | FLOATS,
                                mfu_causal=st.none() | FLOATS, gemm_share=FLOATS),
    values=st.dictionaries(st.text(max_size=5), FLOATS, max_size=2),
    evaluation=st.dictionaries(st.text(max_size=5), FLOATS, max_size=2),
    evaluation_before=st.dictionaries(st.text(max_size=5), FLOATS, max_size=2),
    samples=st.dictionaries(st.text(max_size=5), st.text(max_size=8), max_size=2),
)  # fmt: skip


@given(LINES)
def test_a_line_comes_back_as_it_was_measured(line: LedgerLine) -> None:
    """To the last bit, on one line of the file, though what is as by default is not written."""
    written = line.model_dump_json(exclude_defaults=True)
    assert "\n" not in written
    assert LedgerLine.model_validate_json(written) == line


@given(st.lists(LINES, max_size=2))
def test_a_state_keeps_the_lines_that_are_passed_over(lines: list[LedgerLine]) -> None:
    """A run that went back before a spike and was killed then passes over the same batches when it resumes."""
    state = TrainingState(step=1, label_tokens=2, run_digest="d", ledger_bytes=3, left_out=tuple(lines))
    assert TrainingState.model_validate_json(state.model_dump_json()) == state


def test_no_number_is_told_from_none() -> None:
    """A measurement that is NaN or infinite stands in the ledger and a checkpoint, and is read as what it was."""
    line = LedgerLine(
        step=0, batch="9f", label_tokens=1, loss=1.0, grad_norm=math.inf, learning_rate=0.0, tokens_per_s=1.0,
        evaluation={"zh": math.nan, "en": -math.inf},
    )  # fmt: skip
    state = TrainingState(step=1, label_tokens=1, run_digest="d", ledger_bytes=1, left_out=(line,))
    read = LedgerLine.model_validate_json(line.model_dump_json())
    of_state = TrainingState.model_validate_json(state.model_dump_json()).left_out[0]
    assert repr(read) == repr(of_state) == repr(line)


def test_a_line_of_the_first_version_can_be_read() -> None:
    """Speed, spikes, alarms, samples were added later: a ledger without them is whole."""
    first: dict[str, Any] = {
        "step": 3, "batch": "9f", "label_tokens": 5, "loss": 2.5, "grad_norm": 1.0, "learning_rate": 1e-3,
        "tokens_per_s": 10.0,
    }  # fmt: skip
    line = TypeAdapter(LedgerLine).validate_json(json.dumps(first))
    assert (line.speed, line.skipped, line.left_out, line.alarm) == (None, False, False, "")
    assert line.model_dump(exclude_defaults=True) == first
