"""How chats are compared with each other and with benchmarks."""

from ctllm.schemas.conversation_config import ConversationConfig


def test_pairs_of_one_prompt_are_no_copies() -> None:
    """Where answers vary only equal texts are copies; conversations are compared as they stand, at the given bound."""
    config = ConversationConfig(threshold=0.95)
    chats, pairs = config.dedup(answers_vary=False), config.dedup(answers_vary=True)
    assert (chats.near, pairs.near) == (True, False)
    assert {(each.form, each.threshold) for each in (chats, pairs)} == {("verbatim", 0.95)}
    assert not ConversationConfig(near=False).dedup(answers_vary=False).near


def test_benchmarks_are_those_of_curation() -> None:
    """One list of files, read by the same index."""
    assert ConversationConfig(benchmarks=("eval/*.jsonl",)).decontamination.benchmarks == ("eval/*.jsonl",)
