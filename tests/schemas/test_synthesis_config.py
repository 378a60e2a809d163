"""The model that writes rejected answers is named once."""

import pytest
from pydantic import ValidationError

from ctllm.schemas.synthesis_config import SynthesisConfig

GIVEN = {"conversations": "c", "out": "o"}
ENDPOINT = {"base_url": "http://h/v1", "model": "m"}


def test_exactly_one_model_answers() -> None:
    """An endpoint or a checkpoint; neither or both is refused before anything is asked."""
    SynthesisConfig.model_validate({**GIVEN, "endpoint": ENDPOINT})
    SynthesisConfig.model_validate({**GIVEN, "checkpoint": "runs/a"})
    for models in ({}, {"endpoint": ENDPOINT, "checkpoint": "runs/a"}):
        with pytest.raises(ValidationError, match="give endpoint or checkpoint, one of them"):
            SynthesisConfig.model_validate({**GIVEN, **models})
