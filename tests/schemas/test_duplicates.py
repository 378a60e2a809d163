"""The dedup index: the same text and settings give the same rows for as long as the version says so."""

import hashlib

import pyarrow as pa
import pytest

from ctllm.pipelines.dedup.signature import Signer
from ctllm.schemas.curation_config import DedupConfig
from ctllm.schemas.duplicates import BANDS_VERSION

TEXTS = {
    "zh": "语料库里的每一篇文章，都要先量过，再定去留。同一篇文章换了标点、换了繁简，仍旧是同一篇文章。",
    "en": "Every page of the corpus is measured first and judged afterwards. A copy of it, in other type or with other "
    "marks, is still the same page; one that was written anew is not, however much the two are alike in what they say.",
    "code": "def kept(rows):\n    return [row for row in rows if row['kept'] and not row['reasons'] and row['lane'] in "
    "LANES]\n",
}
GOLDEN = {
    5: {
        "recommended": "5ccf8359bf9aca63",
        "ctllm": "92b97552507b033e",
    }
}
"""Version and preset to the digest of the rows of TEXTS."""


@pytest.mark.parametrize("preset", ["recommended", "ctllm"])
def test_rows_change_with_the_version_only(preset: str) -> None:
    """An index of earlier crawls is compared with new ones: who changes what a text's row holds raises BANDS_VERSION.

    Then the index of another version is refused, and the digests of the new one are noted here.
    """
    signer = Signer(DedupConfig.model_validate({"preset": preset}))
    digest = hashlib.sha256()
    for number, (lane, text) in enumerate(TEXTS.items()):
        columns = {
            "key": pa.array([number], pa.uint64()),
            "url": pa.array([f"HTTP://Example.org:80/{lane}?b=1&a=2#top"]),
            "lane": pa.array([lane]),
            "text": pa.array([text], pa.large_string()),
        }
        for row in signer.sign(pa.record_batch(columns)).to_pylist():
            digest.update(repr(row).encode())
    assert BANDS_VERSION in GOLDEN, "note the digests of the new version"
    assert digest.hexdigest()[:16] == GOLDEN[BANDS_VERSION][preset]
