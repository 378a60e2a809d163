"""Fixtures for all tests. Tests never reach the network and never depend on their order."""

import os
from pathlib import Path

import pytest

os.environ.setdefault("DO_NOT_TRACK", "1")
os.environ.setdefault("PREFECT_SERVER_ANALYTICS_ENABLED", "false")

ROOT = Path(__file__).resolve().parent.parent
PRIVATE_DATA = ROOT.parent / "shared" / "data"


@pytest.fixture(scope="session")
def private_data() -> Path:
    """The private corpora, where a developer has them beside the checkout; the test is skipped elsewhere."""
    if not PRIVATE_DATA.is_dir():
        pytest.skip("the private corpora are not beside this checkout")
    return PRIVATE_DATA
