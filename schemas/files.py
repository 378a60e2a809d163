"""Whole files or none: everything is written under a temporary name, flushed, and renamed into place.

Paths are local or any fsspec URL (`gs://`, `s3://`); object stores publish an object only when it is complete.
"""

import errno
import hashlib
import json
import os
import re
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import resources
from pathlib import Path
from typing import IO, Any
from urllib.parse import urlsplit

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq

from ctllm.schemas.errors import ConfigError, InputError, MissingPartError, OutputError

ROW_GROUP_ROWS = 8192  # 16-32 MiB of web text; speed does not depend on it (docs/experiments.md)


def packaged(path: str) -> str:
    """`path`, or, when it begins with `configs/` or `examples/` and is not here, the file that the package carries.

    So that `configs/curation/recommended.yaml` works in any directory after an install from a wheel.
    """
    room, _, rest = path.partition("/")
    if room not in ("configs", "examples") or Path(path).exists():
        return path
    carried = resources.files(f"ctllm.{room}").joinpath(rest)
    return str(carried) if carried.is_file() or carried.is_dir() else path


def join(directory: str, *parts: str) -> str:
    """`directory` and `parts` with single slashes; works for local paths and URLs."""
    return "/".join([directory.rstrip("/"), *parts])


def filesystem_of(path: str) -> tuple[Any, str]:
    """The fsspec filesystem of a path or URL, and the path's name there.

    Raises MissingPartError for storage whose package is not installed, ConfigError for an unknown protocol.
    """
    protocol = path.partition("://")[0]
    try:
        filesystem, name = fsspec.core.url_to_fs(path)
    except ImportError as error:
        package, extra = _STORAGE.get(protocol, ("its fsspec package", ""))
        install = f"ctllm[{extra}]" if extra else package
        raise MissingPartError(f"{path}: {protocol}:// needs {package}; run pip install '{install}'") from error
    except ValueError as error:
        raise ConfigError(f"{path}: {error}; give a path, or a URL such as s3:// or gs://") from error
    return filesystem, name


_STORAGE = {"s3": ("s3fs", "s3"), "s3a": ("s3fs", "s3"), "gs": ("gcsfs", "gcp"), "gcs": ("gcsfs", "gcp")}
"""Protocol to the package that speaks it and the extra of ours that brings it."""


def check_has_no_secret(url: str) -> None:
    """Raises ConfigError for a URL with a password or a signature: manifests, logs and run pages keep it as it is."""
    parts = urlsplit(url) if "://" in url else None
    if parts and ("@" in parts.netloc or _SECRET_QUERY.search(parts.query)):
        raise ConfigError(
            f"{parts.scheme}://{parts.hostname}/…: the URL carries a password or a signature, which would stand in "
            "manifests and logs; give keys through the environment or fsspec's config file, or fetch the file first"
        )


_SECRET_QUERY = re.compile(
    r"(?i)(^|[&_-])(sig|signature|token|secret|credential|password|key|apikey|accesskey|accesskeyid)="
)


def absolute_path(path: str) -> str:
    """`path` from the root of its filesystem; a URL as it is."""
    fs, name = filesystem_of(path)
    return str(name) if "file" in fs.protocol else path


def exists(path: str) -> bool:
    """Whether a file or directory is there."""
    fs, name = filesystem_of(path)
    return bool(fs.exists(name))


def list_files(directory: str, *, suffix: str = "") -> list[str]:
    """Paths of the files directly in `directory` that end in `suffix`, sorted; [] when it is not there."""
    fs, name = filesystem_of(directory)
    if not fs.isdir(name):
        return []
    names = (info["name"] for info in fs.ls(name, detail=True) if info["type"] == "file")
    kept = sorted(each.rsplit("/", 1)[-1] for each in names)
    return [join(directory, each) for each in kept if each.endswith(suffix) and not each.startswith(".")]


def walk_files(directory: str) -> list[str]:
    """Names of all files below `directory`, relative to it, sorted; temporary files are left out."""
    fs, name = filesystem_of(directory)
    root = name.rstrip("/") + "/"
    names = (path.removeprefix(root) for path in fs.find(name))
    return sorted(each for each in names if not each.rsplit("/", 1)[-1].startswith("."))


def remove_temporary(directory: str) -> None:
    """Deletes what killed writers left below `directory`; only for directories that nobody writes to any more."""
    fs, name = filesystem_of(directory)
    for path in fs.find(name):
        leaf = path.rsplit("/", 1)[-1]
        if leaf.startswith(".") and leaf.endswith(".tmp"):
            fs.rm(path)


def remove_tree(directory: str) -> None:
    """Deletes `directory` and what is in it, if it is there."""
    fs, name = filesystem_of(directory)
    if fs.exists(name):
        fs.rm(name, recursive=True)


