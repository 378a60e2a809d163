"""Bodies of requests in OpenAI's spelling, checked. A field that we cannot honour is refused, not ignored."""

from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from ctllm.model.serving.errors import RequestError

MAX_STOPS = 4  # OpenAI's API reference
MAX_STOP_CHARS = 200  # chosen: what may be a beginning of a stop is held back from the stream
MAX_TOP_CHAT = 20  # OpenAI's API reference, top_logprobs
MAX_TOP_COMPLETION = 5  # OpenAI's API reference, logprobs

Stop = Annotated[str, Field(min_length=1, max_length=MAX_STOP_CHARS)]
Body = TypeVar("Body", bound=BaseModel)


class _StreamOptions(BaseModel):
    model_config = ConfigDict(extra="forbid")

    include_usage: bool = False


class _Sampling(BaseModel):
    """What both kinds of requests share. Defaults are OpenAI's: unlike `ctllm generate` they draw from everything."""

    model_config = ConfigDict(extra="forbid", protected_namespaces=())

    model: str
    temperature: float = Field(1.0, ge=0, le=2)
    top_p: float = Field(1.0, gt=0, le=1)
    n: int = Field(1, ge=1)
    seed: int | None = Field(None, ge=-(1 << 63), lt=1 << 63)
    stop: Annotated[list[Stop], Field(max_length=MAX_STOPS)] = []
    stream: bool = False
    stream_options: _StreamOptions = _StreamOptions()
    user: str | None = None
    """Not looked at."""
    presence_penalty: Literal[0] | None = None
    frequency_penalty: Literal[0] | None = None

    @field_validator("*", mode="before")
    @classmethod
    def _null_is_default(cls, value: object, info: Any) -> object:  # noqa: ANN401 - pydantic's ValidationInfo
        field = cls.model_fields[info.field_name]
        return field.get_default() if value is None and not field.is_required() else value

    @field_validator("stop", mode="before")
    @classmethod
    def _one_stop_is_a_list(cls, value: object) -> object:
        return [value] if isinstance(value, str) else value


class _TextPart(BaseModel):
    model_config = ConfigDict(extra="forbid")

    type: Literal["text"]
    text: str


class ChatMessage(BaseModel):
    """One message; `developer` is OpenAI's newer name of `system`."""

    model_config = ConfigDict(extra="forbid")

    role: Literal["system", "developer", "user", "assistant"]
    content: str | list[_TextPart]
    name: str | None = None
    """Not looked at."""

    def as_plain(self) -> dict[str, str]:
        """Role and content as the chat template wants them."""
        text = self.content if isinstance(self.content, str) else "".join(part.text for part in self.content)
        return {"role": "system" if self.role == "developer" else self.role, "content": text}


class ChatBody(_Sampling):
    """POST /v1/chat/completions."""

    messages: list[ChatMessage] = Field(min_length=1)
    max_tokens: int | None = Field(None, ge=1)
    max_completion_tokens: int | None = Field(None, ge=1)
    logprobs: bool = False
    top_logprobs: int | None = Field(None, ge=0, le=MAX_TOP_CHAT)

    @property
    def wanted_tokens(self) -> int | None:
        """By its new or its old name."""
        return self.max_completion_tokens if self.max_completion_tokens is not None else self.max_tokens

    @property
    def num_top(self) -> int | None:
        """Likeliest tokens beside each drawn one; None = no log-probabilities."""
        return (self.top_logprobs or 0) if self.logprobs else None


Prompt = str | list[str] | list[int] | list[list[int]]


class CompletionBody(_Sampling):
    """POST /v1/completions."""

    prompt: Prompt
    max_tokens: int = Field(16, ge=1)  # OpenAI's API reference
    logprobs: int | None = Field(None, ge=0, le=MAX_TOP_COMPLETION)
    echo: Literal[False] = False
    best_of: Literal[1] | None = None
    suffix: None = None

    @property
    def wanted_tokens(self) -> int:
        """As `ChatBody`."""
        return self.max_tokens

    @property
    def num_top(self) -> int | None:
        """As `ChatBody`."""
        return self.logprobs

    def prompts(self) -> list[str | list[int]]:
        """One or more texts, or token ids."""
        if isinstance(self.prompt, str):
            return [self.prompt]
        ids = [each for each in self.prompt if isinstance(each, int)]
        return [ids] if ids else [each for each in self.prompt if not isinstance(each, int)]


def parse_body(content: bytes, kind: type[Body]) -> Body:
    """The body as `kind`. Raises RequestError (400) naming the first field that is wrong."""
    try:
        return kind.model_validate_json(content)
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"] if isinstance(part, str | int)) or None
        if first["type"] == "json_invalid":
            raise RequestError(400, f"The body is not valid JSON: {first['msg']}") from error
        if first["type"] == "extra_forbidden":
            raise RequestError(400, f"{field}: this server does not know this parameter", param=field) from error
        raise RequestError(400, f"{field}: {first['msg']}", param=field) from error
