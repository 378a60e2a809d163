"""schemas/endpoint_config.py: an address without secrets."""

import pytest
from pydantic import ValidationError

from ctllm.schemas.endpoint_config import EndpointConfig
from ctllm.schemas.errors import ConfigError


def test_an_address_is_plain() -> None:
    """A slash at the end does not matter; a key in the address is refused, as it would be written into logs."""
    assert EndpointConfig(base_url="http://127.0.0.1:8000/v1/", model="m").base_url == "http://127.0.0.1:8000/v1"
    for url in (
        "127.0.0.1:8000",
        "ftp://host/v1",
        "http://me:key@host/v1",
        "https://host/v1?key=1",
        "https://host/v1#k",
    ):
        with pytest.raises(ValidationError):
            EndpointConfig(base_url=url, model="m")


def test_the_key_is_read_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No variable, no key; a variable that is empty or missing is named."""
    config = EndpointConfig(base_url="http://h/v1", model="m", api_key_env="CTLLM_TEST_KEY")
    assert EndpointConfig(base_url="http://h/v1", model="m").read_api_key() is None
    monkeypatch.setenv("CTLLM_TEST_KEY", " k \n")
    assert config.read_api_key() == "k"
    monkeypatch.setenv("CTLLM_TEST_KEY", " ")
    with pytest.raises(ConfigError, match="CTLLM_TEST_KEY is not set"):
        config.read_api_key()
