"""The Hugging Face export: transformers computes our logits and our token ids from it."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from ctllm.model.checkpoint import load_model
from ctllm.model.export import export_hf
from ctllm.model.tokenizer import Tokenizer
from ctllm.schemas.errors import OutputError

ROOT = Path(__file__).resolve().parents[2]
TOKENS_BT = torch.randint(6, 1200, (2, 100), generator=torch.Generator().manual_seed(3))


def their_logits(directory: str) -> torch.Tensor:
    """Logits of the exported model as transformers computes them."""
    from transformers import AutoModelForCausalLM

    with torch.no_grad():
        logits: torch.Tensor = AutoModelForCausalLM.from_pretrained(directory)(TOKENS_BT).logits
    return logits


SHAPES = [
    {"tied_embeddings": True},
    {"tied_embeddings": False, "num_kv_heads": 2, "rope_theta": 500_000.0, "norm_epsilon": 1e-6},
    {"qk_norm": True, "num_kv_heads": 2},
]


@pytest.mark.parametrize("shape", SHAPES)
def test_logits_are_equal(
    make_checkpoint: Callable[..., str], make_exported: Callable[..., str], shape: dict[str, object]
) -> None:
    """Transformers gives our logits to float32 rounding: tied and untied, grouped heads, another theta, a Qwen3."""
    checkpoint = make_checkpoint(**shape)
    model, _ = load_model(checkpoint)
    with torch.no_grad():
        ours = model(TOKENS_BT)
    assert (their_logits(make_exported(checkpoint)) - ours).abs().max() < 1e-6


def test_a_wrong_export_is_noticed(make_checkpoint: Callable[..., str], make_exported: Callable[..., str]) -> None:
    """Negative control: with two projections swapped, or theta lost from the config, the logits are far from ours."""
    checkpoint = make_checkpoint(init_std=0.2, rope_theta=500_000.0)
    with torch.no_grad():
        ours = load_model(checkpoint)[0](TOKENS_BT)
    directory = Path(make_exported(checkpoint))
    config = json.loads((directory / "config.json").read_text())
    (directory / "config.json").write_text(json.dumps({**config, "rope_theta": 10_000.0, "rope_parameters": None}))
    assert (their_logits(str(directory)) - ours).abs().max() > 1e-2
    (directory / "config.json").write_text(json.dumps(config))
    weights = load_file(directory / "model.safetensors")
    query, key = "model.layers.0.self_attn.q_proj.weight", "model.layers.0.self_attn.k_proj.weight"
    save_file({**weights, query: weights[key], key: weights[query]}, directory / "model.safetensors", {"format": "pt"})
    assert (their_logits(str(directory)) - ours).abs().max() > 1e-2


def test_a_tied_head_is_stored_once(make_exported: Callable[..., str]) -> None:
    """A tied export holds no lm_head, an untied one does; both state it in the config."""
    for tied in (True, False):
        directory = Path(make_exported(tied_embeddings=tied))
        assert ("lm_head.weight" in load_file(directory / "model.safetensors")) is not tied
        assert json.loads((directory / "config.json").read_text())["tie_word_embeddings"] is tied


def test_config_speaks_to_both_majors(make_exported: Callable[..., str]) -> None:
    """config.json names theta and dtype with the keys of transformers 4 and of transformers 5."""
    config = json.loads((Path(make_exported(rope_theta=20_000.0)) / "config.json").read_text())
    assert config["rope_theta"] == config["rope_parameters"]["rope_theta"] == 20_000.0
    assert config["torch_dtype"] == config["dtype"] == "float32"


def test_the_config_is_that_of_the_model(make_exported: Callable[..., str], tokenizer_directory: str) -> None:
    """Every key of config.json, by hand: shape, beginning, end and padding; nothing that transformers would guess."""
    end = Tokenizer(tokenizer_directory).symbol_id("<|endofdoc|>")
    for normed in (False, True):
        exported = Path(make_exported(qk_norm=normed, num_kv_heads=1, tied_embeddings=False))
        assert json.loads((exported / "config.json").read_text()) == {
            "architectures": ["Qwen3ForCausalLM" if normed else "LlamaForCausalLM"],
            "model_type": "qwen3" if normed else "llama",
            "vocab_size": 1216,
            "hidden_size": 32,
            "num_hidden_layers": 2,
            "num_attention_heads": 4,
            "num_key_value_heads": 1,
            "head_dim": 8,
            "intermediate_size": 64,
            "max_position_embeddings": 128,
            "tie_word_embeddings": False,
            "rms_norm_eps": 1e-5,
            "initializer_range": 0.02,
            "hidden_act": "silu",
            "attention_bias": False,
            "mlp_bias": False,
            "attention_dropout": 0.0,
            "rope_theta": 10_000.0,
            "rope_scaling": None,
            "rope_parameters": {"rope_type": "default", "rope_theta": 10_000.0},
            "torch_dtype": "float32",
            "dtype": "float32",
            "use_cache": True,
            "bos_token_id": end,
            "eos_token_id": end,
            "pad_token_id": end,
        }


def test_the_tokenizer_is_told_what_it_is(make_exported: Callable[..., str], tokenizer_directory: str) -> None:
    """Transformers knows beginning, end, padding and the context; tokenizer.model is the one that was trained."""
    from transformers import AutoTokenizer

    exported, ours = Path(make_exported()), Tokenizer(tokenizer_directory)
    theirs = AutoTokenizer.from_pretrained(exported)
    assert [theirs.bos_token, theirs.eos_token, theirs.pad_token] == ["<|endofdoc|>"] * 3
    assert (theirs.unk_token, theirs.model_max_length) == (ours.piece(0), 128)
    assert theirs.clean_up_tokenization_spaces is False
    assert (exported / "tokenizer.model").read_bytes() == Path(ours.path).read_bytes()


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
def test_weights_are_stored_as_asked(checkpoint: str, tmp_path: Path, dtype: Any) -> None:
    """In the type that config.json names, each the rounded weight of the checkpoint, marked as torch's."""
    out = Path(export_hf(checkpoint, str(tmp_path / "hf"), dtype=dtype))
    config = json.loads((out / "config.json").read_text())
    assert (config["dtype"], config["torch_dtype"]) == (dtype, dtype)
    weights, model = load_file(out / "model.safetensors"), load_model(checkpoint)[0]
    assert {name.removeprefix("model."): tensor.dtype for name, tensor in weights.items()} == dict.fromkeys(
        model.state_dict(), getattr(torch, dtype)
    )
    for name, tensor in model.state_dict().items():
        assert torch.equal(weights[f"model.{name}"], tensor.to(getattr(torch, dtype)))
    with safe_open(out / "model.safetensors", "pt") as file:
        assert file.metadata() == {"format": "pt"}


