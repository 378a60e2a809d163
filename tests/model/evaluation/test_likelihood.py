"""Likelihoods with shared beginnings equal those of one plain pass per text."""

from collections.abc import Callable

import pytest
import torch

from ctllm.model.checkpoint import load_model
from ctllm.model.completions import Completion
from ctllm.model.evaluation.likelihood import encode_pair, score
from ctllm.model.tokenizer import Tokenizer
from ctllm.model.transformer import Transformer

HEADER = [1, *range(20, 40)]
COMPLETIONS = [
    *(Completion([*HEADER, 5, 6, 7], [token]) for token in (8, 9, 10)),  # letters of one question
    *(Completion([*HEADER, 50], list(range(60, 60 + length))) for length in (1, 4, 9)),  # answers of one question
    Completion(HEADER, [3, 3]),  # a prompt that begins the others
    Completion([1], [70, 71]),
    Completion([2, 9], [1]),
    Completion([1] * 120, [9] * 9),  # fills the context
    Completion([*HEADER, 5, 6, 7], [8]),  # asked twice
]


@pytest.fixture(scope="module")
def model(make_checkpoint: Callable[..., str]) -> Transformer:
    """Untrained, with weights large enough to have opinions."""
    return load_model(make_checkpoint(init_std=0.3))[0]


def plain(model: Transformer, completion: Completion) -> tuple[float, bool]:
    """The oracle."""
    whole = completion.prompt + completion.tokens
    with torch.no_grad():
        log_TV = model(torch.tensor([whole[:-1]]))[0].log_softmax(-1)[len(completion.prompt) - 1 :]
    tokens_T = torch.tensor(completion.tokens)
    return log_TV.gather(1, tokens_T[:, None]).sum().item(), bool((log_TV.argmax(1) == tokens_T).all())


@pytest.mark.parametrize("per_batch", [1, 4, 100])
def test_shared_beginnings_change_nothing(model: Transformer, per_batch: int) -> None:
    """For any size of batches each completion has the log-probability of a plain pass, in the order given."""
    results = score(model, COMPLETIONS, per_batch=per_batch)
    for completion, result in zip(COMPLETIONS, results, strict=True):
        expected, _ = plain(model, completion)
        assert result.log_probability == pytest.approx(expected, abs=1e-3)


def test_greedy_means_every_token(model: Transformer) -> None:
    """What the model would write is greedy, and no longer is with another token at its beginning or end."""
    tokens = list[int]()
    for _ in range(4):
        with torch.no_grad():
            tokens.append(int(model(torch.tensor([[*HEADER, *tokens]]))[0, -1].argmax()))
    others = [[*tokens[:3], tokens[3] ^ 1], [tokens[0] ^ 1, *tokens[1:]], tokens[:1]]
    results = score(model, [Completion(HEADER, each) for each in (tokens, *others)], per_batch=8)
    assert [result.is_greedy for result in results] == [True, False, False, True]


def test_pairs_are_split_where_the_context_ends(tokenizer_directory: str) -> None:
    """The text is encoded as a whole, spaces go to the continuation, and a long context keeps its end."""
    tokenizer = Tokenizer(tokenizer_directory)
    pair = encode_pair("The cat ", "sat", tokenizer=tokenizer, context_length=64)
    assert pair.prompt == [tokenizer.end_of_document_id, *tokenizer.encode("The cat")]
    assert tokenizer.decode(pair.tokens) == " sat"
    assert encode_pair("", "春", tokenizer=tokenizer, context_length=64).prompt == [tokenizer.end_of_document_id]
    long = encode_pair("长" * 50 + "。", "答", tokenizer=tokenizer, context_length=20)
    assert len(long.prompt) + len(long.tokens) - 1 == 20
    assert tokenizer.decode(long.prompt[1:]).endswith("。")
