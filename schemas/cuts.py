"""What is to be cut out of documents or noted in them: planned before they are judged, done when they are published."""

import pyarrow as pa

CUT = ""
"""The replacement of a span that is cut out."""

CUTS = pa.schema(
    [
        pa.field("key", pa.uint64(), nullable=False, metadata={"meaning": "the document"}),
        pa.field("kind", pa.string(), nullable=False, metadata={"meaning": "as in curated.edits: benchmark:NAME, …"}),
        pa.field("start", pa.int32(), nullable=False, metadata={"unit": "characters of the document's text"}),
        pa.field("end", pa.int32(), nullable=False, metadata={"unit": "characters; the one after the last"}),
        pa.field("replacement", pa.string(), metadata={"meaning": "empty: cut out; null: only noted, the text stays"}),
    ]
)
"""`cuts/`: in order of document, cuts before notes, place. Cuts of one document do not overlap, nor do notes."""

LENGTH_SIGNALS = ("num_chars", "num_words")
"""Signals that a cut makes smaller, in proportion to the characters it takes; exact for characters themselves. Not the
length that `ctllm_zh` judges: the authors filter first and cut afterwards."""
