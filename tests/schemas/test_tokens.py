"""Symbols in text."""

from hypothesis import given
from hypothesis import strategies as st

from ctllm.schemas.tokens import SYMBOLS, split_symbols


def test_symbols_are_cut_in_two() -> None:
    """Each written-out symbol is cut after its first character; other angle brackets are left alone."""
    assert split_symbols("a<|user|>b<|end|>") == ["a<", "|user|>b<", "|end|>"]
    assert split_symbols("<|endofdoc|>") == ["<", "|endofdoc|>"]
    assert split_symbols("x <| y |> <|User|> <|use") == ["x <| y |> <|User|> <|use"]
    assert split_symbols("") == [""]


@given(st.lists(st.sampled_from([*SYMBOLS, "<", "|", ">", "好", "user"])).map("".join))
def test_no_part_holds_a_symbol(text: str) -> None:
    """The parts joined are the text, and no symbol is whole in any of them."""
    parts = split_symbols(text)
    assert "".join(parts) == text
    assert not any(symbol in part for symbol in SYMBOLS for part in parts)
