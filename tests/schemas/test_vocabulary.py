"""SentencePiece models with our symbols: ours, and those of others."""

import io

import pytest
import sentencepiece
from hypothesis import given
from hypothesis import strategies as st

from ctllm.schemas.errors import InputError
from ctllm.schemas.tokens import SYMBOLS
from ctllm.schemas.vocabulary import Vocabulary, token_dtype

LINES = ["abcdefghijklmnopqrstuvwxyz 山下有一条河 Below the hill", "河边住着一位老人 an old man by the river"] * 5
IDENTITY = {"normalization_rule_name": "identity", "add_dummy_prefix": False, "remove_extra_whitespaces": False}


def vocabulary(**changes: object) -> Vocabulary:
    """A model of 300 pieces over a handful of characters; keyword arguments go to SentencePiece."""
    model = io.BytesIO()
    settings = {"model_type": "bpe", "vocab_size": 330, "byte_fallback": True, "minloglevel": 2, **IDENTITY, **changes}
    sentencepiece.SentencePieceTrainer.train(sentence_iterator=iter(LINES), model_writer=model, **settings)
    return Vocabulary(model.getvalue(), origin="test.model")


@pytest.fixture(scope="module")
def ours() -> Vocabulary:
    """With the symbols as pieces 1 to 5."""
    return vocabulary(user_defined_symbols=list(SYMBOLS), bos_id=-1, eos_id=-1)


@pytest.fixture(scope="module")
def foreign() -> Vocabulary:
    """Without symbols, with `<s>` and `</s>` of its own, as Baichuan 2's."""
    return vocabulary()


TEXT = st.lists(st.sampled_from([*SYMBOLS, "河", " ", "  ", "old man", "\n", "😀", "</s>", "<", "|user|>"])).map(
    "".join
)


@given(text=TEXT)
def test_text_comes_back_and_makes_no_symbol(ours: Vocabulary, foreign: Vocabulary, text: str) -> None:
    """Whatever symbols a text spells out, it encodes to ordinary pieces only, in both kinds of model."""
    for each in (ours, foreign):
        tokens = each.encode(text)
        assert not set(tokens) & set(each.symbols.values())
        assert not any(each.is_control(token) for token in tokens)
        assert each.decode(tokens) == text


@given(texts=st.lists(TEXT))
def test_a_batch_is_its_texts_one_by_one(ours: Vocabulary, texts: list[str]) -> None:
    """Texts in a batch, also those that are cut at symbols, encode as SentencePiece encodes their parts alone."""
    plain = sentencepiece.SentencePieceProcessor(model_proto=ours.model)
    for text, tokens in zip(texts, ours.encode_batch(texts), strict=True):
        expected, rest = [], text
        while rest:
            cut = min((rest.find(symbol) for symbol in SYMBOLS if symbol in rest), default=len(rest) - 1) + 1
            expected += plain.encode(rest[:cut])
            rest = rest[cut:]
        assert tokens.tolist() == expected


def test_symbols_of_a_foreign_model_follow_its_pieces(ours: Vocabulary, foreign: Vocabulary) -> None:
    """Ours are pieces 1 to 5; a model that lacks them has them at its end, and they decode to their names."""
    assert list(ours.symbols.values()) == [1, 2, 3, 4, 5]
    assert (ours.num_pieces, ours.vocab_size, ours.appended) == (330, 330, {})
    assert list(foreign.symbols.values()) == [330, 331, 332, 333, 334]
    assert (foreign.num_pieces, foreign.vocab_size, foreign.end_of_document_id) == (330, 335, 330)
    assert foreign.decode([332, *foreign.encode("old man"), 334]) == "<|user|>old man<|end|>"
    assert [foreign.piece(token) for token in (0, 1, 2, 330, 334)] == [
        "<unk>",
        "<s>",
        "</s>",
        "<|endofdoc|>",
        "<|end|>",
    ]


def test_what_a_model_does_to_text_is_known(ours: Vocabulary) -> None:
    """Identity without prefix is exact; a dummy prefix, collapsed white space or NFKC is not."""
    assert ours.is_exact
    for change in (
        {"add_dummy_prefix": True},
        {"remove_extra_whitespaces": True},
        {"normalization_rule_name": "nmt_nfkc"},
        {"normalization_rule_name": "nfkc"},
    ):
        assert not vocabulary(**change).is_exact, change


def test_kinds_of_models_are_told_apart(ours: Vocabulary) -> None:
    """BPE from unigram by its scores, byte fallback by its byte pieces."""
    assert (ours.is_bpe, ours.has_bytes) == (True, True)
    unigram = vocabulary(model_type="unigram", vocab_size=45, byte_fallback=False)
    assert (unigram.is_bpe, unigram.has_bytes) == (False, False)
    assert [ours.piece(token) for token in ours.encode("龘")] == ["<0xE9>", "<0xBE>", "<0x98>"]


def test_other_files_are_refused() -> None:
    """A tokenizer.json is no SentencePiece model, and the message says which file is wanted."""
    with pytest.raises(InputError, match=r"x: not a SentencePiece model; give a tokenizer\.model"):
        Vocabulary(b'{"version": "1.0"}', origin="x")


def test_large_vocabularies_take_four_bytes() -> None:
    """65,536 ids fit in two bytes, 65,537 do not."""
    assert token_dtype(65_536) == "uint16"
    assert token_dtype(65_537) == "uint32"
