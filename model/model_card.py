"""The README.md of an exported model: what it is, how to use it, what was measured, what it is not."""

from ctllm.model.tokenizer import Tokenizer
from ctllm.model.transformer import num_parameters
from ctllm.schemas.training_config import ModelConfig
from ctllm.schemas.tuning_run import EvaluationResult

_CARD = """\
---
language:
- zh
- en
library_name: transformers
pipeline_tag: text-generation
tags:
- ctllm
{licence}---

# {name}

A Chinese-centric language model of {parameters:,} parameters, made by `ctllm`: Llama architecture,
{num_layers} layers, width {d_model}, {num_heads} heads ({kv_heads} for keys and values), {head} output head, context
{context_length} tokens. Vocabulary: {pieces:,} SentencePiece BPE pieces with byte fallback, padded to {vocab_size:,}.

```python
from transformers import AutoModelForCausalLM, AutoTokenizer

tokenizer = AutoTokenizer.from_pretrained("PATH")
model = AutoModelForCausalLM.from_pretrained("PATH")
chat = [{{"role": "user", "content": "你好"}}]
inputs = tokenizer.apply_chat_template(chat, add_generation_prompt=True, return_tensors="pt", return_dict=True)
output = model.generate(**inputs, max_new_tokens=64)
print(tokenizer.decode(output[0, inputs["input_ids"].shape[1] :], skip_special_tokens=True))
```

A plain text to be continued must begin with `<|endofdoc|>`; the chat template does that itself.

## Measured

{measured}

## Identity

weights sha256 `{weights}`, tokenizer sha256 `{tokenizer}`, stored as {dtype}.

## Data and licences

{data}

## llama.cpp

`python convert_hf_to_gguf.py PATH --outfile model.gguf` of llama.cpp reads this directory: the tokenizer is
SentencePiece (`tokenizer.model`), the architecture one that it knows.

## Limits

A small model: it makes facts up, and its training data decides what it knows and how it speaks. It was not tested for
safety.
"""


def model_card(
    config: ModelConfig,
    *,
    tokenizer: Tokenizer,
    weights: str,
    dtype: str,
    evaluation: EvaluationResult | None,
    name: str | None,
    licence: str | None = None,
    data_card: str | None = None,
) -> str:
    """The card as Markdown. `licence` is that of the weights, `data_card` the address of the data's card."""
    return _CARD.format(
        name=name or f"ctllm {config.name}",
        parameters=num_parameters(config),
        num_layers=config.num_layers,
        d_model=config.d_model,
        num_heads=config.num_heads,
        kv_heads=config.kv_heads,
        context_length=config.context_length,
        head="tied" if config.tied_embeddings else "untied",
        pieces=tokenizer.vocab_size,
        vocab_size=config.vocab_size,
        measured=_measured(evaluation),
        licence=f"license: {licence}\n" if licence else "",
        data=_data(licence, data_card),
        weights=weights,
        tokenizer=tokenizer.digest,
        dtype=dtype,
    )


def _measured(evaluation: EvaluationResult | None) -> str:
    if evaluation is None:
        return "Nothing yet: run `ctllm evaluate` and export again with its result."
    lines = ["| what | value |", "|---|---|", *(f"| {what} | {value} |" for what, value in evaluation.rows())]
    if evaluation.curation:
        lines += ["", "Scores without contaminated items leave out those found in documents that were trained on."]
    return "\n".join(lines)


def _data(licence: str | None, data_card: str | None) -> str:
    weights = f"The weights are under {licence}." if licence else "No licence of the weights was stated at export."
    if data_card is None:
        return f"{weights} The data's sources and their licences stand in the data card of the run it was trained on."
    return f"{weights} What it was trained on, where that is from and under which licences: [data card]({data_card})."
