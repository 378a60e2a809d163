"""Supervised fine-tuning: what is trained on, what is reported, that it learns, and that a resume changes no bit."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from ctllm.model.chat_template import RenderedChat, render_answer
from ctllm.model.checkpoint import load_model, weights_digest
from ctllm.model.cut_chats import cut_chat
from ctllm.model.losses import IGNORED
from ctllm.model.sft import PackedChats, sft
from ctllm.model.tokenizer import Tokenizer
from ctllm.schemas.errors import ConfigError, InputError
from ctllm.schemas.files import list_files, read_json
from ctllm.schemas.training_config import LoopConfig, OptimizerConfig
from ctllm.schemas.tuning_config import LoraConfig, PerplexitySelection, SftConfig, TuningDataConfig
from ctllm.schemas.tuning_run import RowCut, TuningDataReport

CHATS = [
    [{"role": "user", "content": f"{number} 号问题"}, {"role": "assistant", "content": f"答案是 {number}。"}]
    for number in range(24)
]

PROCESSES = """
import json, os, socket, sys
import torch
from ctllm.model import perplexity_selection, sft
from ctllm.schemas.tuning_config import SftConfig

config = SftConfig.model_validate_json(sys.argv[1])

def process(rank):
    os.environ.update(RANK=str(rank), LOCAL_RANK=str(rank), WORLD_SIZE="2", LOCAL_WORLD_SIZE="2")
    os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT=port)
    torch.set_num_threads(1)
    done = {"scored": 0, "written": []}
    def counted(module, name, note):
        plain = getattr(module, name)
        def call(*arguments, **options):
            note(arguments)
            return plain(*arguments, **options)
        setattr(module, name, call)
    counted(perplexity_selection, "chat_loss", lambda _: done.update(scored=done["scored"] + 1))
    counted(perplexity_selection, "write_parquet", lambda arguments: done["written"].append("selection"))
    counted(sft, "write_json", lambda arguments: done["written"].append("report"))
    counted(sft, "write_row_cuts", lambda arguments: done["written"].append("cuts"))
    told = []
    sft.sft(config, progress=lambda event: told.append(event.stage))
    with open(f"{config.out}-{rank}.json", "w") as file:
        json.dump({**done, "stages": sorted(set(told))}, file)
    os._exit(0)

with socket.socket() as free:
    free.bind(("127.0.0.1", 0))
    port = str(free.getsockname()[1])
