"""Our SentencePiece model as the `tokenizer.json` of Hugging Face's tokenizers: the same ids for every text.

transformers 5 has no SentencePiece tokenizer any more, and loads a bare tokenizer.model with a wrong treatment of
spaces. SentencePiece merges the pair whose result has the best score; here every way to put a piece together from two
becomes a merge, ordered by that score. No part of it asks for `transformers` or `tokenizers`.
"""

from typing import Any

from ctllm.model.tokenizer import Tokenizer
from ctllm.schemas.tokens import SYMBOLS

UNKNOWN_ID = 0  # SYMBOLS are pieces 1 to 5 (schemas/tokens.py)
SPACE = "\u2581"  # how SentencePiece writes a space


def tokenizer_json(tokenizer: Tokenizer) -> dict[str, Any]:
    """The content of tokenizer.json. Symbols are added tokens: a text in which one is written out gets the symbol."""
    pieces = [tokenizer.piece(token) for token in range(tokenizer.vocab_size)]
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [_added_token(token, pieces[token]) for token in range(UNKNOWN_ID, len(SYMBOLS) + 1)],
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
            "merges": _merges(pieces),
        },
    }


def _added_token(token: int, piece: str) -> dict[str, Any]:
    flags = dict.fromkeys(("single_word", "lstrip", "rstrip", "normalized"), False)
    return {"id": token, "content": piece, "special": True, **flags}


def _merges(pieces: list[str]) -> list[tuple[str, str]]:
    """All splits of every piece into two others, best result first. SentencePiece numbers pieces by falling score."""
    ordinary = {piece: token for token, piece in enumerate(pieces) if token > len(SYMBOLS) and not _is_byte(piece)}
    merges = []
    for piece in ordinary:
        splits = ((piece[:at], piece[at:]) for at in range(1, len(piece)))
        known = [(left, right) for left, right in splits if left in ordinary and right in ordinary]
        merges += sorted(known, key=lambda split: (ordinary[split[0]], ordinary[split[1]]))
    return merges


def _is_byte(piece: str) -> bool:
    return len(piece) == len("<0x00>") and piece.startswith("<0x")
