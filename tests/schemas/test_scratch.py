"""Scratch directories: however their work ends, short of a SIGKILL, nothing of them is left."""

import signal
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import pytest

from ctllm.schemas.scratch import remove_scratch, scratch_directory, temporary_files_in_scratch

WORK = """
import os, signal, sys, time
{before}
from ctllm.schemas.scratch import scratch_directory
with scratch_directory("work-") as outer, scratch_directory("more-"):
    open(outer + "/file", "w").close()
    print("begun", flush=True)
    time.sleep(60)
"""


def test_done_and_failed_work_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The directory is empty at the start and gone at the end, though a library removed it or left files in it."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with pytest.raises(KeyError), scratch_directory("work-") as directory:
        assert Path(directory).name.startswith("work-")
        assert list(Path(directory).iterdir()) == []
        (Path(directory) / "left").touch()
        raise KeyError
    with scratch_directory("work-") as directory:
        remove_scratch()
        assert not Path(directory).exists()
    assert list(tmp_path.iterdir()) == []


def test_what_a_library_leaves_lies_in_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Inside the block `mkdtemp` works there; afterwards, and after an error, where it did before."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with pytest.raises(KeyError), temporary_files_in_scratch("beam-"):
        left = Path(tempfile.mkdtemp())
        assert left.parent.parent == tmp_path
        raise KeyError
    assert not left.exists()
    assert tempfile.gettempdir() == str(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_thread_may_have_one_too() -> None:
    """Outside the main thread, where no signal can be asked for, it is made and removed all the same."""
    made: list[str] = []

    def work() -> None:
        with scratch_directory("work-") as directory:
            made.append(directory)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert not Path(made[0]).exists()
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


@pytest.mark.parametrize(
    ("before", "number", "code"),
    [
        ("", signal.SIGTERM, -signal.SIGTERM),
        ("signal.signal(signal.SIGTERM, lambda *_: sys.exit(7))", signal.SIGTERM, 7),
        ("signal.signal(signal.SIGINT, signal.default_int_handler)", signal.SIGINT, -signal.SIGINT),  # may be ignored
    ],
    ids=["SIGTERM", "SIGTERM, handled", "Ctrl-C"],
)
def test_a_process_that_is_told_to_stop_leaves_nothing(
    tmp_path: Path, before: str, number: signal.Signals, code: int
) -> None:
    """It ends as it would have without a scratch directory, and the directories are gone."""
    process = subprocess.Popen(
        [sys.executable, "-c", WORK.format(before=before)],
        env={"TMPDIR": str(tmp_path)},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    assert process.stdout
    assert process.stdout.readline() == b"begun\n"
    assert len(list(tmp_path.iterdir())) == 2
    process.send_signal(number)
    assert process.wait(timeout=60) == code
    assert list(tmp_path.iterdir()) == []
