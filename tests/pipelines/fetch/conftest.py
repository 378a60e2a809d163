"""Manners that do not wait, and bytes worth fetching."""

import random

import pytest

from ctllm.pipelines.fetch.server import Manners


@pytest.fixture
def pauses() -> list[float]:
    """The pauses that were made, in seconds; nobody waits for them."""
    return []


@pytest.fixture
def manners(pauses: list[float]) -> Manners:
    """Three tries, a stall noticed after a third of a second, pauses only written down."""
    return Manners(tries=3, connect_timeout_s=5, stall_timeout_s=0.3, pause=pauses.append, jitter=lambda: 1.0)


@pytest.fixture(scope="session")
def content() -> bytes:
    """300,000 random bytes, the same each time."""
    return random.Random(20261125).randbytes(300_000)
