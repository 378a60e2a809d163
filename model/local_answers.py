"""Answers of a checkpoint in this process, through the same cache and with the same replies as those of a server."""

from collections.abc import Sequence
from typing import Any

from ctllm.model.answer_cache import AnswerCache, ChatRequest, HasAnswerCache, Reply
from ctllm.model.chat_template import render_chat, stop_ids
from ctllm.model.checkpoint import find_checkpoint, load_model, weights_digest
from ctllm.model.generate import generate
from ctllm.model.tokenizer import Tokenizer
from ctllm.schemas.progress import Progress, ProgressEvent, silent
from ctllm.schemas.tuning_config import GenerateConfig


class LocalAnswers(HasAnswerCache):
    """Asks a checkpoint for many answers. A context manager: the cache is open inside the block.

    A batch that was answered in part is drawn again as a whole, so a resume gives the answers of one run.
    """

    def __init__(
        self, checkpoint: str, *, cache: str, config: GenerateConfig, per_batch: int, progress: Progress = silent
    ) -> None:
        """Raises InputError when there is no such checkpoint."""
        directory = find_checkpoint(checkpoint)
        self._model, _ = load_model(directory)
        self._tokenizer = Tokenizer(directory)
        self.name = f"checkpoint {weights_digest(self._model)[:16]}"
        super().__init__(AnswerCache(cache))
        self._config, self._per_batch, self._progress = config, per_batch, progress

    def answer_all(self, requests: Sequence[ChatRequest]) -> list[Reply]:
        """One reply per request, in their order; a prompt that fills the context comes back with an error."""
        replies: list[Reply] = []
        for start in range(0, len(requests), self._per_batch):
            replies += self._answer_batch(requests[start : start + self._per_batch], first=start)
            self._progress(ProgressEvent("answers", len(replies), len(requests), unit="answers"))
        return replies

    def _answer_batch(self, requests: Sequence[ChatRequest], *, first: int) -> list[Reply]:
        digests = [request.digest(self.name) for request in requests]
        if any(self._cache.get(digest) is None for digest in digests):
            self._draw(requests, digests, first=first)
        return [self._cache.get(digest) or Reply(digest, None, error=self._too_long(request)) for digest, request in
                zip(digests, requests, strict=True)]  # fmt: skip

    def _draw(self, requests: Sequence[ChatRequest], digests: Sequence[str], *, first: int) -> None:
        prompts = [self._prompt(request) for request in requests]
        fitting = [number for number, prompt in enumerate(prompts) if self._fits(prompt)]
        results = generate(
            self._model,
            [prompts[number] for number in fitting],
            config=self._config.model_copy(update={"seed": self._config.seed + first}),
            stops=stop_ids(self._tokenizer),
            vocab_size=self._tokenizer.vocab_size,
        ) if fitting else []  # fmt: skip
        for number, result in zip(fitting, results, strict=True):
            if self._cache.get(digests[number]) is None:
                text = self._tokenizer.decode(result.tokens)
                self._cache.add(requests[number], model=self.name, reply=self._completion(text, result.ended_by))

    def _completion(self, text: str, ended_by: str) -> dict[str, Any]:
        message = {"role": "assistant", "content": text}
        return {"model": self.name, "choices": [{"index": 0, "message": message, "finish_reason": ended_by}]}

    def _prompt(self, request: ChatRequest) -> list[int]:
        return render_chat(request.messages, tokenizer=self._tokenizer, opens_answer=True).tokens

    def _fits(self, prompt: list[int]) -> bool:
        return len(prompt) < self._model.config.context_length

    def _too_long(self, request: ChatRequest) -> str:
        context_length = self._model.config.context_length
        return f"the prompt of {len(self._prompt(request))} tokens leaves no room in a context of {context_length}"
