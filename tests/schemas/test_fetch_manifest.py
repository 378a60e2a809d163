"""The manifest of a fetched directory."""

import pytest

from ctllm.schemas.config import parse_config
from ctllm.schemas.errors import ConfigError
from ctllm.schemas.fetch_manifest import FetchManifest

ENTRY = {"url": "http://x/a", "size_bytes": 3, "fetched_at": "2026-11-25T00:00:00+00:00"}


def test_what_is_written_is_read() -> None:
    """An entry needs address, size and time; everything else may be unknown."""
    manifest = parse_config({"files": {"a": ENTRY}}, FetchManifest, origin="fetch.json")
    assert FetchManifest.model_validate(manifest.model_dump(mode="json")) == manifest
    assert manifest.files["a"].sha256 is None


@pytest.mark.parametrize("change", [{"size_bytes": -1}, {"sha512": "x"}, {"url": None}])
def test_other_manifests_are_refused(change: dict[str, object]) -> None:
    """Negative sizes, unknown keys and missing addresses are no manifest of ours."""
    with pytest.raises(ConfigError, match=r"fetch\.json"):
        parse_config({"files": {"a": ENTRY | change}}, FetchManifest, origin="fetch.json")
