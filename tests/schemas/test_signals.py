"""Every signal says what it means and in which unit."""

import pyarrow as pa

from ctllm.schemas.signals import SIGNAL_NAMES, SIGNALS


def test_signals_are_small_columns_with_unit_and_meaning() -> None:
    """A reader of the Parquet file needs no other document; a share is called a share."""
    assert SIGNALS.names == ["key", *SIGNAL_NAMES]
    for name in SIGNAL_NAMES:
        field = SIGNALS.field(name)
        assert field.type in (pa.int32(), pa.float32())
        assert field.metadata[b"meaning"]
        assert (field.metadata[b"unit"] == b"share") == (
            name.endswith("_share") or name in {"benchmark_overlap", "lang_score", "ctllm_lang_score", "quality_score"}
        )
