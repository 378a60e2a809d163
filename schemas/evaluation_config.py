"""What `ctllm evaluate` measures: own texts, preference pairs, and benchmarks with the words around their questions."""

from typing import Literal

from pydantic import Field, model_validator

from ctllm.schemas.config import Config
from ctllm.schemas.tuning_config import TuningDataConfig

Style = Literal["ctllm", "lm_eval", "opencompass"]
Form = Literal["letter", "cloze"]
Suite = Literal["zh", "en", "code"]


class Wording(Config):
    """What stands around a question. Scores with different wordings cannot be compared."""

    header: str = Field("", description="before everything; may hold {subject}")
    repeats_header: bool = Field(False, description="before each example and the question, not once")
    question: str = Field("{question}\n", description="may hold {question}, {choices}, and fields of the item's row")
    choice: str = Field("{letter}. {text}", description="one of the choices that are shown")
    choice_separator: str = "\n"
    cue: str = Field("", description="last before the answer")
    delimiter: str = Field(" ", description="between cue and answer; scored with the answer, as lm-eval does")
    shot_separator: str = Field("\n\n", description="after each example")


class ChoiceTaskConfig(Config):
    """One multiple-choice benchmark, scored by log-likelihood."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9_-]*$")
    items: tuple[str, ...] = Field(min_length=1, description="files or globs of items; a file is a subject")
    form: Form = Field(
        "letter", description="letter: all choices are shown, A to D compared; cloze: the answers' own text compared"
    )
    language: Literal["zh", "en"] = Field("zh", description="language of the words around the question")
    style: Style = Field("ctllm", description="whose words around the question: ours, lm-eval's, OpenCompass's")
    wording: Wording | None = Field(None, description="null = the style's for this form and language")
    normalisation: Literal["bytes", "none"] | None = Field(
        None, description="log-probabilities per byte of the answer or as they are; null = bytes for cloze"
    )
    subject_names: dict[str, str] = Field({}, description="file's name to what {subject} says")
    shots: tuple[str, ...] = Field((), description="files or globs the examples in front of each question come from")
    num_shots: int = Field(0, ge=0, description="first items of the subject's own file in `shots`")
    max_items: int | None = Field(None, ge=1, description="per subject, the first ones; null = all")

    @model_validator(mode="after")
    def _shots_have_a_file(self) -> "ChoiceTaskConfig":
        if bool(self.shots) != bool(self.num_shots):
            raise ValueError("num_shots and shots go together: where the examples come from, and how many")
        return self


class TextTaskConfig(Config):
    """A benchmark whose answer is a text: predicted word by word, or written and then checked."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9_-]*$")
    kind: Literal["last_word", "number", "program"] = Field(
        description="last_word (LAMBADA): predicted exactly; number (GSM8K): the last number of what is written; "
        "program (HumanEval): what is written passes the item's tests in a sandbox"
    )
    items: tuple[str, ...] = Field(min_length=1, description="files or globs of items")
    shots: tuple[str, ...] = Field((), description="files or globs the examples come from")
    num_shots: int = Field(0, ge=0, description="first items of `shots`")
    max_items: int | None = Field(None, ge=1, description="the first ones; null = all")
    max_new_tokens: int = Field(512, ge=1, description="of what is written; lm-eval: 256 (GSM8K), 1024 (HumanEval)")


class EvaluateConfig(Config):
    """The whole of `ctllm evaluate`; a part that is not given is not measured."""

    tokens: str | None = Field(None, description="directory of token shards, for bits per byte")
    plan: str | None = Field(None, description="directory of the plan that names the held-out documents")
    choice: tuple[ChoiceTaskConfig, ...] = ()
    text: tuple[TextTaskConfig, ...] = ()
    curation: str | None = Field(
        None, description="curation run whose found benchmark items are scored with and without"
    )
    max_benchmark_overlap: float = Field(
        0.8, ge=0, le=1, description="an item covered more by one kept document is contaminated; as in the rules"
    )
    preferences: str | None = Field(None, description="directory of preference pairs, for preference accuracy")
    preference_data: TuningDataConfig = Field(
        TuningDataConfig(), description="as in the config of DPO: what that holds out is what is measured here"
    )
    sequences_per_batch: int = Field(16, ge=1, description="sequences of one forward pass")
    device: Literal["auto", "cpu", "cuda"] = "auto"

    @model_validator(mode="after")
    def _something_is_measured(self) -> "EvaluateConfig":
        if (self.tokens is None) != (self.plan is None):
            raise ValueError("tokens and plan go together: the shards, and which of their documents are held out")
        if not (self.plan or self.choice or self.text or self.preferences):
            raise ValueError("nothing to measure: give tokens and plan, choice or text tasks, or preferences")
        names = [*(task.name for task in self.choice), *(task.name for task in self.text)]
        if len(set(names)) < len(names):
            raise ValueError(f"two tasks have one name: {', '.join(sorted(names))}")
        return self


class BenchmarkConfig(Config):
    """A published benchmark in `configs/benchmarks/published.yaml`: where its files lie, and how it is asked."""

    suites: tuple[Suite, ...] = Field(min_length=1)
    files: tuple[str, ...] = Field(min_length=1, description="globs below a data directory; the first that matches")
    shots: tuple[str, ...] = Field((), description="the same for the examples")
    num_shots: int = Field(0, ge=0)
    kind: Literal["choice", "last_word", "number", "program"] = "choice"
    forms: tuple[Form, ...] = Field(("letter",), description="choice: each is a task of its own")
    language: Literal["zh", "en"] = "en"
    normalisation: Literal["bytes", "none"] | None = None
    wordings: dict[Style, Wording] = Field({}, description="where a style's usual words are not the benchmark's")
    subject_names: dict[str, str] = {}
    max_new_tokens: int = Field(512, ge=1)
    fetch: str = Field(description="command or address that brings the files")


class BenchmarkCatalogue(Config):
    """`configs/benchmarks/published.yaml`."""

    benchmarks: dict[str, BenchmarkConfig]
