"""The limits of `ctllm serve`."""

from pydantic import Field

from ctllm.schemas.config import Config


class ServeConfig(Config):
    """What a server allows; what is above a limit is refused with an error that names it."""

    max_rows: int = Field(16, ge=1, description="requests answered at once; each needs a whole context of cache")
    max_queue: int = Field(256, ge=0, description="requests that may wait for a row; the next is refused with 503")
    max_body_bytes: int = Field(1 << 20, ge=1, description="of a request; a larger one is refused with 413")
    max_tokens: int = Field(2048, ge=1, description="per answer, whatever a request asks for")
    max_choices: int = Field(8, ge=1, description="prompts times n of one request")
    timeout_s: float = Field(300.0, gt=0, description="from arrival to the last token; then 504")
