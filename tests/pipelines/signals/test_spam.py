"""The spam vocabularies cover spam and leave ordinary talk of the same things alone."""

import pytest

from ctllm.pipelines.signals.spam import SpamVocabulary
from ctllm.pipelines.signals.words import units_of


def covered(text: str) -> dict[str, float]:
    """Share of the text that each vocabulary covers."""
    return {name: float(values[0]) for name, values in SpamVocabulary().measure(units_of([text])).items()}


@pytest.mark.parametrize(
    "text",
    [
        "澳门赌场真人百家乐注册送彩金，时时彩老虎机平台欢迎投注",
        "澳門賭場真人百家樂 娛樂城 老虎機",
        "澳-门-赌-场 百 家 乐 六合彩",
        "Best ONLINE casino bonus, slot machines and ｊａｃｋｐｏｔ every day",
    ],
)
def test_gambling_spam_is_covered(text: str) -> None:
    """Case, width, traditional forms and separators inside a term do not hide it."""
    assert covered(text)["gambling_share"] > 0.2
    assert covered(text)["porn_share"] == 0


def test_pornographic_spam_is_covered() -> None:
    """Titles of pornographic pages are recognised in Chinese and English."""
    assert covered("国产自拍 无码 成人电影 激情视频 free porn hardcore sex")["porn_share"] > 0.5


def test_terms_that_overlap_count_once() -> None:
    """赌场 inside 澳门赌场 adds nothing."""
    assert covered("澳门赌场") == {"gambling_share": 1.0, "porn_share": 0.0}


@pytest.mark.parametrize("text", ["他斜靠在轮盘一样的月亮下读书。", "Their slots in the schedule are full.", ""])
def test_ordinary_text_is_not_covered(text: str) -> None:
    """Words that only resemble the vocabulary cost nothing; English terms match whole words."""
    assert covered(text) == {"gambling_share": 0.0, "porn_share": 0.0}
