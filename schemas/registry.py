"""The registry of data versions: one JSON file per name beside the runs, safe for several writers.

    REGISTRY/zh-web.json    all versions of the name, oldest first
    REGISTRY/zh-web.lock    held while the file is read, changed and renamed into place

A published version never changes; only its history grows. Which version is accepted is not stored anywhere: it is the
one accepted last that is still accepted, so that rejecting it brings the one before back by itself.
"""

import fcntl
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from ctllm.schemas.config import Config
from ctllm.schemas.contents import fingerprint_of
from ctllm.schemas.data_version import DEV, USABLE, DataVersion, State, StateChange, parse_reference
from ctllm.schemas.errors import ConfigError, InputError, OutputError
from ctllm.schemas.files import absolute_path, join, read_json, write_json
from ctllm.schemas.tokens import TOKENIZER

REGISTRY_VARIABLE = "CTLLM_REGISTRY"
DEFAULT_REGISTRY = "runs/registry"


class _Versions(Config):
    """The file of one name."""

    versions: tuple[DataVersion, ...]


class Registry:
    """The versions known below one directory."""

    def __init__(self, root: Path) -> None:
        """`root` need not be there yet."""
        self.root = root

    @classmethod
    def default(cls) -> "Registry":
        """CTLLM_REGISTRY, else `runs/registry` of the current directory. Raises ConfigError for a URL."""
        root = os.environ.get(REGISTRY_VARIABLE) or DEFAULT_REGISTRY
        if "://" in root:
            raise ConfigError(f"{REGISTRY_VARIABLE}={root}: must be a local directory; the data may lie anywhere")
        return cls(Path(root).absolute())

    def versions(self, name: str | None = None) -> list[DataVersion]:
        """All versions, or those of `name`, by name and then oldest first."""
        names = [name] if name else sorted(path.stem for path in self.root.glob("*.json"))
        return [version for each in names for version in self._read(each)]

    def find(self, reference: str) -> DataVersion:
        """The version `name@version`. Raises InputError naming those there are."""
        name, version = _parsed(reference)
        known = self._read(name)
        for each in known:
            if each.version == version:
                return each
        others = ", ".join(each.reference for each in known) or ", ".join(sorted({v.name for v in self.versions()}))
        raise InputError(f"{reference}: not registered in {self.root}; known: {others or 'none'}")

    def accepted(self, name: str) -> DataVersion | None:
        """The version of `name` that was accepted last and still is."""
        accepted = [each for each in self._read(name) if each.state == "accepted"]
        return max(accepted, key=lambda each: each.history[-1].at, default=None)

    def place_of(self, reference: str) -> str:
        """Where a stage puts what it makes as `name@version`: beside the registry."""
        name, version = _parsed(reference)
        return str(self.root.parent / name / version)

    def add(self, version: DataVersion) -> DataVersion:
        """Registers a version; the same again changes nothing. Raises OutputError when it is another: bump it."""

        def added(versions: Sequence[DataVersion]) -> list[DataVersion]:
            known = next((each for each in versions if each.version == version.version), None)
            if known is None or version.version == DEV:
                return [*(each for each in versions if each is not known), version]
            if (known.path, known.contents.fingerprint) != (version.path, version.contents.fingerprint):
                raise OutputError(
                    f"{version.reference}: published at {known.published_at} and never changed since "
                    f"({known.contents.fingerprint} at {known.path}); give this another version, or `{DEV}`"
                )
            return list(versions)

        self._change(version.name, added)
        return self.find(version.reference)

    def set_state(self, reference: str, state: State, *, reasons: Sequence[str] = ()) -> DataVersion:
        """Adds a line to a version's history. Raises InputError for an unknown one."""
        found = self.find(reference)
        if found.state in ("withdrawn", "deleted") and state in USABLE:
            raise InputError(f"{reference}: {found.state} at {found.history[-1].at}; it cannot be {state} any more")
        change = StateChange(state=state, at=now(), reasons=tuple(reasons))

        def changed(versions: Sequence[DataVersion]) -> list[DataVersion]:
            return [
                each.model_copy(update={"history": (*each.history, change)}) if each.version == found.version else each
                for each in versions
            ]

        self._change(found.name, changed)
        return self.find(reference)

    def locate(self, text: str, *, warn: Callable[[str], None]) -> str:
        """The path that `name@version` stands for; a path as it is. A tokenizer's is that of its model file.

        Warns when what lies there is not what was published. Raises InputError for a version that is unknown,
        withdrawn or deleted.
        """
        if parse_reference(text) is None:
            return text
        found = self.find(text)
        if found.state not in USABLE:
            why = "; ".join(found.history[-1].reasons)
            raise InputError(f"{text}: {found.state} at {found.history[-1].at}{f' ({why})' if why else ''}")
        if found.state == "rejected":
            warn(f"{text} was rejected: {'; '.join(found.history[-1].reasons)}")
        if found.contents.kind != "files" and (now_there := fingerprint_of(found.path)) != found.contents.fingerprint:
            warn(f"{text}: {found.path} holds {now_there}, published was {found.contents.fingerprint}")
        return join(found.path, TOKENIZER) if found.contents.kind == "tokenizer" else found.path

    def dependents(self, version: DataVersion) -> list[DataVersion]:
        """Versions that were made directly from this one."""
        places = {version.reference, version.path, join(version.path, TOKENIZER)}
        return [
            each
            for each in self.versions()
            if places & {origin.path for origin in each.made_from}
            or version.path in {absolute_path(path) for path in each.contents.inputs}
        ]

    @contextmanager
    def building(self, reference: str) -> Iterator[None]:
        """Held while a version is made. Raises OutputError when another process makes it."""
        name, version = _parsed(reference)
        with _locked(self.root / f"{name}@{version}.making", wait=False):
            yield

    def _read(self, name: str) -> tuple[DataVersion, ...]:
        path = self.root / f"{name}.json"
        return _Versions.model_validate(read_json(str(path))).versions if path.exists() else ()

    def _change(self, name: str, change: Callable[[Sequence[DataVersion]], Sequence[DataVersion]]) -> None:
        with _locked(self.root / f"{name}.lock", wait=True):
            versions = _Versions(versions=tuple(change(self._read(name))))
            write_json(str(self.root / f"{name}.json"), versions.model_dump(mode="json"))


def now() -> str:
    """UTC, ISO 8601, to the microsecond: the order of a history."""
    return datetime.now(UTC).isoformat()


def _parsed(reference: str) -> tuple[str, str]:
    parsed = parse_reference(reference)
    if parsed is None:
        raise ConfigError(
            f"{reference}: not a version; write name@version in letters, digits, dots, dashes and underscores, "
            "the name in lower case"
        )
    return parsed


@contextmanager
def _locked(path: Path, *, wait: bool) -> Iterator[None]:
    """An exclusive lock that the kernel gives back when its holder dies."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError as error:
            raise OutputError(f"{path.stem}: another process is making it; wait, or choose another version") from error
        yield
