"""The language model: a Llama-shaped decoder (RMSNorm, RoPE, SwiGLU, no biases, MHA or GQA, tied or untied).

Queries and keys are normed per head if the config says so (arXiv 2302.05442), which makes it Qwen3's shape.

Modules carry the names of transformers' `LlamaForCausalLM` without the prefix `model.`, so an export renames nothing
else. Logits, loss and gradients equal that class's to float32 rounding (tests/model/test_transformer.py).

Suffixes of tensors name their axes:
    B sequences   T positions   S positions that can be looked at (cached ones and T)   D d_model
    H query heads   K key and value heads   E width of a head   F d_ffn   V vocabulary
"""

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ctllm.model.attention import Mask, attend, document_mask
from ctllm.schemas.training_config import Backend, ModelConfig


@dataclass
class KeyValueCache:
    """Keys and values of the positions seen so far, for generation; all sequences have the same length."""

    keys_LBKSE: Tensor
    values_LBKSE: Tensor
    length: int = 0

    @classmethod
    def empty(cls, config: ModelConfig, *, num_sequences: int, num_positions: int, like: Tensor) -> "KeyValueCache":
        """Room for `num_positions`, on the device of `like` and in its dtype."""
        shape = (config.num_layers, num_sequences, config.kv_heads, num_positions, config.head_dim)
        return cls(like.new_zeros(shape), like.new_zeros(shape))

    def extend(self, layer: int, keys_BKTE: Tensor, values_BKTE: Tensor) -> tuple[Tensor, Tensor]:
        """Stores new positions of one layer and returns all of them: (B, K, S, E) twice. `length` moves per forward."""
        end = self.length + keys_BKTE.shape[2]
        if end > self.keys_LBKSE.shape[3]:
            raise ValueError(
                f"the cache holds {self.keys_LBKSE.shape[3]} positions, {end} are asked for; make it larger"
            )
        self.keys_LBKSE[layer, :, :, self.length : end] = keys_BKTE
        self.values_LBKSE[layer, :, :, self.length : end] = values_BKTE
        return self.keys_LBKSE[layer, :, :, :end], self.values_LBKSE[layer, :, :, :end]

    def advance(self, num_new: int) -> None:
        """Counts positions that all layers have stored."""
        self.length += num_new

    def positions_BT(self, num_new: int) -> Tensor:
        """Positions of the next `num_new` tokens; one row for all sequences."""
        return torch.arange(self.length, self.length + num_new, device=self.keys_LBKSE.device).unsqueeze(0)

    def mask(self, num_new: int) -> Mask:
        """What the next `num_new` tokens may look at."""
        if not self.length or num_new == 1:
            return Mask(is_causal=num_new > 1)
        seen_TS = torch.ones(num_new, self.length + num_new, dtype=torch.bool, device=self.keys_LBKSE.device)
        return Mask(visible_BTS=seen_TS.tril(self.length).unsqueeze(0))


@dataclass(frozen=True)
class AttentionContext:
    """What all layers share in one forward pass."""

    cos_BTE: Tensor
    sin_BTE: Tensor
    mask: Mask
    cache: KeyValueCache | None


