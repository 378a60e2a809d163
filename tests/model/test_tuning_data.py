"""Which rows SFT and DPO train on: held out, language ratio, order."""

from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest

from ctllm.model.tuning_data import read_tuning_data, rows_of_step, tuning_context_length
from ctllm.schemas.conversations import CONVERSATIONS
from ctllm.schemas.errors import ConfigError, InputError
from ctllm.schemas.files import write_parquet
from ctllm.schemas.manifest import finish_stage
from ctllm.schemas.training_config import ModelConfig
from ctllm.schemas.tuning_config import TuningDataConfig


@pytest.fixture
def conversations(tmp_path: Path) -> str:
    """50 Chinese and 30 English conversations, told apart by their digests only."""
    out = str(tmp_path / "chats")
    rows = [
        {
            "id": str(number),
            "source": "test",
            "license": None,
            "lane": "zh" if number < 50 else "en",
            "digest": f"{number:032x}"[::-1],
            "messages": [{"role": "user", "content": f"question {number}"}],
        }
        for number in range(80)
    ]
    write_parquet(f"{out}/conversations/part-00000.parquet", pa.Table.from_pylist(rows, schema=CONVERSATIONS))
    finish_stage(out, stage="conversations", fingerprint="", counts={}, seconds=0)
    return out


def lanes(directory: str, zh_to_en: str, share: float = 0.0, bound: int | None = None) -> tuple[int, int]:
    """Rows of each language that are trained on."""
    config = TuningDataConfig(zh_to_en=zh_to_en, held_out_share=share, max_rows_per_language=bound)
    data = read_tuning_data(directory, kind="sft", config=config)
    chosen = [row["lane"] for row in data.train]
    return chosen.count("zh"), chosen.count("en")


@pytest.mark.parametrize(
    ("zh_to_en", "expected"),
    [
        ("all", (50, 30)),
        ("zh only", (50, 0)),
        ("en only", (0, 30)),
        ("1:1", (30, 30)),
        ("4:1", (48, 12)),
        ("1:3", (10, 30)),
    ],
)
def test_ratio_is_the_largest_that_fits(conversations: str, zh_to_en: str, expected: tuple[int, int]) -> None:
    """A ratio takes as many rows as have it; a language alone takes all of its rows."""
    assert lanes(conversations, zh_to_en) == expected


@pytest.mark.parametrize(
    ("zh_to_en", "expected"),
    [
        ("1:1", (24, 24)),
        ("2:1", (24, 12)),
        ("4:1", (24, 6)),
        ("8:1", (24, 3)),
        ("zh only", (24, 0)),
        ("en only", (0, 24)),
        ("all", (24, 24)),
        ("5:1", (20, 4)),
    ],
)
def test_settings_of_one_bound_differ_in_english_only(
    conversations: str, zh_to_en: str, expected: tuple[int, int]
) -> None:
    """As CT-LLM's six runs: one number of Chinese rows beside all, a half, a quarter, an eighth of it in English."""
    assert lanes(conversations, zh_to_en, bound=24) == expected


def test_ratios_are_nested_and_share_what_is_held_out(conversations: str) -> None:
    """The English rows of 8:1 are among those of 4:1, and both are measured on the same held-out rows."""
    four, eight = (
        read_tuning_data(conversations, kind="sft", config=TuningDataConfig(zh_to_en=ratio, held_out_share=0.1))
        for ratio in ("4:1", "8:1")
    )
    ids = [{row["id"] for row in data.train if row["lane"] == "en"} for data in (four, eight)]
    assert ids[1] < ids[0]
    assert four.held_out == eight.held_out
    assert four.held_out
    assert not {row["id"] for row in four.held_out} & {row["id"] for row in four.train}
    assert four.digest != eight.digest


def test_an_opening_is_held_out_whole_from_sft_and_dpo_alike(
    write_chats: Callable[..., str], write_pairs: Callable[..., str]
) -> None:
    """Pairs of one prompt, and conversations that begin with it, stand all on one side, and on the same one.

    Ranked answers come as several pairs of one prompt, and the best one is also a conversation for SFT: split by rows,
    a model is measured on answers that it was trained on.
    """
    openings = [f"第{number}个问题是什么？" for number in range(60)]
    chats = write_chats(
        [[user(each), answer("好"), user(f"然后{n}"), answer("行")] for each in openings for n in range(2)]
    )
    pairs = write_pairs([([user(each)], f"好的{n}", "不") for each in openings for n in range(3)])
    config = TuningDataConfig(held_out_share=0.2, max_held_out=1000)
    sft = read_tuning_data(chats, kind="sft", config=config)
    dpo = read_tuning_data(pairs, kind="preference", config=config)
    held_out = {row["messages"][0]["content"] for row in sft.held_out}
    assert held_out == {row["prompt"][0]["content"] for row in dpo.held_out}
    assert 3 <= len(held_out) <= 24
    assert (len(sft.held_out), len(dpo.held_out)) == (2 * len(held_out), 3 * len(held_out))
    assert not held_out & {row["messages"][0]["content"] for row in sft.train}
    assert not held_out & {row["prompt"][0]["content"] for row in dpo.train}
    fewer = read_tuning_data(pairs, kind="preference", config=config.model_copy(update={"max_held_out": 2}))
    assert fewer.held_out == dpo.held_out[:2]
    assert fewer.train == dpo.train


@pytest.mark.parametrize(("share", "expected"), [(0.0, 0), (1e-9, 1)])
def test_any_share_holds_out_an_opening(conversations: str, share: float, expected: int) -> None:
    """A share too small for any opening holds one out, so that there is something to measure; 0 holds out none."""
    data = read_tuning_data(conversations, kind="sft", config=TuningDataConfig(held_out_share=share))
    assert len(data.held_out) == expected
    assert len(data.train) == 80 - expected


def user(text: str) -> dict[str, str]:
    """A message of the user."""
    return {"role": "user", "content": text}


def answer(text: str) -> dict[str, str]:
    """A message of the assistant."""
    return {"role": "assistant", "content": text}


def test_bad_choices_are_explained(conversations: str, tmp_path: Path) -> None:
    """A ratio that the rows do not have, a directory that is none and a context too long each name the way out."""
    with pytest.raises(ConfigError, match=r"99:1: .* has 50 Chinese and 30 English rows"):
        lanes(conversations, "99:1")
    with pytest.raises(InputError, match="run `ctllm conversations --kind conversations` first"):
        lanes(str(tmp_path), "all")
    shape = ModelConfig(vocab_size=64, d_model=8, num_layers=1, num_heads=1, d_ffn=8, context_length=32)
    assert tuning_context_length(None, model=shape) == 32
    with pytest.raises(ConfigError, match="above the model's 32"):
        tuning_context_length(33, model=shape)


def test_every_pass_holds_every_row_once() -> None:
    """Steps go through all rows before any comes again, each pass in another order; a step is a pure function."""
    numbers = [n for step in range(6) for n in rows_of_step(step, num_rows=10, rows_per_step=5, seed=3)]
    passes = [numbers[start : start + 10] for start in (0, 10, 20)]
    assert [sorted(each) for each in passes] == [list(range(10))] * 3
    assert passes[0] != passes[1] != passes[2]
    assert rows_of_step(4, num_rows=10, rows_per_step=5, seed=3) == numbers[20:25]