def test_generation_stops_at_the_end_of_a_turn(make_exported: Callable[..., str], tokenizer_directory: str) -> None:
    """Both the end of a turn and the end of a document end an answer."""
    tokenizer = Tokenizer(tokenizer_directory)
    config = json.loads((Path(make_exported()) / "generation_config.json").read_text())
    assert config["eos_token_id"] == [tokenizer.symbol_id("<|endofdoc|>"), tokenizer.symbol_id("<|end|>")]


def test_llama_cpp_is_told_of_symbols_and_spaces(make_exported: Callable[..., str], tokenizer_directory: str) -> None:
    """Its converter reads both from tokenizer_config.json: else symbols are plain text, and a space begins texts."""
    tokenizer = Tokenizer(tokenizer_directory)
    config = json.loads((Path(make_exported()) / "tokenizer_config.json").read_text())
    assert config["add_prefix_space"] is False
    symbols = {int(token): each["content"] for token, each in config["added_tokens_decoder"].items()}
    assert symbols == {token: symbol for symbol, token in tokenizer.symbols.items()}
    assert all(each["special"] for each in config["added_tokens_decoder"].values())


def test_exporting_again_changes_nothing(checkpoint: str, make_checkpoint: Callable[..., str], tmp_path: Path) -> None:
    """A finished export is kept; other settings or weights replace it; an interrupted one is finished."""
    out = tmp_path / "hf"
    written = [(out / "model.safetensors").read_bytes() for _ in range(2) if export_hf(checkpoint, str(out))]
    assert written[0] == written[1]
    export_hf(checkpoint, str(out), dtype="bfloat16")
    assert len((out / "model.safetensors").read_bytes()) < 0.6 * len(written[0])
    export_hf(make_checkpoint(init_std=0.3), str(out))
    assert (out / "model.safetensors").read_bytes() != written[0]
    (out / "_SUCCESS").unlink()
    (out / "config.json").unlink()  # what an interrupted export leaves behind
    export_hf(checkpoint, str(out))
    assert (out / "model.safetensors").read_bytes() == written[0]


@pytest.mark.parametrize("name", ["config.json", "pytorch_model.bin"])
def test_a_foreign_model_is_left_alone(checkpoint: str, tmp_path: Path, name: str) -> None:
    """A directory that holds somebody else's model, even under our names, is refused and not touched."""
    (tmp_path / name).write_text("theirs")
    with pytest.raises(OutputError, match=f"holds {name} of another origin; choose another --out"):
        export_hf(checkpoint, str(tmp_path))
    assert [path.name for path in tmp_path.iterdir()] == [name]
