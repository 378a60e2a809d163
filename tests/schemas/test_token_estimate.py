"""Token estimates before there is a tokenizer."""

import numpy as np

from ctllm.schemas.token_estimate import estimate_tokens


def test_han_text_has_more_tokens_per_character() -> None:
    """A Chinese text of 1,000 characters is estimated at 620 tokens, an English one at 270, an empty one at none."""
    found = estimate_tokens(np.array([1000, 1000, 0]), np.array([1.0, 0.0, 0.0]))
    assert found.tolist() == [620, 270, 0]
