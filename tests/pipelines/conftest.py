"""A small run made through the real command's function, for the tests of everything that reads a run directory."""

import json
import shutil
from collections.abc import Sequence
from pathlib import Path

import pytest

from ctllm.pipelines.curate import RunSummary, curate
from ctllm.pipelines.options import RunnerOptions
from ctllm.pipelines.quality_training import train_quality
from ctllm.schemas.curation_config import CurationConfig
from ctllm.schemas.quality import QualityTrainingConfig

BASE = Path(__file__).resolve().parents[2] / "examples" / "corpus" / "base"
SPAM = "澳门赌场官网，真人百家乐，注册就送彩金，老虎机爆大奖，在线博彩投注平台，时时彩六合彩稳赚不赔。" * 3


def prose(index: int) -> str:
    """The `index`-th Chinese base text of the example corpus."""
    return sorted((BASE / "zh").glob("*.txt"))[index].read_text(encoding="utf-8")


def write_records(path: Path, records: Sequence[dict[str, object] | str]) -> Path:
    """A JSONL file of records; a string is written as it is, broken JSON too."""
    lines = [each if isinstance(each, str) else json.dumps(each, ensure_ascii=False) for each in records]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def small_inputs(directory: Path) -> list[str]:
    """Two sources: `good` with an exact and a near copy, `bad` with spam, a scrap, broken JSON, an English text."""
    edited = "本站讯：以下文章由读者推荐，编辑部略有删节。\n" + prose(1).replace("，", ",")
    good = [{"id": f"good-{index}", "url": f"https://a.example/{index}", "text": prose(index)} for index in range(6)]
    copies = [{"id": "copy-exact", "text": prose(0)}, {"id": "copy-near", "text": edited}]
    english = sorted((BASE / "en").glob("*.txt"))[0].read_text(encoding="utf-8")
    bad: list[dict[str, object] | str] = [
        {"id": "spam", "text": SPAM},
        {"id": "short", "text": "太短了。"},
        "{broken",
        {"id": "no-text"},
        {"id": "english", "text": english},
        {"id": "mobile", "text": prose(7) + "\n联系电话13912345678，姓名略。"},
    ]
    return [
        str(write_records(directory / "bad.jsonl", bad)),
        str(write_records(directory / "good.jsonl", [*good, *copies])),
    ]


def run_small(directory: Path, *, workers: int = 2, out: str = "run") -> RunSummary:
    """Curates the small inputs of `directory` into `directory/out`."""
    inputs = small_inputs(directory / "inputs")
    return curate(CurationConfig(), inputs=inputs, out=str(directory / out), options=RunnerOptions(workers=workers))


@pytest.fixture(scope="session")
def _finished_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("small")
    run_small(directory)
    return directory


@pytest.fixture
def small_run(_finished_run: Path, tmp_path: Path) -> Path:
    """A copy of a finished run (and its inputs) that a test may damage: `small_run / "run"`."""
    copy = tmp_path / "small"
    shutil.copytree(_finished_run, copy)
    return copy


def menu_page(index: int) -> str:
    """The `index`-th page of menus and advertisements."""
    menus = ["首页", "登录", "注册", "投注", "彩金", "下载", "客服", "排行", "更多", "返回", "优惠", "会员"]
    return " | ".join(menus[(index * step) % len(menus)] + str(index) for step in range(1, 40))


@pytest.fixture(scope="session")
def quality_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small quality model: the Chinese texts of the example corpus against menus."""
    directory = tmp_path_factory.mktemp("quality")
    bad = write_records(directory / "bad.jsonl", [{"text": menu_page(index)} for index in range(60)])
    config = QualityTrainingConfig(dim=8, epoch=30, buckets=2000, min_count=1, held_out_share=0.2, learning_rate=0.5)
    train_quality(positive=[str(BASE / "zh")], negative=[str(bad)], out=str(directory / "model"), config=config)
    return directory / "model"
