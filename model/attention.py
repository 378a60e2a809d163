"""Attention over packed documents: back ends that give the same numbers; on a GPU measurement chooses.

    sdpa       `scaled_dot_product_attention` with a dense mask: the reference, runs everywhere, reads T x T mask bits
    documents  the same for one document after the other, without a mask: what a CPU is best with
    flex       FlexAttention with a block mask: skips what the mask hides; compiled on a GPU
    varlen     FlashAttention over the documents laid end to end: no mask; CUDA only (torch 2.13 has no CPU kernel)

A sequence without documents is plain causal attention and generation reads a cache; both are SDPA's own fast paths.

Suffixes: B sequences   T positions   S positions that can be looked at   H query heads   K key and value heads
    E width of a head   N all positions of the batch, B · T
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.nn.attention.flex_attention import BlockMask, create_block_mask, flex_attention
from torch.nn.attention.varlen import varlen_attn

from ctllm.schemas.training_config import Backend, ModelConfig

GPU_BACKENDS: tuple[Backend, ...] = ("sdpa", "flex", "varlen")
MIN_BOUNDS = 64  # document bounds are padded to a power of two, so that few lengths exist to compile for; chosen
PROBE_TOLERANCE = 2e-2  # of the largest value: bfloat16 has 8 bits and sums in another order; a wrong mask gives 1
PROBE_DOCUMENT_TOKENS = 512  # chosen: the order of a web page


@dataclass(frozen=True)
class Mask:
    """What each position may look at, in the form that one back end reads. Nothing set = plain causal."""

    visible_BTS: Tensor | None = None
    """sdpa: True where position T may look at S."""
    blocks: BlockMask | None = None
    """flex."""
    bounds_D: Tensor | None = None
    """varlen: where each document begins among the N positions, int32, padded with N."""
    lengths_D: tuple[int, ...] = ()
    """documents: positions of each document, those of all sequences end to end."""
    is_causal: bool = True
    """Used when nothing else is set; False for one new position that sees the whole cache."""


def document_mask(segments_BT: Tensor, *, backend: Backend) -> Mask:
    """A position sees the earlier positions of its own document; `segments_BT` numbers documents in each sequence."""
    if backend == "varlen":
        return Mask(bounds_D=_document_bounds(segments_BT))
    if backend == "flex":
        return Mask(blocks=_document_blocks(segments_BT))
    if backend == "documents":
        starts_D = _document_starts(segments_BT).tolist()
        return Mask(lengths_D=tuple(end - start for start, end in pairwise([*starts_D, segments_BT.numel()])))
    return Mask(visible_BTS=(segments_BT.unsqueeze(2) == segments_BT.unsqueeze(1)).tril())


def attend(q_BHTE: Tensor, k_BKSE: Tensor, v_BKSE: Tensor, *, mask: Mask) -> Tensor:
    """(B, H, T, E): softmax(q · kᵀ / sqrt(E)) · v under the mask; each key head serves H / K query heads."""
    is_grouped = q_BHTE.shape[1] != k_BKSE.shape[1]
    if mask.bounds_D is not None:
        return _attend_varlen(q_BHTE, k_BKSE, v_BKSE, bounds_D=mask.bounds_D, is_grouped=is_grouped)
    if mask.blocks is not None:
        run = _flex_compiled() if q_BHTE.is_cuda and not torch.compiler.is_compiling() else flex_attention
        y_BHTE: Tensor = run(q_BHTE, k_BKSE, v_BKSE, block_mask=mask.blocks, enable_gqa=is_grouped)
        return y_BHTE
    if mask.lengths_D:
        return _attend_documents(q_BHTE, k_BKSE, v_BKSE, lengths_D=mask.lengths_D, is_grouped=is_grouped)
    visible_B1TS = None if mask.visible_BTS is None else mask.visible_BTS.unsqueeze(1)
    is_causal = mask.is_causal and visible_B1TS is None
    return F.scaled_dot_product_attention(
        q_BHTE, k_BKSE, v_BKSE, attn_mask=visible_B1TS, is_causal=is_causal, enable_gqa=is_grouped
    )


def pick_backend(
    config: ModelConfig, *, sequences: int, device: torch.device, dtype: torch.dtype
) -> tuple[Backend, Mapping[str, float]]:
    """The fastest back end for packed sequences of this shape, and the seconds of forward and backward of each.

    On a CPU it is `documents`, unmeasured. A back end that has no kernel here, or whose result is not the reference's,
    is left out of the comparison.
    """
    if device.type != "cuda":
        return "documents", {}
    expected_BHTE, seconds = _timed("sdpa", config, sequences=sequences, device=device, dtype=dtype)
    measured: dict[Backend, float] = {"sdpa": seconds}
    for backend in GPU_BACKENDS[1:]:
        try:
            y_BHTE, seconds = _timed(backend, config, sequences=sequences, device=device, dtype=dtype)
        except (RuntimeError, ImportError, AttributeError):  # no kernel for this card, no Triton, no compiler
            continue
        if (y_BHTE - expected_BHTE).abs().max() <= PROBE_TOLERANCE * expected_BHTE.abs().max():
            measured[backend] = seconds
    return min(measured, key=lambda name: measured[name]), {name: round(each, 6) for name, each in measured.items()}


def _document_starts(segments_BT: Tensor) -> Tensor:
    begins_BT = torch.ones_like(segments_BT, dtype=torch.bool)
    begins_BT[:, 1:] = segments_BT[:, 1:] != segments_BT[:, :-1]
    return begins_BT.flatten().nonzero().squeeze(1)


def _document_bounds(segments_BT: Tensor) -> Tensor:
    starts_D = _document_starts(segments_BT)
    length = max(MIN_BOUNDS, 1 << len(starts_D).bit_length())  # at least one more than there are documents
    bounds_D = torch.full((length,), segments_BT.numel(), dtype=torch.int32, device=segments_BT.device)
    bounds_D[: len(starts_D)] = starts_D.to(torch.int32)
    return bounds_D


def _document_blocks(segments_BT: Tensor) -> BlockMask:
    def is_visible(b: Tensor, _h: Tensor, t: Tensor, s: Tensor) -> Tensor:
        return (t >= s) & (segments_BT[b, t] == segments_BT[b, s])

    num_sequences, length = segments_BT.shape
    device = segments_BT.device
    return create_block_mask(
        is_visible, num_sequences, None, length, length, device=device, _compile=device.type == "cuda"
    )


def _attend_varlen(q_BHTE: Tensor, k_BKTE: Tensor, v_BKTE: Tensor, *, bounds_D: Tensor, is_grouped: bool) -> Tensor:
    num_sequences, num_heads, longest, _ = q_BHTE.shape
    q_NHE, k_NKE, v_NKE = (each.transpose(1, 2).flatten(0, 1) for each in (q_BHTE, k_BKTE, v_BKTE))
    if is_grouped:  # its own option for this came with torch 2.12
        k_NKE, v_NKE = (each.repeat_interleave(num_heads // each.shape[1], dim=1) for each in (k_NKE, v_NKE))
    y_NHE = varlen_attn(q_NHE, k_NKE, v_NKE, bounds_D, bounds_D, longest, longest, window_size=(-1, 0))
    assert isinstance(y_NHE, Tensor)
    return y_NHE.view(num_sequences, longest, *y_NHE.shape[1:]).transpose(1, 2)


def _attend_documents(
    q_BHTE: Tensor, k_BKTE: Tensor, v_BKTE: Tensor, *, lengths_D: Sequence[int], is_grouped: bool
) -> Tensor:
    """Split and joined, for a slice's gradient would be as large as the whole."""
    rows = (torch.split(each.transpose(0, 1).flatten(1, 2), list(lengths_D), 1) for each in (q_BHTE, k_BKTE, v_BKTE))
    parts_DHTE = [
        F.scaled_dot_product_attention(q[None], k[None], v[None], is_causal=True, enable_gqa=is_grouped)[0]
        for q, k, v in zip(*rows, strict=True)
    ]
    num_sequences, num_heads, length, width = q_BHTE.shape
    return torch.cat(parts_DHTE, dim=1).view(num_heads, num_sequences, length, width).transpose(0, 1)


