"""Positions and names as they are written."""

import pytest

from ctllm.pipelines.fetch.remote import RemoteFile, checked_names, pick_positions
from ctllm.schemas.errors import ConfigError, InputError


@pytest.mark.parametrize(
    ("given", "positions"),
    [("0", [0]), ("0-3", [0, 1, 2, 3]), ("7,0-2,1", [0, 1, 2, 7]), (" 4 , 5-5 ", [4, 5])],
)
def test_positions(given: str, positions: list[int]) -> None:
    """Single positions, ranges with both ends and lists of them, each once, sorted."""
    assert pick_positions(given, option="--segments") == positions


@pytest.mark.parametrize("given", ["", "a", "1-", "-1", "1,,2", "1.5", "3-1", "0x1"])
def test_no_positions(given: str) -> None:
    """Anything else is refused with the option and an example."""
    with pytest.raises(ConfigError, match=r"--segments"):
        pick_positions(given, option="--segments")


def test_one_name_for_two_files() -> None:
    """Two files of one name are refused: the second would overwrite the first."""
    with pytest.raises(InputError, match="two files called a"):
        checked_names([RemoteFile("a", "http://x/1"), RemoteFile("a", "http://x/2")])


def test_identity_is_the_content_where_it_is_known() -> None:
    """Equal checksums make equal files, whatever their address."""
    assert RemoteFile("a", "u", sha256="s").identity == RemoteFile("b", "v", sha256="s").identity == "s"
    assert RemoteFile("a", "u", git_sha1="g").identity == "g"
    assert RemoteFile("a", "u").identity == "u"
