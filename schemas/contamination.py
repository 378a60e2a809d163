"""What is known about benchmark items in documents: the evidence that measuring writes, and its summary."""

import pyarrow as pa

CONTAMINATION = pa.schema(
    [
        pa.field("key", pa.uint64(), nullable=False, metadata={"meaning": "the document"}),
        pa.field("benchmark", pa.string(), nullable=False, metadata={"meaning": "file the item is from, no ending"}),
        pa.field("item_id", pa.string(), nullable=False, metadata={"meaning": "the item's own id, or its number"}),
        pa.field(
            "overlap", pa.float32(), nullable=False, metadata={"unit": "share of the item's n-grams in the document"}
        ),
        pa.field(
            "start",
            pa.int32(),
            nullable=False,
            metadata={"meaning": "span of the document's text that the item's n-grams cover", "unit": "characters"},
        ),
        pa.field("end", pa.int32(), nullable=False, metadata={"unit": "characters; the one after the last"}),
    ]
)
"""One row per document, item and covered span; items below `decontamination.min_recorded_overlap` are left out."""

LEAKS = pa.schema(
    [
        pa.field("lane", pa.string(), nullable=False),
        pa.field("benchmark", pa.string(), nullable=False),
        pa.field("documents", pa.int64(), nullable=False, metadata={"meaning": "with an item of it recorded"}),
        pa.field(
            "leaked",
            pa.int64(),
            nullable=False,
            metadata={"meaning": "of them, above the lane's max_benchmark_overlap"},
        ),
        pa.field("max_overlap", pa.float64(), nullable=False, metadata={"unit": "share"}),
        pa.field("item_id", pa.string(), nullable=False, metadata={"meaning": "the item that is covered best"}),
        pa.field("id", pa.string(), nullable=False, metadata={"meaning": "the document that covers it"}),
    ]
)
"""`stats/contamination.parquet`: benchmarks found in the documents, kept or not."""
