"""A data version, `name@version`: what lies where, what it was made from, and what became of it.

Versions are explicit, as in marin's executor: nothing moves to another address because a setting changed. The
fingerprint is advisory: it warns when what lies there is no longer what was published. `dev` is always made anew.
"""

import re
from typing import Any, Literal

from pydantic import Field

from ctllm.schemas.config import Config

DEV = "dev"
NAME = r"[a-z0-9][a-z0-9._-]*"
VERSION = r"[A-Za-z0-9][A-Za-z0-9._-]*"
_REFERENCE = re.compile(rf"({NAME})@({VERSION})")

Kind = Literal["curated", "tokenizer", "tokens", "plan", "conversations", "training", "files"]
"""What a directory holds; `files`: data of others, which only its files describe."""
State = Literal["published", "accepted", "rejected", "withdrawn", "deleted"]
"""withdrawn: no longer to be used; deleted: its files are gone and only the record is left."""
USABLE: tuple[State, ...] = ("published", "accepted", "rejected")


class Contents(Config):
    """What a directory holds, read off its manifests."""

    kind: Kind
    fingerprint: str
    """16 hex digits that change when the data do, whatever machine made them, and when."""
    is_whole: bool
    """False for a training that has steps to go."""
    counts: dict[str, int | float]
    config: dict[str, Any]
    inputs: tuple[str, ...] = ()
    """Files, or directories of other stages, where the manifest names them."""
    num_files: int
    size_bytes: int


class Origin(Config):
    """Something a version was made from."""

    role: str
    """The stage's word for it: run, tokenizer, tokens, plan, checkpoint, input."""
    path: str
    """`name@version` where it is one, else the path that was given."""
    fingerprint: str | None = None
    """At that time; None for what has no manifest."""


class StateChange(Config):
    """One line of a version's history."""

    state: State
    at: str
    """UTC, ISO 8601."""
    reasons: tuple[str, ...] = ()


class DataVersion(Config):
    """Everything that is known of `name@version`. Only `history` ever grows; `dev` is replaced as a whole."""

    name: str = Field(pattern=rf"^{NAME}$")
    version: str = Field(pattern=rf"^{VERSION}$")
    path: str
    """Absolute, or a URL."""
    is_adopted: bool
    """Made elsewhere: never deleted by us."""
    recipe: str | None = None
    """Digest of the settings that a stage command made it with; None when it was registered later."""
    made_from: tuple[Origin, ...] = ()
    contents: Contents
    history: tuple[StateChange, ...] = Field(min_length=1)

    @property
    def reference(self) -> str:
        """`name@version`."""
        return f"{self.name}@{self.version}"

    @property
    def state(self) -> State:
        """The latest."""
        return self.history[-1].state

    @property
    def published_at(self) -> str:
        """UTC, ISO 8601."""
        return self.history[0].at


def parse_reference(text: str) -> tuple[str, str] | None:
    """`zh-web@3` as ("zh-web", "3"); None for everything else, so for every path with a slash."""
    found = _REFERENCE.fullmatch(text)
    return (found[1], found[2]) if found else None
