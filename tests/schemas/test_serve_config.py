"""Limits of the server: what would serve nobody is refused with the key."""

import pytest

from ctllm.schemas.config import parse_config
from ctllm.schemas.errors import ConfigError
from ctllm.schemas.serve_config import ServeConfig


@pytest.mark.parametrize("key", ["max_rows", "max_body_bytes", "max_tokens", "max_choices", "timeout_s"])
def test_a_server_that_answers_nothing_is_refused(key: str) -> None:
    """No row, no byte, no token, no answer, no time: each is named. The least that works is accepted."""
    with pytest.raises(ConfigError, match=rf"serve\.yaml, {key}: 0: "):
        parse_config({key: 0}, ServeConfig, origin="serve.yaml")
    parse_config({key: 1}, ServeConfig, origin="serve.yaml")


def test_no_queue_is_a_queue_of_none() -> None:
    """0 means that nobody waits, not that any number may; below is refused."""
    assert parse_config({"max_queue": 0}, ServeConfig, origin="serve.yaml").max_queue == 0
    with pytest.raises(ConfigError, match=r"max_queue: -1: "):
        parse_config({"max_queue": -1}, ServeConfig, origin="serve.yaml")
