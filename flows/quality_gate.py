"""Whether a version may become the accepted one: shares of its curation, bits per byte beside the accepted model's."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

from ctllm.schemas.files import join, read_parquet
from ctllm.schemas.train_version_config import GateConfig
from ctllm.schemas.tuning_run import EvaluationResult

MIN_COMPARED_DOCUMENTS = 100  # chosen: a share of fewer documents moves by chance


def check_curation(run: str, accepted: str | None, gate: GateConfig) -> list[str]:
    """What speaks against a curation run, beside the accepted one if there is one; empty when nothing does."""
    lanes, failed = _counts(run)
    read = sum(sum(lane.values()) for lane in lanes.values()) + failed
    kept = sum(lane["kept"] for lane in lanes.values())
    reasons = []
    if kept < gate.min_kept_documents:
        reasons.append(f"{kept:,} documents kept, min_kept_documents is {gate.min_kept_documents:,}")
    if gate.max_failed_share is not None and read and failed / read > gate.max_failed_share:
        reasons.append(f"{failed / read:.1%} of the records failed, max_failed_share is {gate.max_failed_share:g}")
    for lane, counts in sorted(lanes.items()):
        removed = counts["removed"] / max(sum(counts.values()), 1)
        if gate.max_removed_share is not None and removed > gate.max_removed_share:
            reasons.append(f"lane {lane}: {removed:.1%} removed, max_removed_share is {gate.max_removed_share:g}")
    if accepted is not None and gate.max_kept_share_drop is not None:
        reasons += _drops(lanes, _counts(accepted)[0], allowed=gate.max_kept_share_drop)
    return reasons


_Lanes = dict[str, dict[str, int]]


def _counts(run: str) -> tuple[_Lanes, int]:
    """Lane to documents kept and removed; failed records. `other` documents are refused by design and left out."""
    lanes: _Lanes = defaultdict(lambda: {"kept": 0, "removed": 0})
    failed = 0
    for row in read_parquet(join(run, "stats", "funnel.parquet")).to_pylist():
        if row["outcome"] == "failed":
            failed += row["documents"]
        elif row["lane"] != "other":
            lanes[row["lane"]][row["outcome"]] += row["documents"]
    return dict(lanes), failed


def _drops(lanes: _Lanes, before: _Lanes, *, allowed: float) -> Iterable[str]:
    for lane, counts in sorted(before.items()):
        now = lanes.get(lane, {"kept": 0, "removed": 0})
        documents = [sum(counts.values()), sum(now.values())]
        if min(documents) < MIN_COMPARED_DOCUMENTS:
            continue
        was, is_now = counts["kept"] / documents[0], now["kept"] / documents[1]
        if was - is_now > allowed:
            yield f"lane {lane}: keeps {is_now:.1%}, the accepted version {was:.1%}; max_kept_share_drop is {allowed:g}"


def check_bits_per_byte(new: EvaluationResult, accepted: EvaluationResult | None, gate: GateConfig) -> list[str]:
    """What speaks against a model; both must be measured on the same held-out documents, those of the new version.

    The accepted model may have been trained on some of them: then it looks better than it is, and the gate is stricter.
    """
    values = _bits_per_byte(new.bits_per_byte)
    before = _bits_per_byte(accepted.bits_per_byte) if accepted else {}
    reasons = [] if values else ["no bits per byte were measured"]
    for lane, value in sorted(values.items()):
        if gate.max_bits_per_byte is not None and value > gate.max_bits_per_byte:
            reasons.append(f"lane {lane}: {value:.3f} bits per byte, max_bits_per_byte is {gate.max_bits_per_byte:g}")
        bound = gate.max_bits_per_byte_increase
        if bound is not None and lane in before and value > before[lane] * (1 + bound):
            reasons.append(
                f"lane {lane}: {value:.3f} bits per byte, the accepted model {before[lane]:.3f}; "
                f"max_bits_per_byte_increase is {bound:g}"
            )
    return reasons


def _bits_per_byte(lanes: Mapping[str, Mapping[str, Any]]) -> dict[str, float]:
    return {lane: figures["bits_per_byte"] for lane, figures in lanes.items()}
