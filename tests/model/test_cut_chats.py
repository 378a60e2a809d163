"""Conversations as segments: what is a label, what the context cuts, what a conversation's loss is."""

import pytest
import torch

from ctllm.model.chat_template import RenderedChat
from ctllm.model.checkpoint import load_model
from ctllm.model.cut_chats import chat_loss, cut_chat, cut_chats, row_cut
from ctllm.model.losses import IGNORED
from ctllm.model.tokenizer import Tokenizer


def test_labels_are_the_assistants_tokens() -> None:
    """A label is the next token where the assistant says it; what is cut off is counted."""
    chat = RenderedChat([1, 3, 40, 5, 4, 50, 60, 5], [False] * 5 + [True] * 3)
    whole = cut_chat(chat, lane="zh", context_length=7)
    assert whole.segment[0].tolist() == [1, 3, 40, 5, 4, 50, 60]
    assert whole.segment[1].tolist() == [IGNORED] * 4 + [50, 60, 5]
    assert (whole.num_labels, whole.tokens_cut) == (3, 0)
    short = cut_chat(chat, lane="zh", context_length=5)
    assert (short.segment[1].tolist(), short.num_labels, short.tokens_cut) == ([IGNORED] * 4 + [50], 1, 2)


def test_a_cut_that_leaves_no_answer_is_named(tokenizer_directory: str) -> None:
    """A question longer than the context leaves nothing to learn from; one that fits leaves a shortened answer."""
    tokenizer = Tokenizer(tokenizer_directory)
    rows = [
        {"id": name, "source": "s", "lane": "zh", "messages": [
            {"role": "user", "content": question}, {"role": "assistant", "content": answer}]}
        for name, question, answer in (("a", "长" * 300, "好"), ("b", "写", "长" * 300))
    ]  # fmt: skip
    chats = cut_chats(rows, tokenizer=tokenizer, context_length=64)
    assert [chat.is_usable for chat in chats] == [False, True]
    assert all(len(chat.segment[0]) == 64 for chat in chats)
    cuts = [row_cut(row, chat) for row, chat in zip(rows, chats, strict=True)]
    assert [(cut.id, cut.reason) for cut in cuts] == [("a", "no_answer_left"), ("b", "cut")]
    assert all(cut.tokens_cut > 200 for cut in cuts)


def test_the_loss_is_that_of_the_assistants_tokens_alone(checkpoint: str) -> None:
    """The same sum as by hand from the logits of the plain model, whatever stands where nobody is taught."""
    model, _ = load_model(checkpoint)
    tokens = [1, 30, 40, 50, 60, 70]
    chat = cut_chat(RenderedChat(tokens, [False, False, True, True, False, True]), lane="zh", context_length=64)
    with torch.no_grad():
        logits_TV = model.hidden_states(torch.tensor([tokens]))[0] @ model.head_weight_VD.T
        expected = -sum(logits_TV[at - 1].log_softmax(-1)[tokens[at]].item() for at in (2, 3, 5))
        assert chat_loss(model, chat, padding_id=1) == pytest.approx(expected, rel=1e-5)