children = [os.fork() or process(rank) for rank in range(2)]
sys.exit(max(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children))
"""
"""One SFT in two processes; each notes how many conversations it scored, what it wrote and which stages it told of."""


@pytest.fixture
def config(checkpoint: str, write_chats: Callable[..., str], tmp_path: Path) -> SftConfig:
    """Twelve steps over two dozen short conversations."""
    return SftConfig(
        checkpoint=checkpoint,
        conversations=write_chats(CHATS),
        out=str(tmp_path / "sft"),
        data=TuningDataConfig(held_out_share=0.27),
        loop=LoopConfig(steps=12, sequences_per_step=2, checkpoint_every_steps=5, evaluate_every_steps=6),
        optimizer=OptimizerConfig(learning_rate=1e-2),
    )


def test_packing_keeps_every_label() -> None:
    """A pass over the packed sequences holds each label of each conversation once; one without labels is left out."""
    chats = [
        cut_chat(RenderedChat([1, *range(10, 10 + size)], [False, *[True] * size]), lane="zh", context_length=16)
        for size in (3, 9, 14, 5, 2, 7)
    ]
    unlabelled = cut_chat(RenderedChat([1, 2, 3], [False] * 3), lane="zh", context_length=16)
    packed = PackedChats([*chats, unlabelled], context_length=16, padding_id=1)
    batches = [packed.batch(step, per_step=1, seed=0) for step in range(len(packed.sequences))]
    labels = np.concatenate([batch.labels_BT.numpy().ravel() for batch in batches])
    expected = np.concatenate([chat.segment[1] for chat in chats])
    assert sorted(labels[labels != IGNORED]) == sorted(expected[expected != IGNORED])
    assert len(packed.sequences) == 3
    with pytest.raises(InputError, match="raise context_length"):
        PackedChats([unlabelled], context_length=16, padding_id=1)


def test_it_learns_and_reports(config: SftConfig) -> None:
    """The held-out loss falls; data.json accounts for every conversation and counts the labels."""
    summary = sft(config)
    assert summary.evaluation_before["held_out_loss"] > summary.evaluation["held_out_loss"] + 0.5
    assert summary.evaluation["held_out_loss"] == summary.evaluation["held_out_loss_zh"]
    report = TuningDataReport.model_validate(read_json(f"{config.out}/data.json"))
    assert (report.rows_trained, report.rows_held_out, report.rows_truncated, report.rows_dropped) == (20, 4, 0, 0)
    tokenizer = Tokenizer(config.checkpoint)
    answers = [len(render_answer(f"答案是 {number}。", tokenizer=tokenizer)) for number in range(24)]
    assert sum(sorted(answers)[:20]) <= report.label_tokens <= sum(sorted(answers)[-20:])


def test_too_large_a_step_is_refused(config: SftConfig) -> None:
    """Said before a conversation is read."""
    loop = config.loop.model_copy(update={"sequences_per_step": 1 << 40})
    with pytest.raises(ConfigError, match=r"a step needs \d+\.\d GiB"):
        sft(config.model_copy(update={"loop": loop, "conversations": "nowhere"}))


def test_truncation_is_counted(config: SftConfig, write_chats: Callable[..., str]) -> None:
    """A conversation longer than the context is cut and counted; one that never reaches its answer is dropped."""
    long_answer = [{"role": "user", "content": "写"}, {"role": "assistant", "content": "长" * 300}]
    long_question = [{"role": "user", "content": "长" * 300}, {"role": "assistant", "content": "好"}]
    changes = {
        "conversations": write_chats([*CHATS, long_answer, long_question]),
        "data": TuningDataConfig(held_out_share=0),
    }
    sft(config.model_copy(update=changes))
    report = TuningDataReport.model_validate(read_json(f"{config.out}/data.json"))
    assert (report.rows_trained, report.rows_truncated, report.rows_dropped) == (25, 1, 1)
    assert report.tokens_cut > 300
    cuts = [RowCut.model_validate_json(line) for line in Path(f"{config.out}/row_cuts.jsonl").read_text().splitlines()]
    assert sorted((cut.reason, cut.tokens_cut > 0) for cut in cuts) == [("cut", True), ("no_answer_left", True)]
    assert len({cut.id for cut in cuts}) == 2


def test_a_resume_changes_no_bit(config: SftConfig, tmp_path: Path) -> None:
    """Stopped after every step and continued, the run ends as an uninterrupted one, with adapters, noise, selection."""
    changes = {
        "lora": LoraConfig(rank=4),
        "neftune_alpha": 5.0,
        "select": PerplexitySelection(checkpoint=config.checkpoint, keep_share=0.5),
        "loop": config.loop.model_copy(update={"steps": 6}),
    }
    config = config.model_copy(update=changes)
    whole = sft(config)
    pieces = config.model_copy(update={"out": str(tmp_path / "pieces")})
    summary = sft(pieces, resume=True, max_seconds=0)
    while not summary.finished:
        summary = sft(pieces, resume=True, max_seconds=0)
    digests = [weights_digest(load_model(each.checkpoint)[0]) for each in (whole, summary)]
    assert digests[0] == digests[1]
    assert whole.evaluation == summary.evaluation
    report = TuningDataReport.model_validate(read_json(f"{config.out}/data.json"))
    assert (report.rows_selected_from, report.rows_trained) == (20, 10)


def test_two_processes_choose_and_report_once(config: SftConfig, tmp_path: Path) -> None:
    """Conversations are scored in one of them each, files are written by the first; all comes out as in one process."""
    changes = {
        "select": PerplexitySelection(checkpoint=config.checkpoint, keep_share=0.5),
        "loop": config.loop.model_copy(update={"steps": 2}),
    }
    alone = config.model_copy(update={**changes, "out": str(tmp_path / "alone")})
    shared = alone.model_copy(update={"out": str(tmp_path / "shared")})
    expected = sft(alone)
    subprocess.run([sys.executable, "-c", PROCESSES, shared.model_dump_json()], check=True, timeout=300)
    done = [json.loads((tmp_path / f"shared-{rank}.json").read_text()) for rank in range(2)]
    stages = ["machine", "selection", "sft", "sft measured"]
    assert done == [
        {"scored": 10, "written": ["selection", "report", "cuts"], "stages": stages},
        {"scored": 10, "written": [], "stages": []},
    ]
    (chosen,), (chosen_alone,) = (list_files(f"{run.out}/selection") for run in (shared, alone))
    assert Path(chosen).read_bytes() == Path(chosen_alone).read_bytes()
    assert read_json(f"{shared.out}/data.json") == read_json(f"{alone.out}/data.json")
    model, like = (load_model(str(run.out))[0].state_dict() for run in (shared, alone))
    assert all(torch.allclose(model[name], like[name], rtol=0, atol=1e-5) for name in like)
    assert read_json(f"{shared.out}/summary.json")["evaluation"] == pytest.approx(expected.evaluation, rel=1e-5)
