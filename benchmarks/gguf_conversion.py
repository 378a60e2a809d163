"""An exported checkpoint through llama.cpp's converter, compared with ours; one JSON line.

    python benchmarks/gguf_conversion.py CHECKPOINT llama.cpp/convert_hf_to_gguf.py TEXTS

TEXTS is a file of documents (JSONL, `text`). The converter wants the package `gguf` beside ours (transformers too);
what llama.cpp makes of the file is compared where `llama_cpp` (llama-cpp-python) can be imported. Given are

    tensors         in the file as in the checkpoint, bit by bit (queries and keys in llama.cpp's order of rows)
    pieces          of the vocabulary, with their scores (those of symbols, which no text makes, are the converter's)
    texts, chats    whose tokens by llama.cpp are ours; `first_differing` is a text that is not
    logits          largest difference at the end of a prompt, float32
    greedy          answers whose 32 likeliest tokens one after the other are ours
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import fsspec
import numpy as np
import torch
from gguf import GGUFReader

from ctllm.model.chat_template import ROLE_SYMBOLS, render_chat
from ctllm.model.checkpoint import load_model
from ctllm.model.export import export_hf
from ctllm.model.generate import generate
from ctllm.model.tokenizer import Tokenizer
from ctllm.model.transformer import Transformer
from ctllm.schemas.tuning_config import GenerateConfig

try:
    from llama_cpp import Llama
except ImportError:
    Llama = None

MAX_TEXTS = 300
PROMPT_TOKENS, NEW_TOKENS, NUM_PROMPTS = 24, 32, 20
NAMES = {
    "embed_tokens": "token_embd",
    "norm": "output_norm",
    "lm_head": "output",
    "input_layernorm": "attn_norm",
    "post_attention_layernorm": "ffn_norm",
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
}


def gguf_name(name: str) -> str:
    """`layers.3.mlp.up_proj.weight` as llama.cpp calls it."""
    parts = name.removesuffix(".weight").removeprefix("model.").split(".")
    if parts[0] != "layers":
        return f"{NAMES['.'.join(parts)]}.weight"
    return f"blk.{parts[1]}.{NAMES['.'.join(parts[2:])]}.weight"


def interleaved(rows_ND: np.ndarray, *, num_heads: int) -> np.ndarray:
    """The rows of a query or key matrix as llama.cpp turns them: halves of a head become neighbours."""
    halves = rows_ND.reshape(num_heads, 2, rows_ND.shape[0] // num_heads // 2, *rows_ND.shape[1:])
    return halves.swapaxes(1, 2).reshape(rows_ND.shape)


def compare_tensors(model: Transformer, reader: GGUFReader) -> str:
    """How many of our tensors stand in the file, bit by bit; raises on a tensor that is not ours."""
    theirs = {tensor.name: tensor.data for tensor in reader.tensors}
    num_equal = 0
    for name, tensor in model.state_dict().items():
        ours = tensor.numpy()
        if "q_proj" in name or "k_proj" in name:
            num_heads = model.config.num_heads if "q_proj" in name else model.config.kv_heads
            ours = interleaved(ours, num_heads=num_heads)
        num_equal += np.array_equal(ours, theirs.pop(gguf_name(name)))
    assert not theirs, f"tensors that are not ours: {sorted(theirs)}"
    return f"{num_equal} of {len(model.state_dict())}"


def compare_pieces(tokenizer: Tokenizer, reader: GGUFReader) -> str:
    """How many pieces have our text and score at our number."""
    fields = {name: reader.fields[f"tokenizer.ggml.{name}"].contents() for name in ("tokens", "scores")}
    ids = range(tokenizer.num_pieces)
    same_text = [fields["tokens"][token] == tokenizer.piece(token) for token in ids]
    same_score = [
        tokenizer.is_control(token) or fields["scores"][token] == tokenizer.processor.get_score(token) for token in ids
    ]
    return f"{sum(text and score for text, score in zip(same_text, same_score, strict=True))} of {len(ids)}"


def compare_llama_cpp(path: str, model: Transformer, tokenizer: Tokenizer, texts: list[str]) -> dict[str, Any]:
    """Tokens of texts and chats, logits and greedy answers."""
    if Llama is None:
        return {"llama_cpp": "not installed"}
    theirs = Llama(path, n_ctx=model.config.context_length, logits_all=True, verbose=False)
    ours = [tokenizer.encode(text) for text in texts]
    found = [theirs.tokenize(text.encode(), add_bos=False, special=False) for text in texts]
    differing = [number for number, (one, other) in enumerate(zip(ours, found, strict=True)) if one != other]
    chats = [[{"role": "user", "content": text}, {"role": "assistant", "content": "好。"}] for text in texts]
    same_chats = [
        theirs.tokenize(_as_template(chat).encode(), add_bos=False, special=True)
        == render_chat(chat, tokenizer=tokenizer).tokens
        for chat in chats
    ]
    prompts = [
        [tokenizer.end_of_document_id, *tokens[:PROMPT_TOKENS]] for tokens in ours if len(tokens) > PROMPT_TOKENS
    ]
    answers, differences = 0, list[float]()
    greedy = GenerateConfig(max_new_tokens=NEW_TOKENS, temperature=0)
    for prompt in prompts[:NUM_PROMPTS]:
        theirs.reset()
        theirs.eval(prompt)
        with torch.no_grad():
            logits_V = model(torch.tensor([prompt]))[0, -1].numpy()
        differences.append(float(np.abs(logits_V - theirs.scores[len(prompt) - 1]).max()))
        (answer,) = generate(model, [prompt], config=greedy, stops=frozenset())
        tokens = list[int]()
        while len(tokens) < NEW_TOKENS:
            tokens.append(int(theirs.scores[theirs.n_tokens - 1].argmax()))
            theirs.eval(tokens[-1:])
        answers += tokens == answer.tokens
    return {
        "texts": f"{len(texts) - len(differing)} of {len(texts)}",
        "chats": f"{sum(same_chats)} of {len(chats)}",
        "first_differing": texts[differing[0]][:200] if differing else None,
        "logits": max(differences),
        "greedy": f"{answers} of {len(differences)}",
    }


def _as_template(chat: list[dict[str, str]]) -> str:
    """The conversation as our chat template writes it."""
    turns = (f"{ROLE_SYMBOLS[message['role']]}{message['content']}<|end|>" for message in chat)
    return f"<|endofdoc|>{''.join(turns)}"


def main() -> None:
    """Converts, compares, prints."""
    checkpoint, converter, texts = sys.argv[1:]
    with fsspec.open(texts, "rt", compression="infer") as file:
        documents = [json.loads(line)["text"] for line, _ in zip(file, range(MAX_TEXTS), strict=False)]
    model, _ = load_model(checkpoint)
    with tempfile.TemporaryDirectory() as scratch:
        exported, path = export_hf(checkpoint, f"{scratch}/hf"), f"{scratch}/model.gguf"
        command = [sys.executable, converter, exported, "--outfile", path, "--outtype", "f32"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0 and Path(path).exists(), done.stderr
        tokenizer, reader = Tokenizer(exported), GGUFReader(path)
        result = {
            "tensors": compare_tensors(model, reader),
            "pieces": compare_pieces(tokenizer, reader),
            **compare_llama_cpp(path, model, tokenizer, documents),
        }
    print(json.dumps(result, ensure_ascii=False))


if __name__ == "__main__":
    main()
