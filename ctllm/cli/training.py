"""Commands from curated shards to a trained model: tokenizer, tokenize, plan, conversations, pretrain, sft, dpo."""

import typer


def register(app: typer.Typer) -> None:
    """Adds the commands of this module to the command line."""
