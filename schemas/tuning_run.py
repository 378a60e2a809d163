"""What SFT, DPO and evaluation report beside the summary of training."""

from typing import Any

from ctllm.schemas.config import Config

DATA_REPORT = "data.json"
"""Name in the run directory of SFT and DPO."""
EVALUATION = "evaluation.json"


class TuningDataReport(Config):
    """`RUN/data.json`: what became of the rows. rows = trained + held_out + dropped + outside the language ratio."""

    rows_trained: int
    rows_held_out: int
    rows_by_lane: dict[str, int]
    """Of the rows trained on."""
    rows_truncated: int
    """Cut at the context length, held-out rows included."""
    tokens_cut: int
    rows_dropped: int
    """Nothing to learn from was left after the cut."""
    label_tokens: int
    """In one pass over the rows."""
    padding_share: float
    """Of the positions of all sequences (DPO: 0, every batch is as long as its longest row)."""


class ChoiceSubject(Config):
    """One file of a multiple-choice benchmark."""

    items: int
    accuracy: float


class ChoiceResult(Config):
    """One multiple-choice benchmark, with everything a comparison needs."""

    form: str
    language: str
    num_shots: int
    prompt_digest: str
    """Of the words around the questions and of the examples: scores with different digests cannot be compared."""
    items: int
    accuracy_micro: float
    """Over items."""
    accuracy_macro: float
    """Mean over subjects."""
    standard_error: float
    """Of accuracy_micro."""
    chance: float
    """Expected accuracy of guessing."""
    constant_letter: str
    """The letter that, always answered, is right most often ..."""
    constant_letter_accuracy: float
    """... and how often that is."""
    answers_by_letter: dict[str, int]
    """What the model chose."""
    compared_tokens: dict[str, list[int]]
    """letter: the tokens of each letter; cloze: empty, every item has its own."""
    items_truncated: int
    """Examples or question were cut at the left to fit the context."""
    items_unreadable: int
    """Rows without question, choices or answer; not among `items`."""
    subjects: dict[str, ChoiceSubject]


class PreferenceResult(Config):
    """Which of two answers a model finds likelier."""

    pairs: int
    accuracy: float
    """Share of pairs whose chosen answer has the higher mean log-probability per token; ties count half."""
    accuracy_of_sums: float
    """The same by the sum over tokens, which favours short answers."""
    standard_error: float
    """Of accuracy."""


class EvaluationResult(Config):
    """`evaluation.json`. A part that was not asked for is empty or null."""

    checkpoint: str
    step: int
    num_parameters: int
    weights_digest: str
    tokenizer_digest: str
    config: dict[str, Any]
    plan_digest: str | None
    bits_per_byte: dict[str, dict[str, float]]
    """Lane to value and what it was measured on."""
    choice: dict[str, ChoiceResult]
    preferences: PreferenceResult | None
    seconds: float

    def rows(self) -> list[tuple[str, str]]:
        """What was measured and its value with uncertainty, for tables."""
        rows = [
            (f"bits per byte, {lane}", f"{figures['bits_per_byte']:.3f} ({figures['num_bytes']:,.0f} bytes)")
            for lane, figures in self.bits_per_byte.items()
        ]
        for name, task in self.choice.items():
            setting = f"{task.form}, {task.num_shots}-shot, {task.items} items, prompt {task.prompt_digest}"
            chance = f"chance {task.chance:.3f}, always {task.constant_letter} {task.constant_letter_accuracy:.3f}"
            rows.append((f"{name} ({setting})", f"{task.accuracy_micro:.3f} ± {task.standard_error:.3f} ({chance})"))
        if pairs := self.preferences:
            value = f"{pairs.accuracy:.3f} ± {pairs.standard_error:.3f}"
            rows.append((f"preference accuracy ({pairs.pairs} pairs)", value))
        return rows
