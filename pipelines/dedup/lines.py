"""Lines and paragraphs of documents as hashes of their hashing form: what is counted across documents instead of text.

Case, width, punctuation, white space and (if wanted) the difference of traditional and simplified do not count. A line
ends with its line feed; a paragraph is two or more lines between lines without a token. U = units, lines or paragraphs.
"""

from dataclasses import dataclass

import numpy as np

from ctllm.pipelines.batch import TextBatch, kernel
from ctllm.pipelines.dedup.hashing_form import tokens
from ctllm.pipelines.dedup.sentences import Sentences


@dataclass(frozen=True)
class HashedUnits:
    """Units of a batch, text by text."""

    texts_U: np.ndarray
    """int64: which text"""
    starts_U: np.ndarray
    """int64, characters of the text"""
    ends_U: np.ndarray
    """int64; the one after the line feed"""
    hashes_U: np.ndarray
    """uint64"""


@dataclass(frozen=True)
class TokenisedLines:
    """The tokens of a batch, cut at every line and at the bounds of its sentences.

    Cuts do not change the tokens: no word goes on over one, and nothing before a cut composes with what follows.
    """

    texts: TextBatch
    sentences: Sentences
    bounds: np.ndarray
    """(lines + 1,), int64, into the code points: where lines begin, and the end of the last"""
    line_texts: np.ndarray
    """(lines,), int64: the text of each"""
    cuts: np.ndarray
    """int64, ascending: `bounds` and those of the sentences"""
    tokens: np.ndarray
    """uint64"""
    offsets: np.ndarray
    """int64: the tokens before each of `cuts`"""

    @classmethod
    def of(
        cls, texts: TextBatch, sentences: Sentences, *, marks: np.ndarray, is_code: np.ndarray, fold_variants: bool
    ) -> "TokenisedLines":
        """Tokenises a batch once; `sentences` lie within its texts, of which `is_code` (texts,), bool, are code.

        `marks`: places of its line feeds, and of what other characters may be; int64, ascending.
        """
        bounds, line_texts = _split_lines(texts.codepoints, texts.offsets, marks)
        cuts = _merged(bounds, sentences.starts_S, sentences.ends_S)
        is_code_cut = np.repeat(is_code, np.diff(_places(cuts, texts.offsets)))
        found, offsets = tokens(texts.codepoints, cuts, is_code=is_code_cut, fold_variants=fold_variants)
        return cls(texts, sentences, bounds, line_texts, cuts, found, offsets)

    def text_offsets(self) -> np.ndarray:
        """(texts + 1,), int64: the tokens of each text."""
        return self._tokens_before(self.texts.offsets)

    def lines(self, *, min_tokens: int) -> HashedUnits:
        """The lines of at least `min_tokens` tokens (Han characters or words)."""
        places = self._tokens_before(self.bounds)
        chosen = np.flatnonzero(np.diff(places) >= min_tokens)
        return self._units(chosen, chosen + 1, places)

    def paragraphs(self, *, min_tokens: int) -> HashedUnits:
        """The paragraphs of at least `min_tokens` tokens."""
        places = self._tokens_before(self.bounds)
        firsts, stops = _paragraphs(np.diff(places) > 0, self.line_texts)
        is_long = places[stops] - places[firsts] >= min_tokens
        return self._units(firsts[is_long], stops[is_long], places)

    def hash_sentences(self) -> tuple[np.ndarray, np.ndarray]:
        """Hash (uint64) and number of tokens (int64) of the sentences: (S,) each."""
        firsts, stops = self._tokens_before(self.sentences.starts_S), self._tokens_before(self.sentences.ends_S)
        return _hash_sequences(self.tokens, firsts, stops), stops - firsts

    def _units(self, firsts: np.ndarray, stops: np.ndarray, places: np.ndarray) -> HashedUnits:
        """The units of lines `firsts` to `stops`."""
        rows = self.line_texts[firsts]
        origins = self.texts.offsets[rows]
        hashes_U = _hash_sequences(self.tokens, places[firsts], places[stops])
        return HashedUnits(rows, self.bounds[firsts] - origins, self.bounds[stops] - origins, hashes_U)

    def _tokens_before(self, positions: np.ndarray) -> np.ndarray:
        """Tokens before each of ascending `positions`, which are among the cuts."""
        before: np.ndarray = self.offsets[_places(self.cuts, positions)]
        return before


def _split_lines(codepoints: np.ndarray, offsets: np.ndarray, marks: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Where lines begin, and the end of the last: (lines + 1,), int64; the text of each line: (lines,), int64."""
    bounds = _merged(offsets, marks[codepoints[marks] == 0x0A] + 1)
    return bounds, np.repeat(np.arange(len(offsets) - 1), np.diff(_places(bounds, offsets)))


def _merged(*ascending: np.ndarray) -> np.ndarray:
    """Every number of these once, in order: int64."""
    numbers = np.sort(np.concatenate(ascending), kind="stable")  # of runs in order: merged, not sorted
    once: np.ndarray = numbers[np.append(True, numbers[1:] != numbers[:-1])]
    return once


def _paragraphs(has_tokens: np.ndarray, line_texts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """First line and the one after the last of all paragraphs of two or more lines."""
    begins, ends = has_tokens.copy(), has_tokens.copy()
    if len(line_texts) > 1:
        goes_on = has_tokens[1:] & has_tokens[:-1] & (line_texts[1:] == line_texts[:-1])
        begins[1:] &= ~goes_on
        ends[:-1] &= ~goes_on
    firsts, stops = np.flatnonzero(begins), np.flatnonzero(ends) + 1
    is_longer = stops - firsts > 1
    return firsts[is_longer], stops[is_longer]


@kernel
def _places(cuts: np.ndarray, positions: np.ndarray) -> np.ndarray:
    """Where each of ascending `positions` stands in `cuts`: int64."""
    places = np.empty(positions.shape[0], np.int64)
    place = 0
    for i in range(positions.shape[0]):
        while cuts[place] < positions[i]:
            place += 1
        places[i] = place
    return places


@kernel
def _hash_sequences(tokens: np.ndarray, starts: np.ndarray, stops: np.ndarray) -> np.ndarray:
    """64-bit hash of each sequence of tokens: a multiply-rotate chain, as in `exact`."""
    hashes = np.empty(starts.shape[0], np.uint64)
    for sequence in range(starts.shape[0]):
        value = np.uint64(0x452821E638D01377)  # digits of pi
        for position in range(starts[sequence], stops[sequence]):
            value = (value ^ tokens[position]) * np.uint64(0x9E3779B185EBCA87)  # xxh64 prime 1
            value ^= value >> np.uint64(29)
        hashes[sequence] = value * np.uint64(0xC2B2AE3D27D4EB4F)  # xxh64 prime 2
    return hashes
