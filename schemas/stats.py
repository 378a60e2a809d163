"""The small tables that dashboards read. Counts add up over rows; nothing here needs the documents again."""

from typing import Any

import pyarrow as pa

from ctllm.schemas.rules import CodeRules, CtllmZhRules, EnRules, ZhRules
from ctllm.schemas.signals import SIGNALS

_COUNTS = [
    pa.field("documents", pa.int64(), nullable=False),
    pa.field("chars", pa.int64(), nullable=False, metadata={"unit": "code points"}),
    pa.field("tokens", pa.int64(), nullable=False, metadata={"unit": "estimated tokens"}),
]

FUNNEL = pa.schema(
    [
        pa.field("source", pa.string(), nullable=False),
        pa.field("lane", pa.string(), nullable=False, metadata={"meaning": "empty for failures"}),
        pa.field("outcome", pa.string(), nullable=False, metadata={"meaning": "kept | removed | failed"}),
        pa.field(
            "reason",
            pa.string(),
            nullable=False,
            metadata={"meaning": "first failing rule or failure kind; empty when kept"},
        ),
        *_COUNTS,
    ]
)
"""Every record read is counted in exactly one row: sum(documents) = read = kept + removed + failed."""

RULES = pa.schema(
    [
        pa.field("source", pa.string(), nullable=False),
        pa.field("lane", pa.string(), nullable=False),
        pa.field("reason", pa.string(), nullable=False),
        pa.field("threshold", pa.float64()),
        *(
            pa.field(name + suffix, pa.int64(), nullable=False, metadata={"meaning": meaning, "unit": unit})
            for suffix, unit in (("", "documents"), ("_chars", "code points"), ("_tokens", "estimated tokens"))
            for name, meaning in (
                ("failing", "documents that fail this rule at all"),
                ("only", "documents that fail this rule and no other"),
                ("first", "documents whose first failing rule this is"),
            )
        ),
    ]
)
"""A rule alone costs `failing`, given all the others `only`: what would come back if it were switched off."""

HISTOGRAMS = pa.schema(
    [
        pa.field("signal", pa.string(), nullable=False),
        pa.field("lane", pa.string(), nullable=False),
        pa.field("left", pa.float64(), nullable=False, metadata={"meaning": "lower edge of the bin, inclusive"}),
        pa.field("right", pa.float64(), nullable=False),
        *_COUNTS,
    ]
)

SAMPLES = pa.schema(
    [
        pa.field("key", pa.uint64(), nullable=False),
        pa.field("id", pa.string(), nullable=False),
        pa.field("url", pa.string()),
        pa.field("source", pa.string(), nullable=False),
        pa.field("lane", pa.string(), nullable=False),
        pa.field("kept", pa.bool_(), nullable=False),
        pa.field(
            "reasons", pa.string(), nullable=False, metadata={"meaning": "JSON list of {reason, value, threshold}"}
        ),
        pa.field(
            "border",
            pa.string(),
            metadata={"meaning": "JSON {reason, value, threshold} of the bound it stands at; null for other samples"},
        ),
        pa.field(
            "excerpt",
            pa.string(),
            nullable=False,
            metadata={"meaning": "600 characters, where most of what its reasons count stands; personal data redacted"},
        ),
        pa.field("excerpt_start", pa.int32(), nullable=False, metadata={"unit": "characters, of the redacted text"}),
        pa.field(
            "marks",
            pa.string(),
            nullable=False,
            metadata={
                "meaning": "JSON {reason: [[start, end], …]}, characters of the excerpt that the rule counts; a rule "
                "that counts the whole text is left out"
            },
        ),
    ]
)

CLUSTERS = pa.schema(
    [
        pa.field("cluster_id", pa.uint64(), nullable=False),
        pa.field("kind", pa.string(), nullable=False),
        pa.field("size", pa.int32(), nullable=False),
        pa.field(
            "jaccard", pa.float32(), nullable=False, metadata={"meaning": "smallest verified Jaccard to the kept one"}
        ),
        pa.field("kept_id", pa.string(), nullable=False),
        pa.field("kept_excerpt", pa.string(), nullable=False),
        pa.field("removed_id", pa.string(), nullable=False, metadata={"meaning": "the least similar removed member"}),
        pa.field("removed_excerpt", pa.string(), nullable=False),
    ]
)

EDITS = pa.schema(
    [
        pa.field("source", pa.string(), nullable=False),
        pa.field("lane", pa.string(), nullable=False),
        pa.field("kind", pa.string(), nullable=False, metadata={"meaning": "pii:mobile, …, as in curated/"}),
        pa.field(
            "documents", pa.int64(), nullable=False, metadata={"meaning": "published documents with such an edit"}
        ),
        pa.field("edits", pa.int64(), nullable=False),
        pa.field("replaced", pa.int64(), nullable=False, metadata={"meaning": "of them; the others are only recorded"}),
        pa.field("chars", pa.int64(), nullable=False, metadata={"unit": "code points, before the edit"}),
    ]
)

LINES = pa.schema(
    [
        pa.field("kind", pa.string(), nullable=False, metadata={"meaning": "line:site, paragraph:corpus, run:earlier"}),
        pa.field("site", pa.string(), nullable=False, metadata={"meaning": "host; empty where the run is the scope"}),
        pa.field("documents", pa.int64(), nullable=False, metadata={"meaning": "of the site or run that hold it"}),
        pa.field("occurrences", pa.int64(), nullable=False, metadata={"meaning": "planned to be cut, kept or not"}),
        pa.field("chars", pa.int64(), nullable=False, metadata={"unit": "code points, of all occurrences"}),
        pa.field("line", pa.string(), nullable=False, metadata={"unit": "first 200 characters"}),
        pa.field("id", pa.string(), nullable=False, metadata={"meaning": "the first document that holds it"}),
    ]
)
"""`stats/lines.parquet`: the lines, paragraphs and runs that most documents share, at most 100."""

MAX_SAMPLED_DOCUMENTS = 20_000  # chosen: an interval of at most 1 % of a lane, and a page that still opens at once

_RULED = {rule.signal for rules in (ZhRules, CtllmZhRules, EnRules, CodeRules) for rule in rules().rules()}
SAMPLED_SIGNALS: tuple[str, ...] = tuple(name for name in SIGNALS.names if name in _RULED)
"""The signals that any rule can bound, in their order."""

_SAMPLE_FIELDS: "list[pa.Field[Any]]" = [
    pa.field("key", pa.uint64(), nullable=False),
    pa.field("lane", pa.string(), nullable=False),
    pa.field("kept", pa.bool_(), nullable=False),
    pa.field("is_copy", pa.bool_(), nullable=False, metadata={"meaning": "removed as a copy of another"}),
    pa.field("has_copies", pa.bool_(), nullable=False, metadata={"meaning": "occurs in a verified pair, kept or not"}),
    pa.field("nothing_left", pa.bool_(), nullable=False, metadata={"meaning": "cuts leave none of it"}),
    pa.field("chars", pa.int64(), nullable=False, metadata={"unit": "code points, what cuts leave"}),
    pa.field("tokens", pa.int64(), nullable=False, metadata={"unit": "estimated tokens, what cuts leave"}),
    *(pa.field(name, pa.float32(), metadata=SIGNALS.field(name).metadata) for name in SAMPLED_SIGNALS),
]
SIGNAL_SAMPLE = pa.schema(_SAMPLE_FIELDS)
"""`stats/signal_sample.parquet`: a sample of every lane that has rules, lane by lane in order of a hash of the key.

Any first rows of a lane are a sample of it, and the lane's total stands in the funnel.
"""
