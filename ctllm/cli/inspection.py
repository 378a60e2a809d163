"""What `ctllm doctor` looks at: every part is really used once, in the smallest way, not only imported."""

import os
import platform
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

from ctllm.schemas.errors import MissingPartError

OK, MISSING, OPTIONAL = "ok", "missing", "optional"
MIN_FREE_GB = 5.0  # chosen: the demo needs 0.2 GB, a first real run some


@dataclass(frozen=True)
class Finding:
    """The state of one part: ok, missing (nothing works without), or optional (not there, and not needed)."""

    part: str
    state: str
    detail: str


def inspect_all() -> list[Finding]:
    """All findings, in the order of the data's way. Takes some seconds: it compiles, trains and runs a little."""
    return [_guarded(part, check) for part, check in _CHECKS.items()]


def _guarded(part: str, check: Callable[[], Finding]) -> Finding:
    try:
        return check()
    except MissingPartError as error:
        return Finding(part, MISSING, str(error))
    except Exception as error:  # a broken part can raise anything, and the other parts are still to be looked at
        return Finding(part, MISSING, f"{type(error).__name__}: {error}; run `make setup`")


def _python() -> Finding:
    found = f"{platform.python_version()} at {sys.executable}"
    return Finding("python", OK if sys.version_info >= (3, 11) else MISSING, found)


def _machine() -> Finding:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    memory_gb = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9
    free_gb = shutil.disk_usage(Path.cwd()).free / 1e9
    hint = "" if free_gb >= MIN_FREE_GB else "; this is little, write large runs elsewhere"
    return Finding("machine", OK, f"{cores} cores, {memory_gb:.0f} GB memory, {free_gb:.0f} GB free here{hint}")


def _numba() -> Finding:
    import numba
    import numpy as np

    doubled = numba.njit(lambda values: values * 2)(np.arange(3))
    return Finding(
        "numba", OK, f"{numba.__version__}, compiles ({doubled.tolist()}), {numba.get_num_threads()} threads"
    )


def _language_model() -> Finding:
    from ctllm.pipelines.language import LanguageIdentifier
    from ctllm.pipelines.language_model import find_language_model

    path = find_language_model()
    labels, scores = LanguageIdentifier(str(path)).identify(["春天来了，河边的柳树发芽了。"])
    return Finding("fasttext, lid.176", OK, f"{version('fasttext')}, 春天来了 is {labels[0]} ({scores[0]:.2f}), {path}")


def _readers() -> Finding:
    import fastwarc  # noqa: F401 - whether its binary loads is the question
    import opencc
    import pyarrow as pa
    from resiliparse.parse.html import HTMLTree

    body = HTMLTree.parse("<p>漢字</p>").body
    text = body.text if body else ""
    folded = opencc.OpenCC("t2s").convert(text)
    detail = f"pyarrow {pa.__version__}, fastwarc {version('fastwarc')}, resiliparse and opencc: {text} → {folded}"
    return Finding("readers", OK, detail)


def _beam_direct() -> Finding:
    import apache_beam as beam
    from apache_beam.runners.portability.fn_api_runner import FnApiRunner

    with tempfile.TemporaryDirectory() as directory, beam.Pipeline(runner=FnApiRunner()) as pipeline:
        numbers = pipeline | "Create" >> beam.Create(["ran"])
        numbers | "Write" >> beam.io.WriteToText(str(Path(directory) / "out"))
    return Finding("runner: direct", OK, f"apache-beam {beam.__version__}, a pipeline ran")


def _beam_flink() -> Finding:
    from ctllm.pipelines.portable_services import flink_runner_jar

    java = shutil.which("java")
    if java is None:
        return Finding("runner: flink", OPTIONAL, "no java; install a Java runtime (17) to run on a local Flink")
    answer = subprocess.run([java, "-version"], capture_output=True, text=True, timeout=30, check=False)
    version_line = (answer.stderr or answer.stdout).splitlines()[0]
    jar = flink_runner_jar()
    if jar is None:
        return Finding("runner: flink", OPTIONAL, f"{version_line} at {java}, but no job server; run `make flink`")
    return Finding("runner: flink", OK, f"{version_line} at {java}, {jar.name}")


def _beam_dataflow() -> Finding:
    if find_spec("google") is None or find_spec("google.cloud") is None or find_spec("google.cloud.storage") is None:
        return Finding("runner: dataflow", OPTIONAL, "not installed; the extra `gcp` of this package brings it")
    return Finding("runner: dataflow", OK, "the Google Cloud clients are installed; credentials were not tried")


def _sentencepiece() -> Finding:
    import sentencepiece

    return Finding("sentencepiece", OK, str(sentencepiece.__version__))


def _torch() -> Finding:
    import torch

    loss = torch.nn.Linear(2, 1)(torch.ones(1, 2)).sum()
    loss.backward()
    devices = [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())]
    shown = f"cuda: {', '.join(devices)}" if devices else "no cuda device, training runs on the CPU"
    return Finding("torch", OK, f"{torch.__version__}, {torch.get_num_threads()} threads; {shown}")


def _prefect() -> Finding:
    import prefect

    return Finding("prefect", OK, f"{prefect.__version__}, fastapi {version('fastapi')}")


def _prefect_server() -> Finding:
    from ctllm.flows.local_server import default_home, running_server

    server = running_server(default_home())
    if server is None:
        return Finding("prefect server", OPTIONAL, "not running; `ctllm up` starts it, `ctllm demo` needs none")
    if not server.is_healthy():
        return Finding("prefect server", MISSING, f"{server.url} does not answer; `ctllm down`, then `ctllm up`")
    return Finding("prefect server", OK, f"{server.url} answers")


def _chromium() -> Finding:
    found = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if found is None:
        return Finding("chromium", OPTIONAL, "not there; only the tests of the report's page want it")
    return Finding("chromium", OK, found)


_CHECKS: dict[str, Callable[[], Finding]] = {
    "python": _python,
    "machine": _machine,
    "readers": _readers,
    "fasttext, lid.176": _language_model,
    "numba": _numba,
    "runner: direct": _beam_direct,
    "runner: flink": _beam_flink,
    "runner: dataflow": _beam_dataflow,
    "sentencepiece": _sentencepiece,
    "torch": _torch,
    "prefect": _prefect,
    "prefect server": _prefect_server,
    "chromium": _chromium,
}
