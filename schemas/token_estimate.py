"""Tokens a text will have, guessed from characters alone: for funnels before a tokenizer exists."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

TOKENS_PER_HAN_CHAR = 0.62  # 32k-125k Chinese-centric SentencePiece models give .55-.70
TOKENS_PER_OTHER_CHAR = 0.27  # English prose 3.5-4 characters a token, code 3-3.5


def estimate_tokens(num_chars: np.ndarray, han_share: np.ndarray) -> np.ndarray:
    """Estimated tokens of documents with `num_chars` code points of which `han_share` are Han: int64, same shape."""
    per_char = han_share * TOKENS_PER_HAN_CHAR + (1 - han_share) * TOKENS_PER_OTHER_CHAR
    return np.rint(num_chars * per_char).astype(np.int64)


def estimate_from_signals(signals: pa.Table) -> np.ndarray:
    """Estimated tokens per row of a SIGNALS table: int64."""
    han_share = pc.fill_null(signals["han_share"], 0.0).to_numpy()
    return estimate_tokens(signals["num_chars"].to_numpy(), np.nan_to_num(han_share))
