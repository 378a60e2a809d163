"""How much a run may lose: shares from none to all, and a run of few documents is not judged by shares."""

import pytest

from ctllm.schemas.config import parse_config
from ctllm.schemas.errors import ConfigError
from ctllm.schemas.guard_config import GuardConfig

SHARES = [name for name in GuardConfig.model_fields if "share" in name]


@pytest.mark.parametrize("name", SHARES)
def test_a_share_runs_from_none_to_all(name: str) -> None:
    """0 stops at the first loss and 1 at none, both can be meant; a percentage cannot."""
    for share in (0, 1):
        assert getattr(parse_config({name: share}, GuardConfig, origin="g.yaml"), name) == share
    for wrong in (-0.01, 1.01, 95):
        with pytest.raises(ConfigError, match=rf"g\.yaml, {name}: {wrong}: "):
            parse_config({name: wrong}, GuardConfig, origin="g.yaml")


def test_a_lane_of_no_document_has_no_share() -> None:
    """`min_documents` is at least 1: of nothing there is no share to compare."""
    assert len(SHARES) == 6
    with pytest.raises(ConfigError, match=r"min_documents: 0: "):
        parse_config({"min_documents": 0}, GuardConfig, origin="g.yaml")
