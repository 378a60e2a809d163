"""What doctor looks at."""

from pathlib import Path

import pytest

from ctllm.cli import inspection


def test_every_part_is_ok_or_optional_here() -> None:
    """Where the tests run, every needed part works; each finding says what it is about."""
    findings = inspection.inspect_all()
    assert {each.part: each.state for each in findings if each.state == inspection.MISSING} == {}
    assert all(each.detail for each in findings)


def test_missing_model_names_the_way_out(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Without the language model doctor does not stop: it says which command brings it."""
    monkeypatch.delenv("CTLLM_LID_MODEL", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    (finding,) = (each for each in inspection.inspect_all() if each.part.startswith("fasttext"))
    assert finding.state == inspection.MISSING
    assert "ctllm setup" in finding.detail


def test_broken_part_does_not_stop_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    """A library that fails to load is one line of the table."""

    def broken() -> inspection.Finding:
        raise OSError("libgomp.so.1: cannot open shared object file")

    monkeypatch.setattr(inspection, "_CHECKS", {"torch": broken})
    (finding,) = inspection.inspect_all()
    assert (finding.part, finding.state) == ("torch", inspection.MISSING)
    assert "libgomp" in finding.detail


def test_optional_parts_are_optional(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without Java and Chromium nothing is missing."""
    monkeypatch.setattr("shutil.which", lambda _name: None)
    states = {each.part: each.state for each in inspection.inspect_all()}
    assert states["runner: flink"] == inspection.OPTIONAL
    assert states["chromium"] == inspection.OPTIONAL
