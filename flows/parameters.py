"""Types of the flows' parameters, each with the sentence that Prefect's form shows beside the field."""

from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import Field, GetJsonSchemaHandler
from pydantic_core import CoreSchema


@dataclass(frozen=True)
class Help:
    """A description that Prefect keeps: it drops those of `Field`."""

    text: str

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        """The type's own schema with the description added."""
        return {**handler(schema), "description": self.text}


ConfigFile = Annotated[str, Help("YAML file of the stage's settings")]
Out = Annotated[str, Help("directory to write, what is finished there is not repeated; or name@version to publish")]
Inputs = Annotated[list[str], Field(min_length=1), Help("files, globs, directories, URLs or name@version")]
Benchmarks = Annotated[list[str], Help("files, globs or directories of benchmark items that must not be trained on")]
Overrides = Annotated[list[str], Help("key.subkey=value, each overrides one key of the config")]
Run = Annotated[str, Help("run directory of a curation, or name@version")]
TokenizerFile = Annotated[str, Help("a tokenizer.model file, or name@version")]
Tokens = Annotated[str, Help("directory of token shards, or name@version")]
Plan = Annotated[str, Help("directory of the plan, or name@version")]
MeasuredTokens = Annotated[str | None, Help("token shards, for bits per byte; empty = not measured")]
MeasuredPlan = Annotated[str | None, Help("the plan with the held-out documents, for bits per byte")]
MeasuredPreferences = Annotated[str | None, Help("preference pairs, for their accuracy; empty = not measured")]
ChatKind = Annotated[Literal["conversations", "preferences"], Help("conversations for sft, preferences for dpo")]
Conversations = Annotated[str, Help("directory of converted conversations, or name@version")]
Preferences = Annotated[str, Help("directory of converted preference pairs, or name@version")]
Checkpoint = Annotated[str, Help("a checkpoint, a training run (its newest), or name@version")]
Workers = Annotated[
    Annotated[int, Field(ge=1)] | None, Help("worker threads of the local Beam runner; empty = all cores")
]
MaxSeconds = Annotated[
    Annotated[float, Field(gt=0)] | None, Help("stop with a checkpoint after this time; empty = all steps")
]
Workspace = Annotated[str, Help("directory of everything that is made; what is finished there is not repeated")]
