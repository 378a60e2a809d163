"""A Llama written as nanoGPT writes its GPT: one file, fused queries, keys and values, whole logits, causal SDPA.

For benchmarks/training.py; the shape and, through `load`, the weights are those of our model. No document masks.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ctllm.model.transformer import Transformer
from ctllm.schemas.training_config import ModelConfig


class PlainBlock(nn.Module):
    """Attention and feed-forward network on the residual stream."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.num_heads, width = config.num_heads, config.d_model
        self.attn_norm = nn.RMSNorm(width, eps=config.norm_epsilon)
        self.c_attn = nn.Linear(width, 3 * width, bias=False)
        self.c_proj = nn.Linear(width, width, bias=False)
        self.ffn_norm = nn.RMSNorm(width, eps=config.norm_epsilon)
        self.gate_up = nn.Linear(width, 2 * config.d_ffn, bias=False)
        self.down = nn.Linear(config.d_ffn, width, bias=False)

    def forward(self, x_BTD: Tensor, cos_TE: Tensor, sin_TE: Tensor) -> Tensor:
        """(B, T, D) to (B, T, D)."""
        sequences, length, width = x_BTD.shape
        heads = self.c_attn(self.attn_norm(x_BTD)).view(sequences, length, 3, self.num_heads, -1)
        q_BHTE, k_BHTE, v_BHTE = heads.permute(2, 0, 3, 1, 4)
        q_BHTE, k_BHTE = (_rotated(each, cos_TE, sin_TE) for each in (q_BHTE, k_BHTE))
        y_BHTE = F.scaled_dot_product_attention(q_BHTE, k_BHTE, v_BHTE, is_causal=True)
        x_BTD = x_BTD + self.c_proj(y_BHTE.transpose(1, 2).reshape(sequences, length, width))
        gate_BTF, up_BTF = self.gate_up(self.ffn_norm(x_BTD)).chunk(2, dim=-1)
        y_BTD: Tensor = x_BTD + self.down(F.silu(gate_BTF) * up_BTF)
        return y_BTD


def _rotated(x_BHTE: Tensor, cos_TE: Tensor, sin_TE: Tensor) -> Tensor:
    first, second = x_BHTE.chunk(2, dim=-1)
    return x_BHTE * cos_TE + torch.cat((-second, first), dim=-1) * sin_TE


class PlainLlama(nn.Module):
    """The model, tied, with as many key as query heads."""

    def __init__(self, ours: Transformer) -> None:
        super().__init__()
        config = ours.config
        self.wte = nn.Embedding(config.vocab_size, config.d_model)
        self.blocks = nn.ModuleList(PlainBlock(config) for _ in range(config.num_layers))
        self.norm = nn.RMSNorm(config.d_model, eps=config.norm_epsilon)
        self.cos_TE, self.sin_TE = ours.cos_SE.clone(), ours.sin_SE.clone()
        self.load(ours)

    def forward(self, tokens_BT: Tensor, labels_BT: Tensor) -> Tensor:
        """Mean loss of the labels."""
        x_BTD = self.wte(tokens_BT)
        cos_TE, sin_TE = (each[: tokens_BT.shape[1]].to(x_BTD.dtype) for each in (self.cos_TE, self.sin_TE))
        for block in self.blocks:
            x_BTD = block(x_BTD, cos_TE, sin_TE)
        logits_BTV = F.linear(self.norm(x_BTD), self.wte.weight)
        return F.cross_entropy(logits_BTV.flatten(0, 1).float(), labels_BT.flatten())

    @torch.no_grad()
    def load(self, ours: Transformer) -> None:
        """Takes over the weights."""
        given = ours.state_dict()
        self.wte.weight.copy_(given["embed_tokens.weight"])
        self.norm.weight.copy_(given["norm.weight"])
        for layer, block in enumerate(self.blocks):
            of = {name.removeprefix(f"layers.{layer}."): weight for name, weight in given.items()}
            attention = [of[f"self_attn.{name}_proj.weight"] for name in "qkv"]
            block.c_attn.weight.copy_(torch.cat(attention))
            block.c_proj.weight.copy_(of["self_attn.o_proj.weight"])
            block.gate_up.weight.copy_(torch.cat([of["mlp.gate_proj.weight"], of["mlp.up_proj.weight"]]))
            block.down.weight.copy_(of["mlp.down_proj.weight"])
            block.attn_norm.weight.copy_(of["input_layernorm.weight"])
            block.ffn_norm.weight.copy_(of["post_attention_layernorm.weight"])
