"""Commands on a trained model: export, import, generate."""

from typing import Annotated

import typer

from ctllm.cli.console import console, progress_shown
from ctllm.cli.versions import located

Checkpoint = Annotated[
    str,
    typer.Argument(
        metavar="CHECKPOINT", parser=located, help="a checkpoint, a training run (its newest), or name@version"
    ),
]


def register(app: typer.Typer) -> None:
    """Adds the commands of this module to the command line."""
    for command in (export, generate):
        app.command()(command)
    app.command("import")(import_model)


def export(
    checkpoint: Checkpoint,
    out: Annotated[str, typer.Option(help="directory to write")],
    export_format: Annotated[str, typer.Option("--format", help="hf")] = "hf",
    evaluation: Annotated[str | None, typer.Option(help="evaluation.json to show in the model card")] = None,
    licence: Annotated[str | None, typer.Option(help="licence of the weights, for example apache-2.0")] = None,
    data_card: Annotated[
        str | None, typer.Option(help="URL, or report.html of the curation run: copied beside and linked")
    ] = None,
    chat_template: Annotated[
        str | None, typer.Option(help="Jinja file in the place of our template; must mark what the assistant says")
    ] = None,
) -> None:
    """Export a checkpoint as a Hugging Face Llama directory: weights, config, tokenizer, model card."""
    from ctllm.model.export import export_hf
    from ctllm.schemas.errors import ConfigError

    if export_format != "hf":
        raise ConfigError(f"--format {export_format}: unknown; the one format is hf")
    with progress_shown() as progress:
        directory = export_hf(
            checkpoint,
            out,
            evaluation=evaluation,
            licence=licence,
            data_card=data_card,
            chat_template=chat_template,
            progress=progress,
        )
    console.print(directory, markup=False)


def import_model(
    directory: Annotated[str, typer.Argument(metavar="HF_DIR", help="directory of a Hugging Face Llama or Qwen3")],
    out: Annotated[str, typer.Option(help="run directory to write; sft, dpo, evaluate and the others start from it")],
    tokenizer: Annotated[
        str | None, typer.Option(help="SentencePiece model, where the directory has no tokenizer.model")
    ] = None,
) -> None:
    """Make a checkpoint of a Hugging Face Llama or Qwen3: to fine-tune, align or measure a model of others."""
    from ctllm.model.import_hf import import_hf

    console.print(import_hf(directory, out, tokenizer=tokenizer), markup=False)


def generate(
    checkpoint: Checkpoint,
    prompts: Annotated[list[str], typer.Option("--prompt", help="text to continue; may be repeated")],
    chat: Annotated[bool, typer.Option("--chat", help="the prompts are messages of a user")] = False,
    out: Annotated[str | None, typer.Option(help="also write prompts and texts as JSON")] = None,
    max_new_tokens: Annotated[int, typer.Option(help="tokens per prompt at most")] = 128,
    temperature: Annotated[float, typer.Option(help="0 = always the likeliest token")] = 0.8,
    top_p: Annotated[float, typer.Option(help="drawn from the likeliest tokens of this probability")] = 0.95,
    seed: Annotated[int, typer.Option(help="equal seeds give equal texts")] = 0,
) -> None:
    """Let a checkpoint write: continue texts, or answer as an assistant."""
    from ctllm.model.generate import Writer
    from ctllm.schemas.config import parse_config
    from ctllm.schemas.files import write_json
    from ctllm.schemas.tuning_config import GenerateConfig

    values = {"max_new_tokens": max_new_tokens, "temperature": temperature, "top_p": top_p, "seed": seed}
    settings = parse_config(values, GenerateConfig, origin="generate")
    writer = Writer.load(checkpoint)
    if chat:
        texts = writer.answer([[{"role": "user", "content": prompt}] for prompt in prompts], config=settings)
    else:
        texts = writer.complete(prompts, config=settings)
    for prompt, text in zip(prompts, texts, strict=True):
        console.print(prompt, style="bold", markup=False, end="" if not chat else "\n")
        console.print(text, markup=False)
    if out:
        rows = [{"prompt": prompt, "text": text} for prompt, text in zip(prompts, texts, strict=True)]
        write_json(out, {"checkpoint": checkpoint, "settings": values, "samples": rows})
