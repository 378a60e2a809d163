"""Back ends of attention: one result, chosen by measurement."""

import pytest
import torch
from torch import Tensor

from ctllm.model.attention import Mask, attend, document_mask, pick_backend
from ctllm.schemas.training_config import ModelConfig

SEGMENTS_BT = torch.repeat_interleave(torch.tensor([[0, 1, 2], [0, 1, 2]]), torch.tensor([100, 50, 10]), dim=1)


def random_heads(heads: int, seed: int) -> Tensor:
    """(2, heads, 160, 16)."""
    return torch.randn(2, heads, 160, 16, generator=torch.Generator().manual_seed(seed))


def attend_slowly(q_BHTE: Tensor, k_BKSE: Tensor, v_BKSE: Tensor, segments_BT: Tensor) -> Tensor:
    """One query at a time over the positions it may see, in float64."""
    y_BHTE = torch.zeros(q_BHTE.shape, dtype=torch.float64)
    group = q_BHTE.shape[1] // k_BKSE.shape[1]
    for b, h, t in torch.cartesian_prod(*(torch.arange(size) for size in q_BHTE.shape[:3])).tolist():
        seen = [s for s in range(t + 1) if segments_BT[b, s] == segments_BT[b, t]]
        scores = k_BKSE[b, h // group, seen].double() @ q_BHTE[b, h, t].double() / 4
        y_BHTE[b, h, t] = torch.softmax(scores, 0) @ v_BKSE[b, h // group, seen].double()
    return y_BHTE


@pytest.mark.parametrize("kv_heads", [1, 2], ids=["grouped", "full"])
def test_back_ends_equal_the_definition(kv_heads: int) -> None:
    """The dense mask, documents in turn and the block mask give the formula's result; without a mask it differs."""
    q_BHTE, k_BKSE, v_BKSE = random_heads(2, 0), random_heads(kv_heads, 1), random_heads(kv_heads, 2)
    expected = attend_slowly(q_BHTE, k_BKSE, v_BKSE, SEGMENTS_BT)
    for backend in ("sdpa", "documents", "flex"):
        y_BHTE = attend(q_BHTE, k_BKSE, v_BKSE, mask=document_mask(SEGMENTS_BT, backend=backend))
        assert (y_BHTE - expected).abs().max() < 1e-5
    assert (attend(q_BHTE, k_BKSE, v_BKSE, mask=Mask()) - expected).abs().max() > 0.1


def test_varlen_bounds_are_those_of_the_documents() -> None:
    """Documents of all sequences end to end, padded to a power of two with empty ones at the end."""
    bounds_D = document_mask(SEGMENTS_BT, backend="varlen").bounds_D
    assert bounds_D is not None
    assert bounds_D.dtype == torch.int32
    assert bounds_D.tolist() == [0, 100, 150, 160, 260, 310] + [320] * 58
    many = document_mask(torch.arange(64)[None], backend="varlen").bounds_D
    assert many is not None
    assert (len(many), many[-1].item()) == (128, 64)


@pytest.mark.usefixtures("varlen_on_cpu")
def test_varlen_sees_whole_documents() -> None:
    """Laid end to end and cut at the bounds, each document attends to itself: the reference's result."""
    q_BHTE, k_BKSE, v_BKSE = random_heads(2, 0), random_heads(1, 1), random_heads(1, 2)
    y_BHTE = attend(q_BHTE, k_BKSE, v_BKSE, mask=document_mask(SEGMENTS_BT, backend="varlen"))
    expected = attend(q_BHTE, k_BKSE, v_BKSE, mask=document_mask(SEGMENTS_BT, backend="sdpa"))
    assert (y_BHTE - expected).abs().max() < 1e-6


def test_a_cpu_has_one_back_end(tiny: ModelConfig) -> None:
    """Nothing is measured where there is nothing to choose."""
    assert pick_backend(tiny, sequences=1, device=torch.device("cpu"), dtype=torch.float32) == ("documents", {})
