"""One verdict per document: kept or not, and every failing rule with the value seen and the threshold it broke."""

import pyarrow as pa

EXACT_DUPLICATE = "exact_duplicate"
NEAR_DUPLICATE = "near_duplicate"
URL_DUPLICATE = "url_duplicate"
COPIES = {"exact": EXACT_DUPLICATE, "near": NEAR_DUPLICATE, "url": URL_DUPLICATE}
"""Kind of a pair in DUPLICATES to the reason in a verdict."""
OTHER_LANGUAGE = "other_language"
NOTHING_LEFT = "nothing_left"

REASONS = pa.list_(
    pa.struct(
        [
            pa.field(
                "reason",
                pa.string(),
                metadata={"meaning": "name of a rule in schemas.rules, or one of the constants above"},
            ),
            pa.field("value", pa.float64(), metadata={"meaning": "what was measured; Jaccard for duplicates"}),
            pa.field("threshold", pa.float64(), metadata={"meaning": "the bound of the rule"}),
        ]
    )
)

VERDICTS = pa.schema(
    [
        pa.field("key", pa.uint64(), nullable=False),
        pa.field("lane", pa.string(), nullable=False),
        pa.field("kept", pa.bool_(), nullable=False),
        pa.field(
            "reasons",
            REASONS,
            nullable=False,
            metadata={"meaning": "all failing rules, in rule order; empty when kept"},
        ),
    ]
)
