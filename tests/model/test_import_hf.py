"""Hugging Face checkpoints read as our model."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from ctllm.model.checkpoint import load_model, weights_digest
from ctllm.model.import_hf import hf_config, import_hf, is_hf_model
from ctllm.schemas.errors import InputError

TOKENS_BT = torch.randint(6, 1200, (2, 60), generator=torch.Generator().manual_seed(3))
CONFIG = {
    "model_type": "llama",
    "vocab_size": 96,
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "intermediate_size": 48,
    "max_position_embeddings": 64,
    "rms_norm_eps": 1e-5,
}

SHAPES = [
    {"tied_embeddings": True},
    {"tied_embeddings": False, "num_kv_heads": 2, "rope_theta": 5e5},
    {"qk_norm": True},
]


@pytest.mark.parametrize("shape", SHAPES)
def test_export_and_import_change_no_bit(
    make_checkpoint: Callable[..., str], make_exported: Callable[..., str], shape: dict[str, object]
) -> None:
    """A model exported and read back has the same shape and the same bits: tied, untied with grouped heads, normed."""
    checkpoint = make_checkpoint(**shape)
    ours, config = load_model(checkpoint)
    exported = make_exported(checkpoint)
    back = import_hf(exported)
    assert (is_hf_model(exported), is_hf_model(checkpoint)) == (True, False)
    assert back.config.model_copy(update={"name": config.name, "num_kv_heads": config.num_kv_heads}) == config
    assert weights_digest(back) == weights_digest(ours)


@pytest.mark.parametrize("kind", ["llama", "qwen3"])
def test_their_checkpoint_gives_their_logits(tmp_path: Path, kind: str) -> None:
    """A model that transformers saved in shards gives its logits here; without its head norms it does not."""
    from transformers import AutoConfig, AutoModelForCausalLM

    torch.manual_seed(0)
    head_dim = {"head_dim": 8} if kind == "qwen3" else {}
    shape = {key: value for key, value in CONFIG.items() if key != "model_type"} | head_dim
    rope = {"rope_type": "default", "rope_theta": 5e4}
    config = AutoConfig.for_model(kind, **shape, rope_parameters=rope, initializer_range=0.3, tie_word_embeddings=False)
    theirs = AutoModelForCausalLM.from_config(config).eval()
    with torch.no_grad():
        for name, weight in theirs.named_parameters():
            if "norm" in name:
                weight.uniform_(0.5, 1.5)
    theirs.save_pretrained(tmp_path, max_shard_size="20KB")
    assert (tmp_path / "model.safetensors.index.json").exists()
    model, tokens_BT = import_hf(str(tmp_path)), TOKENS_BT % 96
    with torch.no_grad():
        expected = theirs(tokens_BT).logits
        assert (model(tokens_BT) - expected).abs().max() < 4e-6 * expected.abs().max()
        for block in model.layers:
            block.self_attn.q_norm = block.self_attn.k_norm = None
        difference = (model(tokens_BT) - expected).abs().max() / expected.abs().max()
    assert (difference > 1e-2) == (kind == "qwen3")


@pytest.mark.parametrize("style", [{"rope_theta": 777.0}, {"rope_parameters": {"rope_theta": 777.0}}])
def test_both_styles_of_theta_are_read(style: dict[str, Any]) -> None:
    """Theta comes from transformers 4's key or from transformers 5's."""
    assert hf_config({**CONFIG, **style}, origin="x").rope_theta == 777.0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"model_type": "gpt2"}, "model_type 'gpt2'"),
        ({"hidden_act": "gelu"}, "hidden_act 'gelu'"),
        ({"attention_bias": True}, "attention_bias True"),
        ({"rope_scaling": {"type": "linear", "factor": 2.0}}, "rope_scaling"),
        ({"head_dim": 16}, "head_dim 16"),
    ],
)
def test_what_ours_cannot_compute_is_refused(change: dict[str, Any], message: str) -> None:
    """A config whose model would be computed wrongly names the key."""
    with pytest.raises(InputError, match=f"x/config.json: {message}"):
        hf_config({**CONFIG, **change}, origin="x")


def test_files_that_do_not_belong_together(make_exported: Callable[..., str]) -> None:
    """A lost weight, another width and a missing file are named."""
    directory = Path(make_exported())
    weights = load_file(directory / "model.safetensors")
    save_file({k: v for k, v in weights.items() if k != "model.norm.weight"}, directory / "model.safetensors")
    with pytest.raises(InputError, match=r"weight norm.weight is missing, config.json asks for \(32,\)"):
        import_hf(str(directory))
    save_file(weights, directory / "model.safetensors")
    config = json.loads((directory / "config.json").read_text())
    (directory / "config.json").write_text(json.dumps({**config, "intermediate_size": 65}))
    with pytest.raises(InputError, match=r"mlp.down_proj.weight is \(32, 64\), config.json asks for \(32, 65\)"):
        import_hf(str(directory))
    (directory / "model.safetensors").unlink()
    with pytest.raises(InputError, match=r"no model\.safetensors"):
        import_hf(str(directory))
