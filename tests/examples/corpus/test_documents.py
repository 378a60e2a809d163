"""Placeholders in planted texts become benchmark items and invented numbers."""

from ctllm.examples.corpus import variants
from ctllm.examples.corpus.build import documents
from ctllm.examples.corpus.documents import benchmark_items, expand, resident_number


def test_leaks_hold_the_items_word_for_word() -> None:
    """Every planted leak contains the question of a benchmark item; both languages leak."""
    questions = {name: variants.tokens(item["question"], lane="zh") for name, item in benchmark_items().items()}
    leaked = set()
    for document in documents():
        if "max_benchmark_overlap" in document.reasons:
            words = " ".join(variants.tokens(document.text, lane="zh"))
            found = {name for name, question in questions.items() if " ".join(question) in words}
            assert found, document.name
            leaked |= {(document.lane, name.split("-")[1]) for name in found}
    assert {("zh", "zh"), ("en", "en"), ("code", "en")} <= leaked


def test_resident_numbers_are_valid_and_of_nobody() -> None:
    """The check digit is right (worked example of GB 11643-1999: 11010519491231002X), the date is 1 January 1900."""
    weights = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
    number = resident_number("110101")
    for each in (number, "11010519491231002X"):
        total = sum(weight * int(digit) for weight, digit in zip(weights, each, strict=False))
        assert "10X98765432"[total % 11] == each[17]
    assert number[6:14] == "19000101"


def test_placeholders_are_filled_in() -> None:
    """A whole item brings choices and answer, a question stands alone, other text is left as it is."""
    question = benchmark_items()["mini-en-02"]["question"]
    assert expand("{{question:mini-en-02}} {x}") == f"{question} {{x}}"
    assert expand("{{mini-en-02}}").startswith(f"{question}\nA. Oxygen\n")
    assert expand("{{mini-en-02}}").endswith("\nAnswer: D")
