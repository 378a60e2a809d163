"""Personal data: every kind is a key, redacted unless somebody says otherwise, and `off` may stand bare."""

from typing import get_args

import pytest

from ctllm.schemas.config import parse_config
from ctllm.schemas.errors import ConfigError
from ctllm.schemas.privacy_config import PersonalData, PrivacyConfig

KINDS = get_args(PersonalData)


def test_every_kind_is_redacted_by_default() -> None:
    """No kind is without a key, and none goes out unnoticed because a config is silent about it."""
    assert PrivacyConfig().model_dump() == dict.fromkeys(KINDS, "redact")


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_done_is_one_of_three(kind: str) -> None:
    """Redact, tag or off; YAML's false is off, its true is nothing that could be done."""
    for given, meant in (("redact", "redact"), ("tag", "tag"), ("off", "off"), (False, "off")):
        assert getattr(parse_config({kind: given}, PrivacyConfig, origin="p.yaml"), kind) == meant
    for wrong in (True, "remove", None):
        with pytest.raises(ConfigError, match=rf"p\.yaml, {kind}: "):
            parse_config({kind: wrong}, PrivacyConfig, origin="p.yaml")
