"""How likely a model finds continuations after contexts, with every common beginning computed once.

A batch is a tree of three levels: what all its contexts begin with (examples in front of questions), each context's own
rest, each continuation. Levels are fed into one key-value cache whose rows are multiplied in between; so four answers
to a question after five examples cost one pass over the examples per batch and one over the question.

Suffixes: B rows   T positions   V vocabulary   D width of the model
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from ctllm.model.completions import Completion
from ctllm.model.ragged_cache import RaggedCache, feed
from ctllm.model.tokenizer import Tokenizer
from ctllm.model.transformer import Transformer


@dataclass(frozen=True)
class Likelihood:
    """What became of one completion."""

    log_probability: float
    """Sum over the tokens of the continuation, in nats."""
    is_greedy: bool
    """Every token was the likeliest at its place."""


def encode_pair(context: str, continuation: str, *, tokenizer: Tokenizer, context_length: int) -> Completion:
    """Context and continuation as lm-evaluation-harness splits them, after the symbol that begins a document.

    Both are encoded as one text; the continuation is what follows the tokens of the context alone; white space between
    them belongs to the continuation. A context that is too long loses its beginning.
    """
    kept = context.rstrip()
    continuation = context[len(kept) :] + continuation
    length = len(tokenizer.encode(kept))
    whole = tokenizer.encode(kept + continuation)
    prompt, tokens = whole[:length], whole[length:][:context_length]
    room = context_length - len(tokens)  # prompt, begin symbol and continuation less its last token are fed
    return Completion([tokenizer.end_of_document_id, *prompt[max(0, len(prompt) - room) :]], tokens)


def is_truncated(context: str, completion: Completion, *, tokenizer: Tokenizer) -> bool:
    """Whether the completion lacks tokens of its context."""
    return len(completion.prompt) - 1 < len(tokenizer.encode(context.rstrip()))


@torch.no_grad()
def score(model: Transformer, completions: Sequence[Completion], *, per_batch: int) -> list[Likelihood]:
    """The likelihood of each completion, in order. They must fit the context; `per_batch` bounds rows of the cache.

    Contexts are batched in sorted order, so that neighbours share long beginnings.
    """
    by_prompt: dict[tuple[int, ...], list[int]] = {}
    for number, completion in enumerate(completions):
        by_prompt.setdefault(tuple(completion.prompt), []).append(number)
    results: dict[int, Likelihood] = {}
    for prompts in _batches(sorted(by_prompt), by_prompt, per_batch=per_batch):
        members = [by_prompt[prompt] for prompt in prompts]
        answers = [[completions[number].tokens for number in numbers] for numbers in members]
        flat = [number for numbers in members for number in numbers]
        results.update(zip(flat, _score_batch(model, prompts, answers), strict=True))
    return [results[number] for number in range(len(completions))]


def _batches(
    prompts: Sequence[tuple[int, ...]], members: dict[tuple[int, ...], list[int]], *, per_batch: int
) -> Iterator[list[tuple[int, ...]]]:
    batch: list[tuple[int, ...]] = []
    num_rows = 0
    for prompt in prompts:
        if batch and num_rows + len(members[prompt]) > per_batch:
            yield batch
            batch, num_rows = [], 0
        batch.append(prompt)
        num_rows += len(members[prompt])
    if batch:
        yield batch


def _score_batch(
    model: Transformer, prompts: Sequence[tuple[int, ...]], answers: Sequence[Sequence[list[int]]]
) -> Iterator[Likelihood]:
    """One likelihood per answer, prompt after prompt."""
    cache, last_BD = _feed_prompts(model, prompts)
    first_BV = _log_probabilities(model, last_BD)
    longer = [[tokens for tokens in group if len(tokens) > 1] for group in answers]
    later = _later_tokens(model, cache, longer) if any(longer) else iter(())
    for log_V, group in zip(first_BV, answers, strict=True):
        best = int(log_V.argmax())
        for tokens in group:
            begin, is_first_greedy = float(log_V[tokens[0]]), tokens[0] == best
            rest, is_rest_greedy = next(later) if len(tokens) > 1 else (0.0, True)
            yield Likelihood(begin + rest, is_first_greedy and is_rest_greedy)


def _feed_prompts(model: Transformer, prompts: Sequence[tuple[int, ...]]) -> tuple[RaggedCache, Tensor]:
    """A cache with a row per prompt, and the hidden state after each prompt, (B, D)."""
    num_common = min(_num_common(prompts[0], prompts[-1]), min(map(len, prompts)) - 1)  # sorted: these two differ most
    rests = [prompt[num_common:] for prompt in prompts]
    longest = max(map(len, rests))
    like = torch.empty((), dtype=model.compute_dtype, device=next(model.parameters()).device)
    cache = RaggedCache.empty(model.config, num_sequences=1, num_positions=num_common + longest, like=like)
    if num_common:
        feed(model, cache, [prompts[0][:num_common]])
    cache = cache.repeated([len(prompts)])
    hidden_BTD = feed(model, cache, rests)
    ends_B = torch.tensor([len(rest) - 1 for rest in rests], device=hidden_BTD.device)
    return cache, hidden_BTD[torch.arange(len(rests), device=hidden_BTD.device), ends_B]


def _num_common(first: Sequence[int], second: Sequence[int]) -> int:
    number = 0
    for one, other in zip(first, second, strict=False):
        if one != other:
            break
        number += 1
    return number


def _later_tokens(
    model: Transformer, cache: RaggedCache, answers: Sequence[Sequence[list[int]]]
) -> Iterator[tuple[float, bool]]:
    """Log-probability of all tokens but the first of each answer, and whether all of them are the likeliest."""
    rows = [tokens for group in answers for tokens in group]
    cache = cache.repeated([len(group) for group in answers]).widened(max(map(len, rows)) - 1)
    hidden_BTD = feed(model, cache, [tokens[:-1] for tokens in rows])
    for hidden_TD, tokens in zip(hidden_BTD, rows, strict=True):
        log_TV = _log_probabilities(model, hidden_TD[: len(tokens) - 1])
        labels_T = torch.tensor(tokens[1:])
        taken_T = log_TV.gather(1, labels_T.unsqueeze(1)).squeeze(1)
        yield float(taken_T.double().sum()), bool((log_TV.argmax(1) == labels_T).all())


def _log_probabilities(model: Transformer, hidden_ND: Tensor) -> Tensor:
    """(N, V), float32, on the CPU."""
    logits_NV = F.linear(hidden_ND, model.head_weight_VD.to(hidden_ND.dtype)).float()
    return logits_NV.log_softmax(1).cpu()