class Linear(nn.Linear):
    """A linear map without bias whose float32 weight is cast to the dtype of its input."""

    def __init__(self, num_inputs: int, num_outputs: int) -> None:
        super().__init__(num_inputs, num_outputs, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """(…, inputs) to (…, outputs)."""
        return F.linear(x, self.weight.to(x.dtype))


class RMSNorm(nn.Module):
    """Root-mean-square norm, computed in float32."""

    def __init__(self, size: int, *, epsilon: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(size))
        self.epsilon = epsilon

    def forward(self, x: Tensor) -> Tensor:
        """(…, D) to (…, D) in the input's dtype."""
        return F.rms_norm(x.float(), self.weight.shape, self.weight.float(), self.epsilon).to(x.dtype)


def rotate(x_BHTE: Tensor, *, cos_BTE: Tensor, sin_BTE: Tensor) -> Tensor:
    """RoPE as Hugging Face lays it out: dimension i turns with dimension i + E/2, not with its neighbour."""
    first, second = x_BHTE.chunk(2, dim=-1)
    turned = torch.cat((-second, first), dim=-1)
    return x_BHTE * cos_BTE.unsqueeze(1) + turned * sin_BTE.unsqueeze(1)


class Attention(nn.Module):
    """Causal self-attention with rotary positions and fewer key and value heads if the config says so."""

    def __init__(self, config: ModelConfig, *, layer: int) -> None:
        super().__init__()
        self.layer, self.head_dim = layer, config.head_dim
        self.q_proj = Linear(config.d_model, config.num_heads * config.head_dim)
        self.k_proj = Linear(config.d_model, config.kv_heads * config.head_dim)
        self.v_proj = Linear(config.d_model, config.kv_heads * config.head_dim)
        self.o_proj = Linear(config.num_heads * config.head_dim, config.d_model)
        self.q_norm = RMSNorm(config.head_dim, epsilon=config.norm_epsilon) if config.qk_norm else None
        self.k_norm = RMSNorm(config.head_dim, epsilon=config.norm_epsilon) if config.qk_norm else None

    def forward(self, x_BTD: Tensor, context: AttentionContext) -> Tensor:
        """(B, T, D) to (B, T, D)."""
        shape = (*x_BTD.shape[:2], -1, self.head_dim)
        q_BTHE, k_BTKE, v_BTKE = (
            projection(x_BTD).view(shape) for projection in (self.q_proj, self.k_proj, self.v_proj)
        )
        if self.q_norm is not None and self.k_norm is not None:
            q_BTHE, k_BTKE = self.q_norm(q_BTHE), self.k_norm(k_BTKE)
        q_BHTE = rotate(q_BTHE.transpose(1, 2), cos_BTE=context.cos_BTE, sin_BTE=context.sin_BTE)
        k_BKSE = rotate(k_BTKE.transpose(1, 2), cos_BTE=context.cos_BTE, sin_BTE=context.sin_BTE)
        v_BKSE = v_BTKE.transpose(1, 2)
        if context.cache is not None:
            k_BKSE, v_BKSE = context.cache.extend(self.layer, k_BKSE, v_BKSE)
        y_BHTE = attend(q_BHTE, k_BKSE, v_BKSE, mask=context.mask)
        y_BTD: Tensor = self.o_proj(y_BHTE.transpose(1, 2).flatten(2))
        return y_BTD


class SwiGLU(nn.Module):
    """down(silu(gate(x)) · up(x))."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.gate_proj = Linear(config.d_model, config.d_ffn)
        self.up_proj = Linear(config.d_model, config.d_ffn)
        self.down_proj = Linear(config.d_ffn, config.d_model)

    def forward(self, x_BTD: Tensor) -> Tensor:
        """(B, T, D) to (B, T, D)."""
        y_BTD: Tensor = self.down_proj(F.silu(self.gate_proj(x_BTD)) * self.up_proj(x_BTD))
        return y_BTD


class Block(nn.Module):
    """One layer: attention, then the feed-forward network, each on the normed residual stream."""

    def __init__(self, config: ModelConfig, *, layer: int) -> None:
        super().__init__()
        self.input_layernorm = RMSNorm(config.d_model, epsilon=config.norm_epsilon)
        self.self_attn = Attention(config, layer=layer)
        self.post_attention_layernorm = RMSNorm(config.d_model, epsilon=config.norm_epsilon)
        self.mlp = SwiGLU(config)

    def forward(self, x_BTD: Tensor, context: AttentionContext) -> Tensor:
        """(B, T, D) to (B, T, D)."""
        x_BTD = x_BTD + self.self_attn(self.input_layernorm(x_BTD), context)
        y_BTD: Tensor = x_BTD + self.mlp(self.post_attention_layernorm(x_BTD))
        return y_BTD


class Transformer(nn.Module):
    """The decoder. Weights are float32; activations have `compute_dtype`. Make one with `new_transformer`."""

    cos_SE: Tensor
    sin_SE: Tensor

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        self.compute_dtype = torch.float32
        self.attention_backend: Backend = "documents"
        self.is_compiled = False
        self.embed_tokens = nn.Embedding(config.vocab_size, config.d_model)
        self.layers = nn.ModuleList(Block(config, layer=layer) for layer in range(config.num_layers))
        self.norm = RMSNorm(config.d_model, epsilon=config.norm_epsilon)
        self.lm_head = None if config.tied_embeddings else Linear(config.d_model, config.vocab_size)
        self.register_buffer("cos_SE", torch.empty(config.context_length, config.head_dim), persistent=False)
        self.register_buffer("sin_SE", torch.empty(config.context_length, config.head_dim), persistent=False)

    @property
    def head_weight_VD(self) -> Tensor:
        """The matrix that turns hidden states into logits; the embedding itself when tied."""
        return self.embed_tokens.weight if self.lm_head is None else self.lm_head.weight

    def hidden_states(
        self,
        tokens_BT: Tensor,
        *,
        positions_BT: Tensor | None = None,
        segments_BT: Tensor | None = None,
        cache: KeyValueCache | None = None,
    ) -> Tensor:
        """States after the last norm, (B, T, D); logits are these times `head_weight_VD`.

        Positions default to counting on from the cache. With `segments_BT` a position sees only earlier positions
        with its own number (documents packed into one sequence); segments and a cache exclude each other.
        Raises ValueError when the positions do not fit the context length.
        """
        context = self._context(tokens_BT, positions_BT=positions_BT, segments_BT=segments_BT, cache=cache)
        x_BTD = self.embed_tokens(tokens_BT).to(self.compute_dtype)
        for block in self.layers:
            x_BTD = block(x_BTD, context)
        if cache is not None:
            cache.advance(tokens_BT.shape[1])
        hidden_BTD: Tensor = self.norm(x_BTD)
        return hidden_BTD

    def forward(
        self,
        tokens_BT: Tensor,
        *,
        positions_BT: Tensor | None = None,
        segments_BT: Tensor | None = None,
        cache: KeyValueCache | None = None,
    ) -> Tensor:
        """Logits of the next token, (B, T, V), float32. Training does not call this: see `losses`."""
        hidden_BTD = self.hidden_states(tokens_BT, positions_BT=positions_BT, segments_BT=segments_BT, cache=cache)
        return F.linear(hidden_BTD, self.head_weight_VD.to(hidden_BTD.dtype)).float()

    def _context(
        self, tokens_BT: Tensor, *, positions_BT: Tensor | None, segments_BT: Tensor | None, cache: KeyValueCache | None
    ) -> AttentionContext:
        if cache is not None and segments_BT is not None:
            raise ValueError("segments are for packed training sequences and a cache for generation; pass one of them")
        num_seen, num_new = (cache.length if cache else 0), tokens_BT.shape[1]
        if num_seen + num_new > self.config.context_length:
            length = self.config.context_length
            raise ValueError(
                f"{num_seen + num_new} positions, but the model's context_length is {length}; shorten the input"
            )
        if positions_BT is None and cache is not None:
            positions_BT = cache.positions_BT(num_new)
        elif positions_BT is None:
            positions_BT = torch.arange(num_new, device=tokens_BT.device).unsqueeze(0)
        return AttentionContext(
            cos_BTE=self.cos_SE[positions_BT].to(self.compute_dtype),
            sin_BTE=self.sin_SE[positions_BT].to(self.compute_dtype),
            mask=self._mask(segments_BT, cache=cache, num_new=num_new),
            cache=cache,
        )

    def _mask(self, segments_BT: Tensor | None, *, cache: KeyValueCache | None, num_new: int) -> Mask:
        if segments_BT is not None:
            return document_mask(segments_BT, backend=self.attention_backend)
        return cache.mask(num_new) if cache is not None else Mask(is_causal=num_new > 1)


def empty_transformer(config: ModelConfig, *, device: torch.device | str = "cpu") -> Transformer:
    """A model whose weights are not set yet; load or initialise them."""
    with torch.device("meta"):
        model = Transformer(config)
    model.to_empty(device=device)
    exponents_E = torch.arange(0, config.head_dim, 2, dtype=torch.float32) / config.head_dim
    frequencies_E = 1.0 / config.rope_theta**exponents_E
    angles_SE = torch.outer(torch.arange(config.context_length, dtype=torch.float32), frequencies_E).repeat(1, 2)
    model.cos_SE.copy_(angles_SE.cos())
    model.sin_SE.copy_(angles_SE.sin())
    return model


@torch.no_grad()
def new_transformer(config: ModelConfig, *, seed: int, device: torch.device | str = "cpu") -> Transformer:
    """A model with initial weights that depend on config and seed only, drawn on the CPU.

    Normal with `init_std`; what writes to the residual stream (`o_proj`, `down_proj`) is divided by sqrt(2 layers)
    (GPT-2 section 2.3, Megatron's scaled init); norms are ones.
    """
    model = empty_transformer(config, device=device)
    generator = torch.Generator().manual_seed(seed)
    residual_std = config.init_std / math.sqrt(2 * config.num_layers)
    for name, parameter in model.named_parameters():
        if parameter.dim() == 1:
            parameter.fill_(1.0)
            continue
        std = residual_std if name.endswith(("o_proj.weight", "down_proj.weight")) else config.init_std
        parameter.copy_(torch.empty(parameter.shape).normal_(0.0, std, generator=generator))
    return model


def num_parameters(config: ModelConfig) -> int:
    """Exact number of weights; a tied embedding counts once."""
    attention = config.d_model * config.head_dim * 2 * (config.num_heads + config.kv_heads)
    norms = 2 * config.d_model + (2 * config.head_dim if config.qk_norm else 0)
    per_layer = attention + 3 * config.d_model * config.d_ffn + norms
    embeddings = (1 if config.tied_embeddings else 2) * config.vocab_size * config.d_model
    return config.num_layers * per_layer + config.d_model + embeddings
