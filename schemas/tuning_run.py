"""What SFT, DPO and evaluation report beside the summary of training."""

from typing import Any, Literal

from ctllm.schemas.config import Config

DATA_REPORT = "data.json"
"""Name in the run directory of SFT and DPO."""
EVALUATION = "evaluation.json"


ROW_CUTS = "row_cuts.jsonl"
RowCutReason = Literal["cut", "no_answer_left", "prompt_fills_context", "answers_equal"]
"""cut: shortened and used; the others: nothing to learn from was left, the row was dropped."""


class RowCut(Config):
    """A line of `RUN/row_cuts.jsonl`: a row that the context length shortened or cost."""

    id: str
    source: str
    reason: RowCutReason
    tokens_cut: int


class TuningDataReport(Config):
    """`RUN/data.json`: what became of the rows. rows = trained + held_out + dropped + outside the language ratio."""

    rows_trained: int
    rows_held_out: int
    rows_by_lane: dict[str, int]
    """Of the rows trained on."""
    rows_selected_from: int | None = None
    """Rows that the selection by perplexity chose from, before the language ratio; None without one."""
    rows_truncated: int
    """Cut at the context length and used, held-out rows included; `row_cuts.jsonl` names them and the dropped ones."""
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
    standard_error: float
    items_contaminated: int


class ChoiceResult(Config):
    """One multiple-choice benchmark, with everything a comparison needs."""

    form: str
    style: str
    """Whose words stand around the questions."""
    language: str
    normalisation: str
    """bytes: log-probabilities were compared per byte of the answer; none: as they are."""
    num_shots: int
    prompt_digest: str
    """Of the words around the questions and of the examples: scores with different digests cannot be compared."""
    items: int
    accuracy_micro: float
    """Over items."""
    accuracy_macro: float
    """Mean over subjects."""
    accuracy_of_sums: float
    """Over items, with log-probabilities as they are: lm-eval's `acc`, where accuracy_micro is its `acc_norm`."""
    standard_error: float
    """Of accuracy_micro."""
    items_contaminated: int
    """Found in documents that the curation run kept; 0 also when no run was given."""
    accuracy_clean: float | None
    """Over the other items; null when there are none."""
    chance: float
    """Expected accuracy of guessing."""
    constant_letter: str
    """The letter that, always answered, is right most often ..."""
    constant_letter_accuracy: float
    """... and how often that is."""
    answers_by_letter: dict[str, int]
    """What the model chose."""
    compared_tokens: dict[str, list[int]]
    """letter: the tokens scored for each letter of the first item; cloze: empty, every item has its own."""
    compared_texts: dict[str, list[str]]
    """How the tokenizer writes them."""
    items_truncated: int
    """Examples or question were cut at the left to fit the context."""
    items_unreadable: int
    """Rows without question, choices or answer; not among `items`."""
    subjects: dict[str, ChoiceSubject]


class TextResult(Config):
    """One benchmark whose answers are texts: predicted words, numbers or programs that the model wrote."""

    kind: str
    num_shots: int
    prompt_digest: str
    """Of the words around the items and of the examples."""
    items: int
    accuracy: float
    standard_error: float
    items_contaminated: int
    accuracy_clean: float | None
    perplexity: float | None
    """last_word: exp of the mean negative log-probability of an item's words; else null."""
    outcomes: dict[str, int]
    """program: how many passed, failed, timed out ...; else empty."""
    items_truncated: int
    """Examples were left out, or the context cut at the left, to fit."""
    items_unreadable: int


class PreferenceResult(Config):
    """Which of two answers a model finds likelier."""

    pairs: int
    accuracy: float
    """Share of pairs whose chosen answer has the higher mean log-probability per token; ties count half."""
    accuracy_by_group: dict[str, float] = {}
    """The same by language, and by whether the chosen answer is the longer one."""
    longer_accuracy: float | None = None
    """What always taking the longer answer gives; None in files from before it was counted."""
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
    text: dict[str, TextResult] = {}
    curation: str | None = None
    """The curation run that contaminated items were looked up in."""
    missing: list[str] = []
    """Benchmarks of the suite whose files were not there."""
    preferences: PreferenceResult | None
    seconds: float

    def rows(self) -> list[tuple[str, str]]:
        """What was measured and its value with uncertainty, for tables."""
        rows = [
            (f"bits per byte, {lane}", f"{figures['bits_per_byte']:.3f} ({figures['num_bytes']:,.0f} bytes)")
            for lane, figures in self.bits_per_byte.items()
        ]
        rows += [(_choice_setting(name, task), _choice_value(task)) for name, task in self.choice.items()]
        rows += [(_text_setting(name, task), _text_value(task)) for name, task in self.text.items()]
        if pairs := self.preferences:
            value = f"{pairs.accuracy:.3f} ± {pairs.standard_error:.3f}"
            if pairs.longer_accuracy is not None:
                value += f" (always the longer answer {pairs.longer_accuracy:.3f})"
            rows.append((f"preference accuracy ({pairs.pairs} pairs)", value))
        return rows


def _choice_setting(name: str, task: ChoiceResult) -> str:
    words = f"{task.form}, {task.style}, {task.num_shots}-shot"
    return f"{name} ({words}, {task.items} items, prompt {task.prompt_digest})"


def _choice_value(task: ChoiceResult) -> str:
    macro = f", macro {task.accuracy_macro:.3f}" if len(task.subjects) > 1 else ""
    baselines = f"chance {task.chance:.3f}, always {task.constant_letter} {task.constant_letter_accuracy:.3f}"
    value = f"{task.accuracy_micro:.3f} ± {task.standard_error:.3f}{macro}"
    return f"{value} ({baselines}{_clean(task.items_contaminated, task.accuracy_clean)})"


def _text_setting(name: str, task: TextResult) -> str:
    return f"{name} ({task.num_shots}-shot, {task.items} items, prompt {task.prompt_digest})"


def _text_value(task: TextResult) -> str:
    more = "" if task.perplexity is None else f", perplexity {task.perplexity:.4g}"
    more += "".join(f", {number} {outcome}" for outcome, number in sorted(task.outcomes.items()))
    clean = _clean(task.items_contaminated, task.accuracy_clean)
    return f"{task.accuracy:.3f} ± {task.standard_error:.3f}{more}{clean}"


def _clean(num_contaminated: int, accuracy: float | None) -> str:
    if not num_contaminated:
        return ""
    value = "none left" if accuracy is None else f"{accuracy:.3f}"
    return f", without {num_contaminated} contaminated {value}"
