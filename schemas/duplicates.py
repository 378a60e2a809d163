"""What dedup stores: bands (the index), verified pairs, and which document stands for which."""

import pyarrow as pa

BANDS_VERSION = 5
"""Changes when the same text and settings give other values in BANDS: an index of another version is refused."""

BANDS = pa.schema(
    [
        pa.field("key", pa.uint64(), nullable=False),
        pa.field(
            "exact_high",
            pa.uint64(),
            nullable=False,
            metadata={"meaning": "128-bit hash of the hashing form, high half"},
        ),
        pa.field("exact_low", pa.uint64(), nullable=False),
        pa.field(
            "text_high",
            pa.uint64(),
            nullable=False,
            metadata={"meaning": "128-bit hash of the text as it is, high half; both halves 0 = empty"},
        ),
        pa.field("text_low", pa.uint64(), nullable=False),
        pa.field(
            "url_high",
            pa.uint64(),
            nullable=False,
            metadata={"meaning": "128-bit hash of the normalised URL, high half; both halves 0 = no URL"},
        ),
        pa.field("url_low", pa.uint64(), nullable=False),
        pa.field(
            "num_shingles",
            pa.int32(),
            nullable=False,
            metadata={"meaning": "distinct shingles; 0 = too short for near dedup"},
        ),
        pa.field("bands", pa.list_(pa.uint64()), nullable=False, metadata={"meaning": "one 64-bit key per band"}),
        pa.field(
            "sketch",
            pa.binary(),
            nullable=False,
            metadata={"meaning": "bottom-k shingle hashes, little-endian, ascending"},
        ),
    ]
)

PAIRS = pa.schema(
    [
        pa.field("key_a", pa.uint64(), nullable=False, metadata={"meaning": "the smaller key"}),
        pa.field("key_b", pa.uint64(), nullable=False),
        pa.field("kind", pa.string(), nullable=False, metadata={"meaning": "exact | near | url"}),
        pa.field("jaccard", pa.float32(), nullable=False, metadata={"unit": "share of shingles, verified"}),
        pa.field(
            "containment", pa.float32(), nullable=False, metadata={"unit": "share of the smaller document's shingles"}
        ),
    ]
)

DUPLICATES = pa.schema(
    [
        pa.field("key", pa.uint64(), nullable=False, metadata={"meaning": "the removed document"}),
        pa.field("kept_key", pa.uint64(), nullable=False, metadata={"meaning": "the document that stands for it"}),
        pa.field("kept_snapshot", pa.uint16(), nullable=False),
        pa.field("cluster_id", pa.uint64(), nullable=False, metadata={"meaning": "smallest key of the cluster"}),
        pa.field("cluster_size", pa.int32(), nullable=False),
        pa.field("kind", pa.string(), nullable=False, metadata={"meaning": "exact | near | url"}),
        pa.field("jaccard", pa.float32(), nullable=False, metadata={"meaning": "between key and kept_key"}),
        pa.field("containment", pa.float32(), nullable=False),
    ]
)
