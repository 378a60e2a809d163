"""From a document to the steps and checkpoints that saw it: the way back of an explained step."""

from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from ctllm.model.document_trace import DocumentTrace, Visit, trace_document
from ctllm.model.plan import Plan, make_plan
from ctllm.model.pretrain import pretrain
from ctllm.model.token_shards import TokenShards
from ctllm.schemas.errors import InputError
from ctllm.schemas.training_config import PlanConfig, PretrainConfig

SHAPE = {"vocab_size": 64, "d_model": 16, "num_layers": 1, "num_heads": 2, "d_ffn": 32, "context_length": 16}
SEQUENCES = 2
DOCUMENTS = [("zh", [2 + row % 60] * (3 + 7 * row % 40)) for row in range(16)]
DOCUMENTS += [("en", [3 + row] * (4 + row)) for row in range(8)]
"""Some longer than a sequence, more English than its share."""


@pytest.fixture
def run(write_shards: Callable[..., TokenShards], tmp_path: Path) -> Path:
    """A pretraining that goes through its plan two and a half times and was stopped in the middle."""
    write_shards(DOCUMENTS)
    tokens, plan = str(tmp_path / "tokens"), str(tmp_path / "plan")
    weights = {"zh": 0.9, "en": 0.1}
    made = make_plan(tokens, config=PlanConfig(context_length=16, lane_weights=weights, held_out_share=0.1), out=plan)
    steps = round(2.5 * made.num_sequences / SEQUENCES)
    loop = {"steps": steps, "sequences_per_step": SEQUENCES, "device": "cpu", "checkpoint_every_steps": 5}
    paths = {"tokens": tokens, "plan": plan, "out": str(tmp_path / "run")}
    values = {"model": SHAPE, "loop": loop | {"keep_checkpoints": 3}, "sample_prompts": ()}  # no real tokenizer here
    pretrain(PretrainConfig.model_validate({**paths, **values}))
    ledger = tmp_path / "run" / "ledger.jsonl"
    lines = ledger.read_text().splitlines(keepends=True)
    ledger.write_text("".join(lines[: steps // 2]))
    return tmp_path / "run"


def visits_read_off(run: Path) -> dict[int, list[Visit]]:
    """Key to visits, by looking into every sequence that the run is to take."""
    shards = TokenShards(str(run.parent / "tokens"))
    plan = Plan(str(run.parent / "plan"), shards=shards)
    steps = round(2.5 * plan.manifest.num_sequences / SEQUENCES)
    visits: dict[int, list[Visit]] = defaultdict(list)
    for number in range(steps * SEQUENCES):
        for shard, offset, tokens in plan.sequence(number).tolist():
            index = shards.index(shard)
            row = index.slice(
                int(np.searchsorted(index["offset"].to_numpy(), offset, side="right")) - 1, 1
            ).to_pylist()[0]
            pass_number = number // plan.manifest.num_sequences
            step, sequence = divmod(number, SEQUENCES)
            visits[row["key"]].append(Visit(step, sequence, offset - row["offset"], tokens, pass_number))
    return visits


def all_keys(run: Path) -> Iterator[int]:
    """Keys of every tokenized document."""
    shards = TokenShards(str(run.parent / "tokens"))
    for shard in range(2):
        yield from shards.index(shard)["key"].to_pylist()


def trace_of(run: Path, key: int) -> DocumentTrace:
    """The one with this key; a small key may also be somebody's id here."""
    (found,) = [each for each in trace_document(str(run), str(key)) if each.key == key]
    return found


def test_every_visit_is_found(run: Path) -> None:
    """Each document's steps are those in whose sequences it lies, over passes with other orders and split documents."""
    expected, steps_done = visits_read_off(run), len((run / "ledger.jsonl").read_text().splitlines())
    held_out, left_out, split = 0, 0, 0
    for key in all_keys(run):
        found = trace_of(run, key)
        in_order = sorted(expected[key], key=lambda visit: (visit.step, visit.sequence, visit.first_token))
        assert [*found.done, *found.to_come] == in_order
        assert all(visit.step < steps_done for visit in found.done)
        assert all(visit.step >= steps_done for visit in found.to_come)
        assert found.is_planned == bool(expected[key])
        assert not (found.is_held_out and found.is_planned)
        held_out += found.is_held_out
        left_out += not found.is_held_out and not found.is_planned
        split += any(visit.tokens < found.tokens for visit in found.done)
    assert held_out
    assert left_out
    assert split


def test_a_checkpoint_has_seen_what_came_before_it(run: Path) -> None:
    """A document first trained on in step k is in the weights of the checkpoints after it, and in no earlier ones."""
    kept = sorted(path.name for path in (run / "checkpoints").iterdir())
    assert len(kept) == 3
    for key in all_keys(run):
        found = trace_of(run, key)
        seen = [name for name in kept if found.done and int(name[-8:]) > found.done[0].step]
        assert found.checkpoints == seen


def test_a_document_has_three_names(run: Path) -> None:
    """Id, URL and key lead to it; an id that two documents share leads to both, one that none has is refused."""
    (by_url,) = trace_document(str(run), "https://example.com/zh/4")
    assert (by_url.id, by_url.lane) == ("4", "zh")
    assert trace_document(str(run), str(by_url.key)) == [by_url]
    assert {each.lane for each in trace_document(str(run), "4") if each.id == "4"} == {"zh", "en"}
    with pytest.raises(InputError, match=r"nowhere: no document of .*tokens has this id, URL or key"):
        trace_document(str(run), "nowhere")
