"""Where an OpenAI-compatible server is, and how patiently it is asked."""

import os
from urllib.parse import urlsplit

from pydantic import Field, field_validator

from ctllm.schemas.config import Config
from ctllm.schemas.errors import ConfigError


class EndpointConfig(Config):
    """An OpenAI-compatible server. The key itself is never part of a config: only the name of its variable."""

    base_url: str = Field(description="up to and with its version, for example http://127.0.0.1:8000/v1")
    model: str = Field(min_length=1, description="as the server calls it")
    api_key_env: str | None = Field(
        None, pattern=r"^[A-Za-z_]\w*$", description="environment variable that holds the key; null = none is sent"
    )
    timeout_s: float = Field(120.0, gt=0, description="for one whole answer, not for each of its parts")
    max_tries: int = Field(5, ge=1, description="of one request, before it counts as failed")
    retry_wait_s: float = Field(1.0, ge=0, description="pause before the second try; doubled before each further one")
    max_retry_wait_s: float = Field(
        60.0, ge=0, description="longest pause, also where the server asks for a longer one"
    )
    max_concurrent: int = Field(4, ge=1, description="requests on the way at once")
    max_failures_in_row: int = Field(
        10, ge=1, description="so many failed requests without an answer between them end the job"
    )  # chosen: two rounds of the default concurrency and a bit

    @field_validator("base_url")
    @classmethod
    def _is_plain(cls, value: str) -> str:
        parts = urlsplit(value)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError("give a URL such as http://127.0.0.1:8000/v1")
        if parts.username or parts.password or parts.query or parts.fragment:
            raise ValueError("no name, key or query in the URL: it is written into logs; use api_key_env for a key")
        return value.rstrip("/")

    def read_api_key(self) -> str | None:
        """The key from the environment, None where none is wanted. Raises ConfigError when the variable is not set."""
        if self.api_key_env is None:
            return None
        if not (key := os.environ.get(self.api_key_env, "").strip()):
            raise ConfigError(f"api_key_env: the environment variable {self.api_key_env} is not set; export it first")
        return key
