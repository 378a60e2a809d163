"""A SentencePiece BPE model as the `tokenizer.json` of Hugging Face's tokenizers: the same ids for every text.

transformers 5 has no SentencePiece tokenizer any more, and loads a bare tokenizer.model with a wrong treatment of
spaces. SentencePiece merges the pair whose result has the best score; here every way to put a piece together from two
becomes a merge, ordered by that score. No part of it asks for `transformers` or `tokenizers`.
"""

from typing import Any

from ctllm.model.tokenizer import Tokenizer
from ctllm.schemas.errors import InputError
from ctllm.schemas.vocabulary import SPACE

UNKNOWN_ID = 0  # what SentencePiece numbers first unless told otherwise; with byte fallback no text makes it


def tokenizer_json(tokenizer: Tokenizer) -> dict[str, Any]:
    """The content of tokenizer.json. Symbols are added tokens: a text in which one is written out gets the symbol.

    Raises InputError for models whose text treatment it cannot express: not BPE, normalising, without byte fallback.
    """
    _check_expressible(tokenizer)
    pieces = [tokenizer.piece(token) for token in range(tokenizer.vocab_size)]
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": added_tokens(tokenizer),
        "normalizer": {"type": "Replace", "pattern": {"String": " "}, "content": SPACE},
        "pre_tokenizer": None,
        "post_processor": None,
        "decoder": {
            "type": "Sequence",
            "decoders": [
                {"type": "Replace", "pattern": {"String": SPACE}, "content": " "},
                {"type": "ByteFallback"},
                {"type": "Fuse"},
            ],
        },
        "model": {
            "type": "BPE",
            "dropout": None,
            "unk_token": pieces[UNKNOWN_ID],
            "continuing_subword_prefix": None,
            "end_of_word_suffix": None,
            "fuse_unk": True,
            "byte_fallback": True,
            "ignore_merges": False,
            "vocab": {piece: token for token, piece in enumerate(pieces)},
            "merges": _merges(tokenizer, pieces),
        },
    }


def added_tokens(tokenizer: Tokenizer) -> list[dict[str, Any]]:
    """The unknown token and the symbols, which are recognised in texts before anything else."""
    flags = dict.fromkeys(("single_word", "lstrip", "rstrip", "normalized"), False)
    ids = sorted({UNKNOWN_ID, *tokenizer.symbols.values()})
    return [{"id": token, "content": tokenizer.piece(token), "special": True, **flags} for token in ids]


def _check_expressible(tokenizer: Tokenizer) -> None:
    lacks = {
        "is no BPE model": not tokenizer.is_bpe,
        "normalises text or puts a space before it": not tokenizer.is_exact,
        "has no byte fallback": not tokenizer.has_bytes,
    }
    if found := [reason for reason, holds in lacks.items() if holds]:
        raise InputError(
            f"{tokenizer.origin}: {' and '.join(found)}, so no tokenizer.json gives its ids; export a model whose "
            "tokenizer is BPE as it comes from `ctllm tokenizer train`"
        )


def _merges(tokenizer: Tokenizer, pieces: list[str]) -> list[tuple[str, str]]:
    """All splits of every piece into two others, best result first. SentencePiece numbers pieces by falling score."""
    ordinary = {
        piece: token
        for token, piece in enumerate(pieces)
        if not tokenizer.is_control(token) and not tokenizer.is_byte(token)
    }
    merges = []
    for piece in ordinary:
        splits = ((piece[:at], piece[at:]) for at in range(1, len(piece)))
        known = [(left, right) for left, right in splits if left in ordinary and right in ordinary]
        merges += sorted(known, key=lambda split: (ordinary[split[0]], ordinary[split[1]]))
    return merges
