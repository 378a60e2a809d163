"""Hugging Face checkpoints read as our model."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from ctllm.model.checkpoint import find_checkpoint, load_model, weights_digest
from ctllm.model.import_hf import hf_config, import_hf, is_hf_model, read_hf, with_rows
from ctllm.model.transformer import new_transformer
from ctllm.schemas.errors import InputError, OutputError
from ctllm.schemas.tokens import TOKENIZER
from ctllm.schemas.training_config import ModelConfig

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
    back = read_hf(exported)
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
    model, tokens_BT = read_hf(str(tmp_path)), TOKENS_BT % 96
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
        read_hf(str(directory))
    save_file(weights, directory / "model.safetensors")
    config = json.loads((directory / "config.json").read_text())
    (directory / "config.json").write_text(json.dumps({**config, "intermediate_size": 65}))
    with pytest.raises(InputError, match=r"mlp.down_proj.weight is \(32, 64\), config.json asks for \(32, 65\)"):
        read_hf(str(directory))
    (directory / "model.safetensors").unlink()
    with pytest.raises(InputError, match=r"no model\.safetensors"):
        read_hf(str(directory))


def test_an_import_is_a_checkpoint(checkpoint: str, make_exported: Callable[..., str], tmp_path: Path) -> None:
    """Exported and imported: equal weights, equal tokenizer, found through its run directory, not written over."""
    written = import_hf(make_exported(checkpoint), str(tmp_path / "imported"))
    assert find_checkpoint(str(tmp_path / "imported")) == written
    assert weights_digest(load_model(written)[0]) == weights_digest(load_model(checkpoint)[0])
    assert (Path(written) / TOKENIZER).read_bytes() == (Path(checkpoint) / TOKENIZER).read_bytes()
    with pytest.raises(OutputError, match="holds a training run already; choose another --out"):
        import_hf(make_exported(checkpoint), str(tmp_path / "imported"))


def test_the_tokenizer_is_needed_and_must_fit(
    make_exported: Callable[..., str], tokenizer_directory: str, tmp_path: Path
) -> None:
    """Without one the way out is named, and works; one with more pieces than the model has rows is another model's."""
    exported, out = make_exported(), str(tmp_path / "imported")
    (Path(exported) / TOKENIZER).unlink()
    with pytest.raises(InputError, match=r"no tokenizer\.model, and a checkpoint cannot .* pass --tokenizer"):
        import_hf(exported, out)
    assert not Path(out).exists()
    assert (Path(import_hf(exported, out, tokenizer=tokenizer_directory)) / TOKENIZER).exists()
    small = tmp_path / "small"
    small.mkdir()
    (small / "config.json").write_text(json.dumps({**CONFIG, "tie_word_embeddings": True}))
    tensors = new_transformer(hf_config({**CONFIG, "tie_word_embeddings": True}, origin=""), seed=0).state_dict()
    save_file({f"model.{name}": tensor for name, tensor in tensors.items()}, small / "model.safetensors")
    with pytest.raises(InputError, match=r"1200 pieces, but the model in .*small has 96 rows; it was trained with an"):
        import_hf(str(small), str(tmp_path / "b"), tokenizer=tokenizer_directory)
    with pytest.raises(InputError, match="a model_type; give the directory of a Hugging Face"):
        import_hf(tokenizer_directory, str(tmp_path / "b"))


@pytest.mark.parametrize("tied", [True, False])
def test_symbols_that_a_tokenizer_lacks_get_rows(tiny: ModelConfig, tied: bool) -> None:
    """Logits of the old tokens stay, those of the new are their mean; nothing to add changes nothing."""
    model = new_transformer(tiny.model_copy(update={"tied_embeddings": tied}), seed=0)
    longer, tokens_BT = with_rows(model, 67), TOKENS_BT[:, :30] % 64
    assert (longer.config.vocab_size, longer.config.d_model) == (67, 32)
    with torch.no_grad():
        before, after = model(tokens_BT), longer(tokens_BT)
    torch.testing.assert_close(after[..., :64], before)
    torch.testing.assert_close(after[..., 64:], before.mean(-1, keepdim=True).expand(-1, -1, 3), rtol=1e-4, atol=1e-5)
    assert with_rows(model, 64) is model
