"""The Hugging Face export: transformers computes our logits and our token ids from it."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
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
]


@pytest.mark.parametrize("shape", SHAPES)
def test_logits_are_equal(
    make_checkpoint: Callable[..., str], make_exported: Callable[..., str], shape: dict[str, object]
) -> None:
    """Transformers gives our logits to float32 rounding: tied and untied, grouped heads, another theta."""
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


def test_exporting_again_changes_nothing(checkpoint: str, tmp_path: Path) -> None:
    """A finished export is kept; other settings replace it; an interrupted one is finished."""
    out = tmp_path / "hf"
    written = [(out / "model.safetensors").read_bytes() for _ in range(2) if export_hf(checkpoint, str(out))]
    assert written[0] == written[1]
    export_hf(checkpoint, str(out), dtype="bfloat16")
    assert len((out / "model.safetensors").read_bytes()) < 0.6 * len(written[0])
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
