"""The six language ratios: one command line each, one bound for all, one figure."""

from pathlib import Path
from xml.etree import ElementTree

import pyarrow as pa
import pytest

from ctllm.flows.language_ratios import draw_figure, ratio_steps
from ctllm.schemas.config import parse_override
from ctllm.schemas.conversations import CONVERSATIONS
from ctllm.schemas.errors import InputError
from ctllm.schemas.files import read_json, write_json, write_parquet
from ctllm.schemas.language_ratios_config import CTLLM_SETTINGS, LanguageRatiosConfig
from ctllm.schemas.manifest import finish_stage
from ctllm.schemas.training_run import TrainingSummary


@pytest.fixture
def config(tmp_path: Path) -> LanguageRatiosConfig:
    """Six settings over 60 Chinese and 40 English conversations; the demo's SFT holds out a tenth."""
    chats = str(tmp_path / "chats")
    rows = [
        {"id": str(n), "source": "s", "license": None, "lane": "zh" if n < 60 else "en",
         "messages": [{"role": "user", "content": f"question {n}"}], "digest": f"{n * 7919:032x}"[::-1]}
        for n in range(100)
    ]  # fmt: skip
    write_parquet(f"{chats}/conversations/part-00000.parquet", pa.Table.from_pylist(rows, schema=CONVERSATIONS))
    finish_stage(chats, stage="conversations", fingerprint="", counts={}, seconds=0)
    return LanguageRatiosConfig(
        checkpoint="k", conversations=chats, out=str(tmp_path / "out"), sft="configs/sft/demo.yaml", evaluate="e.yaml"
    )


def write_run(run: str, setting: int, *, finished: bool = True) -> None:
    """What a finished SFT leaves."""
    scores = {"held_out_loss_en": 4.0 + setting, "held_out_loss_zh": 5.0 - setting}
    summary = TrainingSummary(
        stage="sft", finished=finished, step=1, steps=1, label_tokens=1, num_parameters=1, first_loss=1, last_loss=1,
        evaluation_before={"held_out_loss_zh": 9.0}, evaluation=scores, tokens_per_s=1, seconds=1, checkpoint="c",
    )  # fmt: skip
    write_json(f"{run}/summary.json", summary.model_dump())
    write_json(f"{run}/data.json", {"rows_by_lane": {"zh": 8, "en": setting}})


def test_every_setting_is_trained_and_evaluated_alike(config: LanguageRatiosConfig) -> None:
    """Each setting has its ratio, read back as a text, and the one bound that the scarcer language allows."""
    steps = list(ratio_steps(config))
    assert [step.name for step in steps[:4]] == ["sft 1:1", "evaluate 1:1", "sft 2:1", "evaluate 2:1"]
    assert len(steps) == 12
    settings = [
        dict(parse_override(each) for each in step.arguments if "=" in each) for step in steps if step.command == "sft"
    ]
    assert [each["data.zh_to_en"] for each in settings] == list(CTLLM_SETTINGS)
    assert len({each["out"] for each in settings}) == 6
    (bound,) = {each["data.max_rows_per_language"] for each in settings}
    assert isinstance(bound, int)
    assert 30 <= bound < 40  # 40 English rows less those of them that are held out
    given = config.model_copy(update={"max_rows_per_language": 7, "evaluate": None})
    assert all("data.max_rows_per_language=7" in step.arguments for step in ratio_steps(given))


def test_the_figure_shows_every_setting(config: LanguageRatiosConfig) -> None:
    """ratios.svg has one point for each setting and measure, with its value; ratios.json has the numbers."""
    for number, step in enumerate(step for step in ratio_steps(config) if step.command == "sft"):
        write_run(step.out, number)
    rows = draw_figure(config)
    assert [row.scores["held_out_loss_en"] for row in rows] == [4, 5, 6, 7, 8, 9]
    assert [row["setting"] for row in read_json(f"{config.out}/ratios.json")] == list(CTLLM_SETTINGS)
    svg = ElementTree.fromstring(Path(f"{config.out}/ratios.svg").read_text())
    circles = list(svg.iter("{http://www.w3.org/2000/svg}circle"))
    heights = [float(circle.attrib["cy"]) for circle in circles]
    assert heights[:6] == sorted(heights[:6], reverse=True)  # the higher value stands higher
    assert heights[6:] == sorted(heights[6:])
    texts = [each.text for each in svg.iter("{http://www.w3.org/2000/svg}text")]
    assert texts.count("en only") == 2


def test_an_unfinished_setting_is_named(config: LanguageRatiosConfig) -> None:
    """No figure is drawn over a run that was stopped."""
    for number, step in enumerate(step for step in ratio_steps(config) if step.command == "sft"):
        write_run(step.out, number, finished=number != 3)
    with pytest.raises(InputError, match=r"zh8_en1: not trained to its end"):
        draw_figure(config)
