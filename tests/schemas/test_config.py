"""Configs: what a user can get wrong in a YAML file, and what the message says."""

from pathlib import Path

import pytest

from ctllm.schemas.config import read_config
from ctllm.schemas.curation_config import CurationConfig
from ctllm.schemas.errors import ConfigError


def write(tmp_path: Path, text: str) -> Path:
    """A config file with this text."""
    path = tmp_path / "config.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def refusal(path: Path, *overrides: str) -> str:
    """The message with which the config is refused."""
    with pytest.raises(ConfigError) as caught:
        read_config(path, CurationConfig, overrides=overrides)
    return str(caught.value)


def test_unknown_key_is_refused_with_a_suggestion(tmp_path: Path) -> None:
    """A misspelled key names file, place and the key that was meant."""
    path = write(tmp_path, "rules:\n  zh:\n    max_digit_shar: 0.2\n")
    assert refusal(path) == f"{path}, rules.zh.max_digit_shar: unknown key; did you mean max_digit_share?"


def test_percent_for_share_is_refused_with_the_share(tmp_path: Path) -> None:
    """15 for a share is taken for a percent, and the message says 0.15."""
    message = refusal(write(tmp_path, "rules: {zh: {max_symbol_share: 15}}"))
    assert "rules.zh.max_symbol_share: 15" in message
    assert "did you mean 0.15?" in message


def test_all_wrong_keys_are_listed(tmp_path: Path) -> None:
    """Every wrong key is named at once, one a line, so that a user need not try again and again."""
    message = refusal(write(tmp_path, "snapshot: -1\ndedup: {threshold: high}\nnonsense: 1\n"))
    assert [line.split(", ")[1].split(":")[0] for line in message.splitlines()] == [
        "snapshot",
        "dedup.threshold",
        "nonsense",
    ]


@pytest.mark.parametrize("text", ["- a list", "a: [unclosed", "just words"])
def test_text_that_is_no_config_is_refused(tmp_path: Path, text: str) -> None:
    """A list, broken YAML and plain words are refused with the file's name, in one line."""
    message = refusal(write(tmp_path, text))
    assert message.startswith(str(tmp_path))
    assert "\n" not in message


def test_a_key_written_twice_is_refused_with_its_line(tmp_path: Path) -> None:
    """A second value for a key is no silent replacement of the first; the same key in two groups is two keys."""
    message = refusal(write(tmp_path, "name: a\nrules:\n  zh: {max_digit_share: 0.2}\nname: b\n"))
    assert "name is written twice" in message
    assert "line 4" in message
    twice = write(tmp_path, "rules: {zh: {max_digit_share: 0.2}, en: {max_digit_share: 0.2}}")
    assert read_config(twice, CurationConfig).rules.zh.max_digit_share == 0.2


def test_missing_file_is_refused(tmp_path: Path) -> None:
    """A path that is not there is named."""
    assert "nowhere.yaml" in refusal(tmp_path / "nowhere.yaml")


def test_override_wins_and_null_is_off(tmp_path: Path) -> None:
    """`--set` beats the file; null switches a rule off, 0 is zero."""
    path = write(tmp_path, "rules: {zh: {max_digit_share: 0.2}}")
    config = read_config(path, CurationConfig, overrides=["rules.zh.max_digit_share=null", "rules.zh.max_url_share=0"])
    assert config.rules.zh.max_digit_share is None
    assert config.rules.zh.max_url_share == 0


def test_override_through_a_value_is_refused(tmp_path: Path) -> None:
    """`--set name.x=1` cannot go through a plain value."""
    assert "name is a value" in refusal(write(tmp_path, "name: a"), "name.x=1")


def test_digest_follows_values_only(tmp_path: Path) -> None:
    """Writing a default out does not change the digest; changing a value does."""
    plain = read_config(write(tmp_path, "{}"), CurationConfig)
    written_out = read_config(write(tmp_path, "snapshot: 0"), CurationConfig)
    changed = read_config(write(tmp_path, "snapshot: 1"), CurationConfig)
    assert plain.digest() == written_out.digest() != changed.digest()
