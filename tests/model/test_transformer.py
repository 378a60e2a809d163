"""The transformer against transformers' LlamaForCausalLM, against itself in other cuts, and its parameter counts."""

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from ctllm.model import transformer
from ctllm.model.losses import IGNORED, cross_entropy_sum
from ctllm.model.transformer import KeyValueCache, Transformer, new_transformer, num_parameters
from ctllm.schemas.training_config import ModelConfig, model_presets

COUNTS = {
    "ci_0m9": 857_216,
    "m3": 3_344_064,
    "t10m": 10_621_184,
    "t26m": 23_994_240,
    "s60m": 55_325_184,
    "s160m": 138_437_376,
    "m410m": 393_274_368,
    "l1b": 909_989_376,
    "ctllm_2b": 1_876_559_872,
    "ctllm_2b_released": 2_134_509_568,
}
"""Worked out with the formula of training-reference 3.1; the last two are the published ones."""


@pytest.mark.parametrize("preset", model_presets())
def test_parameter_count_is_exact(preset: str) -> None:
    """The formula gives the weights that torch would hold, which are those of the ladder."""
    config = ModelConfig.model_validate(preset)
    with torch.device("meta"):
        model = Transformer(config)
    assert sum(parameter.numel() for parameter in model.parameters()) == num_parameters(config)
    assert num_parameters(config) == COUNTS[preset]


@pytest.fixture(params=["grouped-tied", "full-untied", "grouped-normed"])
def config(request: pytest.FixtureRequest, tiny: ModelConfig) -> ModelConfig:
    """The tiny shape with grouped heads and a tied head, with neither, and with normed queries and keys."""
    if request.param != "full-untied":
        return tiny.model_copy(update={"qk_norm": request.param == "grouped-normed"})
    return tiny.model_copy(update={"num_kv_heads": None, "tied_embeddings": False})


def random_model(config: ModelConfig) -> Transformer:
    """Weights large enough, and norms uneven enough, that a mistake anywhere shows in the logits."""
    model = new_transformer(config.model_copy(update={"init_std": 0.2}), seed=1)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() == 1:
                parameter.copy_(1 + 0.3 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(2)))
    return model.eval()


def random_tokens(config: ModelConfig, *shape: int) -> Tensor:
    """Tokens that are the same in every run."""
    return torch.randint(0, config.vocab_size, shape, generator=torch.Generator().manual_seed(3))


def llama(model: Transformer) -> torch.nn.Module:
    """The same weights in transformers' class; Qwen3 is its Llama with normed queries and keys."""
    from transformers import LlamaConfig, LlamaForCausalLM, Qwen3Config, Qwen3ForCausalLM

    config = model.config
    shape, reference_class = (Qwen3Config, Qwen3ForCausalLM) if config.qk_norm else (LlamaConfig, LlamaForCausalLM)
    reference = reference_class(
        shape(
            vocab_size=config.vocab_size,
            hidden_size=config.d_model,
            num_hidden_layers=config.num_layers,
            num_attention_heads=config.num_heads,
            num_key_value_heads=config.kv_heads,
            head_dim=config.head_dim,
            intermediate_size=config.d_ffn,
            max_position_embeddings=config.context_length,
            rms_norm_eps=config.norm_epsilon,
            rope_theta=config.rope_theta,
            tie_word_embeddings=config.tied_embeddings,
            attn_implementation="eager",
        )
    )
    weights = {key if key.startswith("lm_head") else f"model.{key}": value for key, value in model.state_dict().items()}
    missing, unexpected = reference.load_state_dict(weights, strict=False)
    assert not unexpected
    assert set(missing) <= {"lm_head.weight"}
    return reference.eval()


def test_logits_equal_llama(config: ModelConfig) -> None:
    """Logits differ from LlamaForCausalLM's by float32 rounding only."""
    model, tokens_BT = random_model(config), random_tokens(config, 2, 32)
    expected = llama(model)(tokens_BT).logits
    assert (model(tokens_BT) - expected).abs().max() < 2e-6 * expected.abs().max()