@cache
def _flex_compiled() -> Any:  # noqa: ANN401 - torch.compile types nothing
    return torch.compile(flex_attention, dynamic=False)


def _timed(
    backend: Backend, config: ModelConfig, *, sequences: int, device: torch.device, dtype: torch.dtype
) -> tuple[Tensor, float]:
    """Result and best seconds of three forward and backward passes after one that compiles."""
    length, generator = config.context_length, torch.Generator(device).manual_seed(0)
    q_BHTE, k_BKTE, v_BKTE = (
        torch.randn(
            sequences, heads, length, config.head_dim, device=device, dtype=dtype, generator=generator
        ).requires_grad_()
        for heads in (config.num_heads, config.kv_heads, config.kv_heads)
    )
    segments_BT = (torch.arange(length, device=device) // PROBE_DOCUMENT_TOKENS).expand(sequences, length)
    mask = document_mask(segments_BT, backend=backend)
    seconds = []
    for _ in range(4):
        torch.cuda.synchronize(device)
        started = time.perf_counter()
        y_BHTE = attend(q_BHTE, k_BKTE, v_BKTE, mask=mask)
        y_BHTE.sum().backward()  # type: ignore[no-untyped-call]
        torch.cuda.synchronize(device)
        seconds.append(time.perf_counter() - started)
    return y_BHTE.detach(), min(seconds[1:])
