"""Planted copies are as alike as their plants say, and nothing else is."""

import itertools

from ctllm.examples.corpus import variants
from ctllm.examples.corpus.build import documents
from ctllm.examples.corpus.documents import CORPUS, Document


def shingles(text: str, *, lane: str) -> set[tuple[str, ...]]:
    """Windows of five tokens, the plain way."""
    tokens = variants.tokens(text, lane=lane)
    return {tuple(tokens[start : start + 5]) for start in range(len(tokens) - 4)}


def jaccard(one: set[tuple[str, ...]], other: set[tuple[str, ...]]) -> float:
    """Shared among all."""
    return len(one & other) / len(one | other)


def text_as_read(document: Document) -> str:
    """The document's words without the page around them."""
    return "\n".join([document.title, *document.paragraphs])


def test_copies_are_as_alike_as_they_claim() -> None:
    """Exact copies have the same words, near copies share at least 0.82 of their five-token windows."""
    groups: dict[str, list[Document]] = {}
    for document in documents():
        if document.group:
            groups.setdefault(document.group, []).append(document)
    for members in groups.values():
        for one, other in itertools.combinations(members, 2):
            texts = text_as_read(one), text_as_read(other)
            if not variants.reads_the_same(*texts, lane=one.lane):
                likeness = jaccard(*(shingles(text, lane=one.lane) for text in texts))
                assert likeness >= 0.82, (one.name, other.name, likeness)


def test_base_texts_are_unlike_each_other() -> None:
    """No two base texts share a tenth of their five-token windows: whatever is a copy was planted."""
    for lane in ("zh", "en", "code"):
        paths = sorted((CORPUS / "base" / lane).iterdir())
        sets = [shingles(path.read_text(encoding="utf-8"), lane=lane) for path in paths]
        for (path, one), (other_path, other) in itertools.combinations(zip(paths, sets, strict=True), 2):
            assert jaccard(one, other) < 0.1, (path.name, other_path.name)