@contextmanager
def written_whole(path: str) -> Iterator[IO[bytes]]:
    """A binary file that appears under `path` only when the block ends without an error.

    Raises OutputError when the directory cannot be written or the disk is full.
    """
    fs, name = filesystem_of(path)
    parent, _, leaf = name.rpartition("/")
    temporary = f"{parent}/.{leaf}.{uuid.uuid4().hex[:8]}.tmp"
    with output_errors(path):
        try:
            fs.makedirs(parent, exist_ok=True)
            with fs.open(temporary, "wb") as file:
                yield file
                file.flush()
                if "file" in fs.protocol:
                    os.fsync(file.fileno())
            fs.mv(temporary, name)
        except BaseException:
            _discard(fs, temporary)
            raise


@contextmanager
def output_errors(path: str) -> Iterator[None]:
    """Turns a full disk and missing permissions inside the block into an OutputError that names `path`."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise OutputError(
                f"{path}: no space left on the device; free some and run the same command again"
            ) from error
        if error.errno in (errno.EACCES, errno.EROFS, errno.EPERM, errno.ENOTDIR, errno.EEXIST, errno.ENOENT):
            raise OutputError(f"{path}: cannot be written ({error.strerror}); choose another --out") from error
        raise


def _discard(fs: Any, name: str) -> None:  # noqa: ANN401 - fsspec is untyped
    try:
        fs.rm(name)
    except OSError:
        return


def write_parquet(path: str, table: pa.Table | pa.RecordBatch, *, level: int = 3) -> None:
    """Writes `table` as zstd Parquet, whole or not at all; equal tables give equal bytes."""
    if isinstance(table, pa.RecordBatch):
        table = pa.Table.from_batches([table])
    with written_whole(path) as file:
        pq.write_table(table, file, compression="zstd", compression_level=level, row_group_size=ROW_GROUP_ROWS)


def read_parquet(path: str, *, columns: list[str] | None = None) -> pa.Table:
    """The table at `path`, `columns` in their order. Raises InputError where it or one of them is missing or broken."""
    fs, name = filesystem_of(path)
    try:
        with fs.open(name, "rb") as file:  # not by read_table, whose dataset takes eight times as long for a small file
            table = pq.ParquetFile(file, pre_buffer=True).read(columns)
        return table if columns is None else table.select(columns)
    except FileNotFoundError as error:
        raise InputError(f"{path}: not there; was the stage that writes it run?") from error
    except KeyError as error:
        raise InputError(f"{path}: {error.args[0]}; delete it and run the stage again") from error
    except pa.ArrowInvalid as error:
        raise InputError(f"{path}: not a readable Parquet file ({error}); delete it and run the stage again") from error


def repeating_columns(schema: pa.Schema) -> list[str]:
    """Leaves of `schema`, as Parquet names them, for which a dictionary is made: not of texts, bands and sketches.

    These hardly ever repeat, and looking each up costs a seventh of writing and a fifth of reading them (2026-11-26).
    """
    unique = (pa.large_string(), pa.binary(), pa.list_(pa.uint64()))
    return [name for field in schema if field.type not in unique for name in _leaves(field.name, field.type)]


def _leaves(name: str, kind: pa.DataType) -> Iterator[str]:
    if pa.types.is_list(kind):
        yield from _leaves(f"{name}.list.element", kind.value_type)
    elif pa.types.is_struct(kind):
        for field in kind:
            yield from _leaves(f"{name}.{field.name}", field.type)
    else:
        yield name


def num_rows(path: str) -> int:
    """Rows of a Parquet file, from its footer."""
    with fsspec.open(path, "rb") as file:
        return int(pq.read_metadata(file).num_rows)


def write_json(path: str, value: Any, *, indent: int | None = 1) -> None:  # noqa: ANN401 - whatever JSON can hold
    """Writes `value` as JSON, whole or not at all; with `indent=None`, four times as fast, what no person reads."""
    with written_whole(path) as file:
        file.write(json.dumps(value, ensure_ascii=False, indent=indent, sort_keys=True).encode() + b"\n")


def read_json(path: str) -> Any:  # noqa: ANN401 - whatever JSON can hold
    """The JSON value at `path`. Raises InputError when it is missing or broken."""
    fs, name = filesystem_of(path)
    try:
        with fs.open(name, "rb") as file:
            return json.loads(file.read())
    except FileNotFoundError as error:
        raise InputError(f"{path}: not there") from error
    except ValueError as error:
        raise InputError(f"{path}: not valid JSON ({error})") from error


def file_digest(path: str) -> str:
    """sha256 of the file's bytes, 64 hex digits."""
    digest = hashlib.sha256()
    fs, name = filesystem_of(path)
    with fs.open(name, "rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
