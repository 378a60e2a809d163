"""tokenizer.json: Hugging Face's tokenizers give our ids."""

import io
import json
import random
from collections.abc import Callable
from pathlib import Path

import pytest
import sentencepiece

from ctllm.model.tokenizer import Tokenizer
from ctllm.model.tokenizer_json import tokenizer_json
from ctllm.schemas.errors import InputError

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


def write_foreign(path: Path, **changes: object) -> Tokenizer:
    """A model without our symbols; keyword arguments go to SentencePiece."""
    model = io.BytesIO()
    settings = {"vocab_size": 400, "model_type": "bpe", "byte_fallback": True, "minloglevel": 2}
    settings |= {"normalization_rule_name": "identity", "add_dummy_prefix": False, "remove_extra_whitespaces": False}
    settings |= changes
    text = (ROOT / "examples" / "corpus" / "base" / "en").glob("*.txt")
    lines = [line for each in sorted(text)[:2] for line in each.read_text(encoding="utf-8").splitlines()]
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(lines), model_writer=model, **{**settings, **changes}
    )
    path.write_bytes(model.getvalue())
    return Tokenizer(str(path))


def test_symbols_after_the_pieces_of_a_foreign_model_are_added_tokens(tmp_path: Path) -> None:
    """A model with `<s>` and `</s>` of its own keeps its ids, texts that spell them out too; ours follow its pieces."""
    from tokenizers import Tokenizer as Theirs

    foreign = write_foreign(tmp_path / "foreign.model")
    theirs = Theirs.from_str(json.dumps(tokenizer_json(foreign)))
    for text in ("the river </s> runs  on", "山", "a\n\n b", "<s>"):
        assert theirs.encode(text).ids == foreign.encode(text)
    assert theirs.encode("<|user|>the river<|end|>").ids == [402, *foreign.encode("the river"), 404]


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"model_type": "unigram"}, "is no BPE model, so"),
        ({"add_dummy_prefix": True}, "normalises text or puts a space before it, so"),
        ({"normalization_rule_name": "nfkc", "byte_fallback": False}, "before it and has no byte fallback, so"),
    ],
)
def test_models_that_cannot_be_expressed_are_refused(tmp_path: Path, changes: dict[str, object], reason: str) -> None:
    """Rather than a tokenizer.json that gives other ids there is a sentence."""
    with pytest.raises(InputError, match=rf"foreign\.model: .*{reason} no tokenizer\.json gives its ids"):
        tokenizer_json(write_foreign(tmp_path / "foreign.model", **changes))
