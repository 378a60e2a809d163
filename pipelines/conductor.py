"""The one step of a curation's own job on Dataflow: runs `ctllm curate`, which submits and watches the six others.

That command must outlive whoever launched it (decision 0026), so a worker runs it, as a child process:

    the worker is killed        so is the command, by SIGHUP, which leaves its job under way; the step is tried
                                again, and the next command attaches to that job or continues with the next one
    the worker is told to stop  SIGTERM goes to the process group, and the command cancels its job
    the command fails           so does the step, with the command's sentence; Dataflow tries it four times
"""

import logging
import os
import re
import signal
import subprocess
import sys
from collections import deque
from collections.abc import Iterable, Sequence

import apache_beam as beam

from ctllm.schemas.errors import ConfigError, StageError
from ctllm.schemas.files import filesystem_of, join
from ctllm.schemas.processes import describe_exit, dying_with_parent
from ctllm.schemas.scratch import scratch_directory

NUM_LAST_LINES = 20
_ERROR = re.compile(r"error:? (.+)", re.IGNORECASE)  # how our own errors begin, and usage errors
_LOGGER = logging.getLogger(__name__)


class Conduct(beam.DoFn):
    """Runs `ctllm curate CONFIG ARGUMENTS` once for its element, whatever that is. CONFIG may be a URL."""

    def __init__(self, config: str, arguments: Sequence[str]) -> None:
        self._config = config
        self._arguments = tuple(arguments)

    def process(self, _impulse: bytes) -> None:
        """Returns when the curation is finished. Raises StageError with the sentence that the command ended with."""
        with scratch_directory("ctllm-conductor-") as scratch:
            config = _local(self._config, scratch)
            run_command([sys.executable, "-m", "ctllm.cli.main", "curate", config, *self._arguments])


def run_command(command: Sequence[str]) -> None:
    """Runs `command` to its end; what it says goes to the log, line by line. Raises StageError when it fails."""
    # Beam's `boot` passes SIGTERM on to the group and goes, and the container with it, when nobody holds the worker's
    # output any more or after 5 s. The command holds it too, for as long as it cancels its job.
    held = os.dup(2)
    try:
        child = subprocess.Popen(
            dying_with_parent(command, death_signal=signal.SIGHUP),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            env={**os.environ, "PYTHONUNBUFFERED": "1", "NO_COLOR": "1", "COLUMNS": "1000"},  # a sentence is one line
            pass_fds=(held,),
        )
    finally:
        os.close(held)
    last: deque[str] = deque(maxlen=NUM_LAST_LINES)
    with child:
        for line in child.stdout or ():
            last.append(line.rstrip())
            _LOGGER.info("%s", last[-1])
    if child.returncode != 0:
        raise StageError(f"`ctllm curate` {describe_exit(child.returncode)}: {_sentence(last)}")


def _sentence(lines: Iterable[str]) -> str:
    """The last error among `lines` with what follows it; the last line where none is named so."""
    kept = [line for line in lines if line.strip()] or ["it said nothing"]
    at = max((number for number, line in enumerate(kept) if _ERROR.match(line)), default=len(kept) - 1)
    first = _ERROR.match(kept[at])
    return " ".join([first.group(1) if first else kept[at], *kept[at + 1 :]])


def _local(path: str, directory: str) -> str:
    """`path`, or the copy in `directory` of what lies behind a URL."""
    fs, name = filesystem_of(path)
    if "file" in fs.protocol:
        return path
    copy = join(directory, path.rsplit("/", 1)[-1])
    try:
        fs.get_file(name, copy)
    except FileNotFoundError as error:
        raise ConfigError(f"{path}: cannot read the config (not there); check the path") from error
    return copy
