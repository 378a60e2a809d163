"""What a vocabulary holds and makes of text: kinds of pieces, Han coverage, pieces that nothing makes, round trip.

On a run's curated text it also gives bytes per token, lane by lane. The documents measured are those that tokenizer
training and plans hold out first (the smallest hashes), so a tokenizer of ours has not seen them.
"""

import unicodedata
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from ctllm.model.tokenizer import Tokenizer
from ctllm.model.tokenizer_json import UNKNOWN_ID
from ctllm.schemas.curated import CuratedPart, curated_parts, read_batches
from ctllm.schemas.files import read_parquet
from ctllm.schemas.mixture import HELD_OUT_SALT, key_hash
from ctllm.schemas.progress import Progress, ProgressEvent, silent
from ctllm.schemas.vocabulary import SPACE

NUM_EXAMPLES = 20
BATCH_ROWS = 256
GB2312_LEVELS = {"GB 2312 level 1": range(0xB0, 0xD8), "GB 2312 level 2": range(0xD8, 0xF8)}
"""Rows of the standard's two levels: 3,755 frequent and 3,008 less frequent Han characters."""


@dataclass(frozen=True)
class Pieces:
    """How many pieces have a property, and some of them, the first in the vocabulary's order."""

    count: int
    examples: list[str]


@dataclass(frozen=True)
class HanCoverage:
    """How many Han characters of a standard have a piece of their own."""

    covered: int
    characters: int


@dataclass(frozen=True)
class LaneFigures:
    """What the vocabulary makes of the measured documents of a lane."""

    documents: int
    bytes: int
    tokens: int
    bytes_per_token: float
    chars_per_token: float
    byte_tokens_share: float
    """Of the tokens, those that are unknown or a byte of a character without a piece; a line break is whole."""
    han_covered_share: float
    """Of the Han characters in the text, those that have a piece of their own; 1 where there are none."""
    changed_documents: int
    """Documents that do not come back from their tokens as they were."""
    first_change: str | None
    """Where the first of them changes, before and after."""


@dataclass(frozen=True)
class TokenizerReport:
    """All that is known of a tokenizer.model."""

    path: str
    digest: str
    vocab_size: int
    is_bpe: bool
    is_exact: bool
    """It does not normalise text and puts no space before it."""
    has_bytes: bool
    appended_symbols: list[str]
    """Symbols that the model lacks; they are numbered after its pieces."""
    longest_piece_chars: int
    kinds: dict[str, int]
    """Kind to number of pieces; the numbers add up to `vocab_size`."""
    han: dict[str, HanCoverage]
    glitches: Pieces
    """Pieces that their own text does not encode to, so that no text makes them."""
    unused: Pieces | None
    """Ordinary pieces that the measured documents do not use; None without documents."""
    lanes: dict[str, LaneFigures]


def inspect_tokenizer(
    tokenizer: Tokenizer, *, run: str | None = None, documents_per_lane: int = 500, progress: Progress = silent
) -> TokenizerReport:
    """The report; with the curated text of `run` also unused pieces and figures by lane."""
    pieces = [tokenizer.piece(token) for token in range(tokenizer.vocab_size)]
    kinds = [_kind(tokenizer, token, piece) for token, piece in enumerate(pieces)]
    ordinary = [token for token, kind in enumerate(kinds) if kind not in ("control", "byte")]
    known = {pieces[token] for token in ordinary}
    progress(ProgressEvent("inspect", 0, 2, unit="steps", message="pieces"))
    glitches = [pieces[token] for token in ordinary if not _is_reachable(tokenizer, token, pieces[token])]
    progress(ProgressEvent("inspect", 1, 2, unit="steps", message="documents"))
    used, lanes = np.zeros(tokenizer.vocab_size, bool), {}
    for lane, texts in _sampled(run, documents_per_lane) if run else ():
        lanes[lane] = _measure(tokenizer, texts, known=known, used=used)
    progress(ProgressEvent("inspect", 2, 2, unit="steps"))
    return TokenizerReport(
        path=tokenizer.path,
        digest=tokenizer.digest,
        vocab_size=tokenizer.vocab_size,
        is_bpe=tokenizer.is_bpe,
        is_exact=tokenizer.is_exact,
        has_bytes=tokenizer.has_bytes,
        appended_symbols=list(tokenizer.appended),
        longest_piece_chars=max((len(pieces[token]) for token in ordinary), default=0),
        kinds=dict(Counter(kinds).most_common()),
        han={level: _coverage(rows, known) for level, rows in GB2312_LEVELS.items()},
        glitches=Pieces(len(glitches), glitches[:NUM_EXAMPLES]),
        unused=_unused(pieces, ordinary, used) if lanes else None,
        lanes=lanes,
    )


def _kind(tokenizer: Tokenizer, token: int, piece: str) -> str:
    if tokenizer.is_control(token):
        return "control"
    if tokenizer.is_byte(token):
        return "byte"
    text = piece.replace(SPACE, "")
    if not text:
        return "space"
    scripts = {_script(char) for char in text}
    return scripts.pop() if len(scripts) == 1 else "mixed"


