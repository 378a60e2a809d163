"""Layers computed again or compiled give the gradients of plain ones, and a missing compiler is named."""

from functools import partial

import pytest
import torch
from torch import Tensor

from ctllm.model import block_execution
from ctllm.model.block_execution import is_compiled, set_up_layers
from ctllm.model.transformer import Transformer, new_transformer
from ctllm.schemas.errors import MissingPartError
from ctllm.schemas.training_config import LoopConfig, ModelConfig, Recompute

TOKENS_BT = torch.randint(0, 64, (2, 32), generator=torch.Generator().manual_seed(0))
SEGMENTS_BT = (torch.arange(32) // 12).expand(2, 32)


def gradients(model: Transformer) -> list[Tensor]:
    """Of the sum of squares of the last states, over two packed sequences."""
    model.hidden_states(TOKENS_BT, segments_BT=SEGMENTS_BT).square().sum().backward()  # type: ignore[no-untyped-call]
    return [weight.grad for weight in model.parameters() if weight.grad is not None]


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("recompute", ["selective", "full"])
def test_recomputing_changes_no_bit(tiny: ModelConfig, recompute: Recompute, dtype: torch.dtype) -> None:
    """The same operators run on the same numbers, once more; the model is trained all the same."""
    models = [new_transformer(tiny, seed=0) for _ in range(2)]
    for model in models:
        model.compute_dtype = dtype
    set_up_layers(models[1], recompute=recompute, compiled=False)
    plain, again = map(gradients, models)
    assert len(plain) == len(list(models[0].parameters()))
    assert all(map(torch.equal, again, plain))


@pytest.mark.parametrize("recompute", ["none", "selective"])
def test_one_graph_serves_all_layers(tiny: ModelConfig, recompute: Recompute, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both layers run one compiled graph without a break; gradients are those of plain layers; evaluation stays plain.

    The graph is run by torch's own reference back end here, for inductor takes a minute to compile it.
    """
    monkeypatch.setattr(block_execution.torch, "compile", partial(torch.compile, backend="aot_eager", fullgraph=True))
    torch._dynamo.reset()
    torch._dynamo.utils.counters.clear()
    plain, compiled = (new_transformer(tiny, seed=0) for _ in range(2))
    plain.attention_backend = compiled.attention_backend = "sdpa"
    set_up_layers(compiled, recompute=recompute, compiled=True)
    with torch.no_grad():
        compiled.hidden_states(TOKENS_BT)
    assert torch._dynamo.utils.counters["stats"]["unique_graphs"] == 0
    for found, expected in zip(gradients(compiled), gradients(plain), strict=True):
        assert torch.allclose(found, expected, rtol=1e-5, atol=1e-5)
    assert torch._dynamo.utils.counters["stats"]["unique_graphs"] == 1


def test_a_missing_compiler_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """`always` without one is refused; `auto` on a GPU goes on without; on a CPU nothing is compiled unless asked."""
    loops = {
        how: LoopConfig.model_validate({"steps": 1, "sequences_per_step": 1, "compile_layers": how})
        for how in ("auto", "always", "never")
    }
    cpu, gpu = torch.device("cpu"), torch.device("cuda")
    monkeypatch.setenv("CXX", "python3")
    assert [is_compiled(loop, device=cpu) for loop in loops.values()] == [False, True, False]
    assert [is_compiled(loop, device=gpu) for loop in loops.values()] == [True, True, False]
    monkeypatch.setenv("CXX", "no-such-compiler")
    assert not is_compiled(loops["auto"], device=gpu)
    with pytest.raises(MissingPartError, match=r"there is no no-such-compiler; install g\+\+, name yours in CXX"):
        is_compiled(loops["always"], device=cpu)
