"""tokenizer.json: Hugging Face's tokenizers give our ids."""

import random
from collections.abc import Callable
from pathlib import Path

from ctllm.model.tokenizer import Tokenizer
from ctllm.model.tokenizer_json import tokenizer_json

ROOT = Path(__file__).resolve().parents[2]


def test_token_ids_are_equal(make_exported: Callable[..., str], tokenizer_directory: str) -> None:
    """AutoTokenizer gives our ids for Chinese, English, code and random cuts of them, and decodes as we do."""
    from transformers import AutoTokenizer

    ours, theirs = Tokenizer(tokenizer_directory), AutoTokenizer.from_pretrained(make_exported())
    draw = random.Random(5)
    texts = [path.read_text(encoding="utf-8") for path in sorted((ROOT / "examples" / "corpus" / "base").rglob("*.*"))]
    cuts = [draw.choice(texts) for _ in range(300)]
    starts = [draw.randrange(len(text)) for text in cuts]
    samples = [text[start : start + draw.randrange(1, 80)] for text, start in zip(cuts, starts, strict=True)]
    samples += [
        *texts[::8],
        "",
        " ",
        "  a\n\n\tb ",
        "𠮷😀 1234.5",
        "啊啊啊啊啊啊啊",
        "aaaaaaaaaaaaa",
        "“全角”：，。 half",
    ]
    different = [text for text in samples if theirs(text)["input_ids"] != ours.encode(text)]
    assert different == []
    assert [text for text in samples if theirs.decode(ours.encode(text)) != text] == []


def test_every_piece_can_be_reached(tokenizer_directory: str) -> None:
    """Each piece of two characters or more that is made of other pieces has a merge that makes it, best score first."""
    model = tokenizer_json(Tokenizer(tokenizer_directory))["model"]
    made = [left + right for left, right in model["merges"]]
    ordinary = [piece for piece, token in model["vocab"].items() if token > 5 + 256 and len(piece) > 1]
    assert set(ordinary) == set(made)
    assert [model["vocab"][piece] for piece in made] == sorted(model["vocab"][piece] for piece in made)
