"""Frozen configs read from YAML: unknown keys are refused with "did you mean", before any work starts."""

import difflib
import hashlib
import json
from collections.abc import Hashable, Iterable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from ctllm.schemas.errors import ConfigError
from ctllm.schemas.files import packaged

Parsed = TypeVar("Parsed", bound="Config")


class Config(BaseModel):
    """Base of every config: frozen, refuses unknown keys, keeps field order."""

    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=())

    def digest(self) -> str:
        """16 hex digits that change when, and only when, a value changes."""
        canonical = json.dumps(self.model_dump(mode="json"), sort_keys=True, ensure_ascii=False)
        return hashlib.sha256(canonical.encode()).hexdigest()[:16]


def read_config(path: str | Path, model: type[Parsed], *, overrides: Iterable[str] = ()) -> Parsed:
    """The config in the YAML file at `path` with `a.b=c` overrides applied, checked against `model`.

    Raises ConfigError naming file and key: missing file, bad YAML, unknown key, wrong type, out-of-range value.
    """
    try:
        text = Path(packaged(str(path))).read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"{path}: cannot read the config ({error.strerror}); check the path") from error
    try:
        values = yaml.load(text, Loader=_StrictLoader) or {}
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        place = f", line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        raise ConfigError(f"{path}{place}: not valid YAML: {error.problem}") from error
    except yaml.YAMLError as error:
        raise ConfigError(f"{path}: not valid YAML: {error}") from error
    if not isinstance(values, dict):
        raise ConfigError(f"{path}: a config is a mapping of keys to values, this is a {type(values).__name__}")
    for override in overrides:
        _apply_override(values, override)
    return parse_config(values, model, origin=str(path))


def bare_off(value: object) -> object:
    """The word off for what YAML makes of it when it stands bare, false; for validators of keys that may be off."""
    return "off" if value is False else value


class _StrictLoader(yaml.SafeLoader):
    """Refuses a key that is written twice in one mapping: YAML forbids it, PyYAML silently keeps the last."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        """The mapping. Raises MarkedYAMLError with line and key."""
        seen: set[str] = set()
        for key in (key for key, _ in node.value if isinstance(key, yaml.ScalarNode)):
            if key.value in seen:
                raise yaml.MarkedYAMLError(problem=f"{key.value} is written twice", problem_mark=key.start_mark)
            seen.add(key.value)
        return super().construct_mapping(node, deep=deep)


def parse_config(values: Mapping[str, Any], model: type[Parsed], *, origin: str) -> Parsed:
    """`values` as a `model`; ConfigError lists every wrong key of `origin`, one a line."""
    try:
        return model.model_validate(values)
    except ValidationError as error:
        lines = [_explain(detail, model) for detail in error.errors()]
        raise ConfigError("\n".join(f"{origin}, {line}" for line in lines)) from error


def overridden(config: Parsed, overrides: Mapping[str, object]) -> Parsed:
    """`config` with `{"a.b": value}` applied and checked anew. Raises ConfigError naming the key."""
    values = config.model_dump(mode="json")
    for key, value in overrides.items():
        _set(values, key, value, origin=f"--set {key}")
    return parse_config(values, type(config), origin="--set")


def parse_override(override: str) -> tuple[str, object]:
    """`a.b=value` as key and YAML value. Raises ConfigError when it is written otherwise."""
    key, separator, value = override.partition("=")
    if not separator or not key:
        raise ConfigError(f"--set {override}: write it as key.subkey=value")
    return key, yaml.safe_load(value)


def _apply_override(values: dict[str, Any], override: str) -> None:
    key, value = parse_override(override)
    _set(values, key, value, origin=f"--set {override}")


def _set(values: dict[str, Any], key: str, value: object, *, origin: str) -> None:
    *parents, leaf = key.split(".")
    target = values
    for parent in parents:
        target = target.setdefault(parent, {})
        if not isinstance(target, dict):
            raise ConfigError(f"{origin}: {parent} is a value, not a group of keys")
    target[leaf] = value


def _explain(detail: Any, model: type[BaseModel]) -> str:  # noqa: ANN401 - pydantic's ErrorDetails
    location = ".".join(str(part) for part in detail["loc"])
    if detail["type"] == "extra_forbidden":
        known = _keys_beside(model, detail["loc"])
        close = difflib.get_close_matches(str(detail["loc"][-1]), known, n=1, cutoff=0.6)
        hint = f"did you mean {close[0]}?" if close else f"known keys: {', '.join(known)}"
        return f"{location}: unknown key; {hint}"
    given = detail.get("input")
    shown = f"{given!r}: " if isinstance(given, str | int | float | bool | None) else ""
    return f"{location}: {shown}{_share_hint(location, given)}{detail['msg']}"


def _share_hint(location: str, given: object) -> str:
    if location.endswith("_share") and isinstance(given, int | float) and 1 < given <= 100:
        return f"shares run from 0 to 1, did you mean {given / 100:g}? "
    return ""


def _keys_beside(model: type[BaseModel], location: tuple[str | int, ...]) -> list[str]:
    """Names of the fields that stand where the unknown key was written."""
    current: Any = model
    for part in location[:-1]:
        field = getattr(current, "model_fields", {}).get(part)
        if field is None:
            break
        current = field.annotation
    return list(getattr(current, "model_fields", {}))
