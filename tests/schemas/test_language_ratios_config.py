"""The config of the language ratios: a setting that SFT would refuse is refused before the first of them is trained."""

import pytest

from ctllm.schemas.config import parse_config
from ctllm.schemas.errors import ConfigError
from ctllm.schemas.language_ratios_config import CTLLM_SETTINGS, LanguageRatiosConfig
from ctllm.schemas.tuning_config import TuningDataConfig

GIVEN = {"checkpoint": "c", "conversations": "d", "out": "o", "sft": "s.yaml"}


def read(**values: object) -> LanguageRatiosConfig:
    """The config of these values."""
    return parse_config({**GIVEN, **values}, LanguageRatiosConfig, origin="r.yaml")


def test_the_six_runs_of_the_paper_are_the_default() -> None:
    """Four ratios and each language alone, all in the words of SFT."""
    assert read().settings == CTLLM_SETTINGS
    assert len(CTLLM_SETTINGS) == 6
    assert [TuningDataConfig(zh_to_en=setting).zh_to_en for setting in CTLLM_SETTINGS] == list(CTLLM_SETTINGS)


@pytest.mark.parametrize("setting", ["4/1", "zh", "0:1", "", "4:1 "])
def test_a_setting_that_is_none_is_named(setting: str) -> None:
    """With its place in the list: the settings before it would have taken hours."""
    with pytest.raises(ConfigError, match=rf"r\.yaml, settings\.1: '{setting}': "):
        read(settings=["1:1", setting])


def test_a_setting_is_there_once() -> None:
    """Twice the same would be one directory, and one point of the figure over the other."""
    with pytest.raises(ConfigError, match=r"settings names 2:1 twice"):
        read(settings=["2:1", "1:1", "2:1"])


def test_no_setting_and_no_row_are_refused() -> None:
    """At least one of each."""
    with pytest.raises(ConfigError, match=r"r\.yaml, settings: "):
        read(settings=[])
    with pytest.raises(ConfigError, match=r"r\.yaml, max_rows_per_language: 0: "):
        read(max_rows_per_language=0)