def _script(char: str) -> str:
    if is_han(char):
        return "Han"
    category = unicodedata.category(char)
    if category.startswith("L") and unicodedata.name(char, "").startswith(("LATIN", "FULLWIDTH LATIN")):
        return "Latin"
    names = {"L": "other letters", "M": "other letters", "N": "number", "P": "punctuation", "S": "symbol"}
    return names.get(category[0], "space")


def is_han(char: str) -> bool:
    """A unified or compatibility ideograph, or the iteration mark's and zero's companions 々 〇."""
    return char in "々〇" or (unicodedata.name(char, "").startswith("CJK ") and unicodedata.category(char) == "Lo")


def _is_reachable(tokenizer: Tokenizer, token: int, piece: str) -> bool:
    """Whether the piece's own text gives it; where a space is put before all text, also behind another character."""
    text = piece.replace(SPACE, " ")
    tokens = tokenizer.encode(text)
    if tokenizer.is_exact:
        return tokens == [token]
    return token in tokens or token in tokenizer.encode("、" + text)


def _coverage(rows: range, known: set[str]) -> HanCoverage:
    codes = (bytes([row, cell]) for row in rows for cell in range(0xA1, 0xFF))
    characters = [char for code in codes if (char := code.decode("gb2312", errors="ignore"))]
    return HanCoverage(sum(char in known for char in characters), len(characters))


def _sampled(run: str, documents_per_lane: int) -> Iterator[tuple[str, Iterator[list[str]]]]:
    """Lane and batches of texts: the documents with the smallest hashes."""
    parts = curated_parts(run)
    for lane in sorted({part.lane for part in parts}):
        members = [part for part in parts if part.lane == lane]
        keys = [read_parquet(part.path, columns=["key"])["key"].to_numpy() for part in members]
        hashes = np.sort(key_hash(np.concatenate(keys), salt=HELD_OUT_SALT))
        if len(hashes):
            yield lane, _texts(members, limit=float(hashes[min(documents_per_lane, len(hashes)) - 1]))


def _texts(parts: Sequence[CuratedPart], *, limit: float) -> Iterator[list[str]]:
    for part in parts:
        for batch in read_batches(part.path, columns=["key", "text"], rows=BATCH_ROWS):
            hashes = key_hash(batch["key"].to_numpy(zero_copy_only=False), salt=HELD_OUT_SALT)
            if (chosen := np.flatnonzero(hashes <= limit)).size:
                yield [str(text) for text in batch["text"].take(chosen).to_pylist()]


def _measure(tokenizer: Tokenizer, batches: Iterator[list[str]], *, known: set[str], used: np.ndarray) -> LaneFigures:
    counts: Counter[str] = Counter()
    is_fallback = np.array([_is_fallback(tokenizer, token) for token in range(tokenizer.vocab_size)])
    first_change = None
    for texts in batches:
        for text, tokens in zip(texts, tokenizer.encode_batch(texts), strict=True):
            used[tokens] = True
            han = Counter(char for char in text if is_han(char))
            counts.update(
                documents=1,
                bytes=len(text.encode()),
                chars=len(text),
                tokens=len(tokens),
                fallback=int(is_fallback[tokens].sum()),
                han=han.total(),
                covered=sum(count for char, count in han.items() if char in known),
            )
            if (back := tokenizer.decode(tokens.tolist())) != text:
                counts["changed"] += 1
                first_change = first_change or _change(text, back)
    num_tokens = max(counts["tokens"], 1)
    return LaneFigures(
        documents=counts["documents"],
        bytes=counts["bytes"],
        tokens=counts["tokens"],
        bytes_per_token=round(counts["bytes"] / num_tokens, 4),
        chars_per_token=round(counts["chars"] / num_tokens, 4),
        byte_tokens_share=round(counts["fallback"] / num_tokens, 6),
        han_covered_share=round(counts["covered"] / counts["han"], 6) if counts["han"] else 1.0,
        changed_documents=counts["changed"],
        first_change=first_change,
    )


def _is_fallback(tokenizer: Tokenizer, token: int) -> bool:
    if tokenizer.is_byte(token):
        return int(tokenizer.piece(token)[1:-1], 16) >= 0x80
    return token == UNKNOWN_ID


def _change(before: str, after: str) -> str:
    """Some characters around the first difference."""
    pairs = enumerate(zip(before, after, strict=False))
    place = next((at for at, (left, right) in pairs if left != right), min(len(before), len(after)))
    start = max(0, place - 5)
    return f"character {place}: {before[start : place + 10]!r} became {after[start : place + 10]!r}"


def _unused(pieces: Sequence[str], ordinary: Sequence[int], used: np.ndarray) -> Pieces:
    names = [pieces[token] for token in ordinary if not used[token]]
    return Pieces(len(names), names[:NUM_EXAMPLES])
