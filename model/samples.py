"""What a model writes while it is trained: the same beginnings at each evaluation, in the ledger beside the figures."""

from collections.abc import Mapping, Sequence

from ctllm.model.chat_template import stop_ids
from ctllm.model.generate import generate
from ctllm.model.tokenizer import Tokenizer
from ctllm.model.transformer import Transformer
from ctllm.schemas.errors import ConfigError
from ctllm.schemas.tuning_config import GenerateConfig


class Sampler:
    """Continues fixed beginnings as texts; equal weights write equal samples."""

    def __init__(self, tokenizer: str, prompts: Sequence[str], *, num_tokens: int, context_length: int) -> None:
        """Raises ConfigError when a beginning fills the context."""
        self._prompts, self._config = prompts, GenerateConfig(max_new_tokens=num_tokens)
        self._tokenizer = Tokenizer(tokenizer) if prompts else None
        self._tokens = [self._begin(prompt) for prompt in prompts]
        for prompt, tokens in zip(prompts, self._tokens, strict=True):
            if len(tokens) >= context_length:
                way_out = f"the model's context_length is {context_length}; shorten it"
                raise ConfigError(f"sample_prompts: {prompt!r} is {len(tokens)} tokens long, {way_out}")

    def __call__(self, model: Transformer) -> Mapping[str, str]:
        """Beginning to continuation, up to the end of the document.

        All are written to the full length first, so that several processes do the same number of forward passes.
        """
        if self._tokenizer is None:
            return {}
        results = generate(model, self._tokens, config=self._config, stops=frozenset())
        texts = (self._text(result.tokens, self._tokenizer) for result in results)
        return dict(zip(self._prompts, texts, strict=True))

    def _begin(self, prompt: str) -> list[int]:
        assert self._tokenizer is not None
        return [self._tokenizer.end_of_document_id, *self._tokenizer.encode(prompt)]

    @staticmethod
    def _text(tokens: list[int], tokenizer: Tokenizer) -> str:
        """Rows that pad the model's vocabulary stand for no text and are left out."""
        end = next((place for place, token in enumerate(tokens) if token in stop_ids(tokenizer)), len(tokens))
        return tokenizer.decode([token for token in tokens[:end] if token < tokenizer.vocab_size])
