"""The config of `ctllm ratios`: one checkpoint, tuned on several language ratios and scored alike."""

from pydantic import Field, model_validator

from ctllm.schemas.config import Config
from ctllm.schemas.tuning_config import LanguageRatio

FIGURE, TABLE = "ratios.svg", "ratios.json"
"""Names in the directory that is written; the second holds a list of RatioScores."""
CTLLM_SETTINGS = ("1:1", "2:1", "4:1", "8:1", "zh only", "en only")
"""The six runs of CT-LLM: 105 k Chinese pairs with 105, 52, 26 and 13 k English ones, and each language alone."""


class LanguageRatiosConfig(Config):
    """Each setting is one `ctllm sft` and `ctllm evaluate`; all have equally many steps and the same held-out rows."""

    checkpoint: str = Field(description="checkpoint, or run directory, that every setting starts from")
    conversations: str = Field(description="directory that `ctllm conversations --kind conversations` wrote")
    out: str = Field(description="directory to write: a run for each setting, ratios.json, ratios.svg")
    sft: str = Field(description="config of `ctllm sft`; its paths and ratio are set here")
    evaluate: str | None = Field(None, description="config of `ctllm evaluate`; null = held-out loss only")
    settings: tuple[LanguageRatio, ...] = Field(CTLLM_SETTINGS, min_length=1, description="as `data.zh_to_en` of SFT")
    max_rows_per_language: int | None = Field(
        None, ge=1, description="rows of the larger language in every setting; null = what the scarcer language has"
    )  # CT-LLM: 105,000 (names of the checkpoints in CT-LLM-SFT-experiment-ckpts)

    @model_validator(mode="after")
    def _settings_differ(self) -> "LanguageRatiosConfig":
        twice = [setting for setting in self.settings if self.settings.count(setting) > 1]
        if twice:
            raise ValueError(f"settings names {twice[0]} twice; each has one run and one point of the figure")
        return self


class RatioScores(Config):
    """One setting in `ratios.json`."""

    setting: str
    run: str
    rows_by_lane: dict[str, int]
    before: dict[str, float]
    """Measured before the first step: the same for all settings."""
    scores: dict[str, float]
