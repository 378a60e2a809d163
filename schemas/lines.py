"""What is stored about lines: their hashes, repeated sentences, and the lines that many documents share."""

import pyarrow as pa

LINE, PARAGRAPH, RUN = 0, 1, 2
"""Units that are counted across documents: a line, a block of lines, a run of words."""

_SPAN = [
    pa.field("start", pa.int32(), nullable=False, metadata={"unit": "characters of the document's text"}),
    pa.field("end", pa.int32(), nullable=False, metadata={"unit": "characters; the one after the last"}),
]

LINES = pa.schema(
    [
        pa.field("key", pa.uint64(), nullable=False, metadata={"meaning": "the document"}),
        pa.field("unit", pa.uint8(), nullable=False, metadata={"meaning": "0 line, 1 paragraph, 2 run of words"}),
        pa.field("site", pa.uint64(), nullable=False, metadata={"meaning": "hash of the URL's host; 0 = none"}),
        pa.field("hash", pa.uint64(), nullable=False, metadata={"meaning": "of the hashing form"}),
        *_SPAN,
    ]
)
"""`lines/`: everything long enough to be counted, those of a document and unit in order of place."""

REPEATS = pa.schema(
    [
        pa.field("key", pa.uint64(), nullable=False, metadata={"meaning": "the document"}),
        pa.field("kind", pa.string(), nullable=False, metadata={"meaning": "sentence:repeated | sentence:similar"}),
        *_SPAN,
        pa.field("first_start", pa.int32(), nullable=False, metadata={"meaning": "the earlier sentence, which stays"}),
        pa.field("first_end", pa.int32(), nullable=False),
    ]
)
"""`repeats/`: sentences that an earlier one of the same document makes superfluous."""

COMMON_LINES = pa.schema(
    [
        pa.field("key", pa.uint64(), nullable=False, metadata={"meaning": "the document"}),
        pa.field("kind", pa.string(), nullable=False, metadata={"meaning": "line:site, paragraph:corpus, run:earlier"}),
        *_SPAN,
        pa.field("hash", pa.uint64(), nullable=False),
        pa.field("documents", pa.int32(), nullable=False, metadata={"meaning": "of the site or run that hold it"}),
    ]
)
"""`common_lines/`: what more documents share than `lines` allows, in order of document, place and kind."""