def test_interleaved_rope_does_not_equal_llama(config: ModelConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    """Negative control: with the other layout of rotary positions the comparison fails."""
    model, tokens_BT = random_model(config), random_tokens(config, 2, 32)
    expected = llama(model)(tokens_BT).logits

    def interleaved(x_BHTE: Tensor, *, cos_BTE: Tensor, sin_BTE: Tensor) -> Tensor:
        turned = torch.stack((-x_BHTE[..., 1::2], x_BHTE[..., ::2]), dim=-1).flatten(-2)
        return x_BHTE * cos_BTE.unsqueeze(1) + turned * sin_BTE.unsqueeze(1)

    monkeypatch.setattr(transformer, "rotate", interleaved)
    assert (model(tokens_BT) - expected).abs().max() > 1e-2


def test_loss_and_gradients_equal_llama(config: ModelConfig) -> None:
    """The mean loss over labels and every gradient are LlamaForCausalLM's."""
    model, tokens_BT = random_model(config), random_tokens(config, 2, 32)
    labels_BT = torch.cat((tokens_BT[:, 1:], torch.full((2, 1), IGNORED)), dim=1)
    labels_BT[0, 5:9] = IGNORED
    loss_sum, num_labels = cross_entropy_sum(model.hidden_states(tokens_BT), model.head_weight_VD, labels_BT)
    (loss_sum / num_labels).backward()  # type: ignore[no-untyped-call]
    reference = llama(model)
    shifted_BT = torch.cat((torch.full((2, 1), IGNORED), labels_BT[:, :-1]), dim=1)
    expected = reference(tokens_BT, labels=shifted_BT).loss
    expected.backward()
    gradients = {name.removeprefix("model."): each.grad for name, each in reference.named_parameters()}
    assert loss_sum.item() / num_labels == pytest.approx(expected.item(), abs=1e-6)
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None
        torch.testing.assert_close(parameter.grad, gradients[name], atol=1e-6, rtol=1e-5)


def test_initial_loss_is_that_of_guessing() -> None:
    """A new model gives every token about the same probability: its loss is ln of the vocabulary size."""
    config = ModelConfig.model_validate("ci_0m9")
    model, tokens_BT = new_transformer(config, seed=0), random_tokens(config, 2, 256)
    loss_sum, num_labels = cross_entropy_sum(
        model.hidden_states(tokens_BT), model.head_weight_VD, tokens_BT.roll(-1, 1)
    )
    assert loss_sum.item() / num_labels == pytest.approx(math.log(512), abs=0.1)


def test_packed_documents_are_as_if_alone(config: ModelConfig) -> None:
    """Documents in one sequence, masked, get the logits they get alone; without the mask they do not."""
    model, tokens_BT = random_model(config), random_tokens(config, 1, 32)
    lengths = (5, 20, 7)
    segments_BT = torch.repeat_interleave(torch.arange(3), torch.tensor(lengths))[None]
    positions_BT = torch.cat([torch.arange(length) for length in lengths])[None]
    alone = torch.cat([model(part) for part in tokens_BT.split(lengths, dim=1)], dim=1)
    packed = model(tokens_BT, positions_BT=positions_BT, segments_BT=segments_BT)
    assert (packed - alone).abs().max() < 1e-5
    assert (model(tokens_BT, positions_BT=positions_BT) - alone).abs().max() > 0.1


def test_rotary_positions_are_relative(config: ModelConfig) -> None:
    """A masked document gives the same logits wherever in the sequence its positions start."""
    model, tokens_BT = random_model(config), random_tokens(config, 1, 10)
    later = model(tokens_BT, positions_BT=torch.arange(15, 25)[None])
    assert (later - model(tokens_BT)).abs().max() < 2e-5


@pytest.mark.parametrize("cuts", [[32], [1] * 32, [10, 1, 1, 20]], ids=["whole", "one by one", "in chunks"])
def test_cached_logits_equal_uncached(config: ModelConfig, cuts: list[int]) -> None:
    """Generation with a cache sees what training sees, however the prompt is cut."""
    model, tokens_BT = random_model(config), random_tokens(config, 2, 32)
    cache = KeyValueCache.empty(config, num_sequences=2, num_positions=32, like=model.norm.weight)
    with torch.no_grad():
        logits = torch.cat([model(part, cache=cache) for part in tokens_BT.split(cuts, dim=1)], dim=1)
        assert (logits - model(tokens_BT)).abs().max() < 1e-5
    assert cache.length == 32


def test_weights_follow_from_the_seed(tiny: ModelConfig) -> None:
    """Equal seeds give equal bits, other seeds other weights; the global random state plays no part."""
    torch.manual_seed(5)
    first = new_transformer(tiny, seed=0).state_dict()
    torch.manual_seed(6)
    again, other = new_transformer(tiny, seed=0).state_dict(), new_transformer(tiny, seed=1).state_dict()
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not torch.equal(first["embed_tokens.weight"], other["embed_tokens.weight"])


def test_bfloat16_activations_keep_float32_weights(tiny: ModelConfig) -> None:
    """`compute_dtype` changes activations and little in the result; weights and their gradients stay float32."""
    model, tokens_BT = random_model(tiny), random_tokens(tiny, 2, 32)
    expected = model(tokens_BT)
    model.compute_dtype = torch.bfloat16
    hidden_BTD = model.hidden_states(tokens_BT)
    cross_entropy_sum(hidden_BTD, model.head_weight_VD, tokens_BT)[0].backward()  # type: ignore[no-untyped-call]
    assert hidden_BTD.dtype == torch.bfloat16
    assert {each.grad.dtype for each in model.parameters() if each.grad is not None} == {torch.float32}
    assert 0 < (model(tokens_BT) - expected).abs().max() < 0.1 * expected.abs().max()


def test_misuse_is_refused(tiny: ModelConfig) -> None:
    """Too long a sequence, a cache beside packed documents and an overfull cache are errors, not wrong numbers."""
    model = new_transformer(tiny, seed=0)
    cache = KeyValueCache.empty(tiny, num_sequences=1, num_positions=4, like=model.norm.weight)
    calls: dict[str, Callable[[], Tensor]] = {
        "33 positions, but the model's context_length is 32": lambda: model(random_tokens(tiny, 1, 33)),
        "pass one of them": lambda: model(
            random_tokens(tiny, 1, 4), segments_BT=torch.zeros(1, 4, dtype=torch.long), cache=cache
        ),
        "holds 4 positions, 5 are asked for": lambda: model(random_tokens(tiny, 1, 5), cache=cache),
    }
    for message, call in calls.items():
        with pytest.raises(ValueError, match=message):
            call()
