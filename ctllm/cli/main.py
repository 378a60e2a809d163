"""The entry point: gathers the commands, turns every error into one sentence and an exit code.

Exit codes: 0 done · 1 unexpected · 2 config or usage · 3 input · 4 output · 5 stage · 6 guard · 7 accounts ·
8 missing part · 130 interrupted.
"""

import logging
import os
import signal
import sys
import threading
import time
import traceback
import warnings
from typing import Annotated, NoReturn

import typer

from ctllm import __version__
from ctllm.cli import (
    curation,
    dashboard,
    demo,
    evaluation,
    fetch,
    index,
    operations,
    quality,
    runs,
    serving,
    tokens,
    training,
    use,
)
from ctllm.cli.console import console, print_error
from ctllm.schemas.errors import CtllmError
from ctllm.schemas.files import write_json
from ctllm.schemas.scratch import remove_scratch

INTERRUPTED = 130

app = typer.Typer(
    name="ctllm",
    help="Raw Chinese, English and code corpora in, a small Chinese-centric language model out.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)
for module in (
    demo,
    operations,
    fetch,
    curation,
    dashboard,
    index,
    quality,
    tokens,
    training,
    evaluation,
    use,
    serving,
    runs,
):
    module.register(app)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"ctllm {__version__}")
        raise typer.Exit(0)


@app.callback()
def common(
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="tracebacks and library logs")] = False,
    _version: Annotated[
        bool, typer.Option("--version", help="print the version and exit", is_eager=True, callback=_print_version)
    ] = False,
) -> None:
    """Options that every command understands, written before the command."""
    logging.basicConfig(level=logging.INFO if verbose else logging.ERROR, format="%(name)s: %(message)s")
    logging.getLogger("apache_beam").setLevel(logging.INFO if verbose else logging.CRITICAL)
    if not verbose:
        warnings.filterwarnings("ignore")
        threading.excepthook = lambda _failure: None  # Beam's threads; their errors reach the main thread as well


def main() -> None:
    """Runs the command line; never shows a traceback unless `-v` is among the arguments."""
    signal.signal(signal.SIGINT, _interrupted)
    command = typer.main.get_command(app)
    code = 0
    try:
        result = command.main(prog_name="ctllm", standalone_mode=False)
        code = result if isinstance(result, int) else 0
    except CtllmError as error:
        code = _report(str(error), error.exit_code)
    except Exception as error:
        code = _report_unexpected(error)
    sys.stdout.flush()
    sys.stderr.flush()
    # Not sys.exit: native threads (Arrow's are the suspect) can outlive the interpreter, and its teardown then ends in
    # SIGABRT (1 of 7 tries, 2026-11). All our files are closed by now.
    os._exit(code)


def _interrupted(_signal: int, _frame: object) -> NoReturn:
    """Ends at once. Not by KeyboardInterrupt: raised inside a callback of a library it would be swallowed.

    Safe because every file is written under another name and renamed; trainings put their own handler in this one's
    place, which writes a checkpoint first.
    """
    console.show_cursor()
    remove_scratch()
    # Not `print_error`: while a Beam job runs, sys.stderr is turned aside (pipelines/jobs.py).
    print("error interrupted; what is finished stays, the same command continues", file=sys.__stderr__, flush=True)
    os._exit(INTERRUPTED)


def _report(message: str, code: int) -> int:
    if _is_verbose():
        traceback.print_exc()
    _say(message)
    return code


def _say(message: str) -> None:
    """Once: of the processes of torchrun the first prints, and torchrun's summary shows the sentence of each."""
    if path := os.environ.get("TORCHELASTIC_ERROR_FILE"):
        write_json(path, {"message": message, "timestamp": int(time.time())})
    if not path or os.environ.get("RANK", "0") == "0":
        print_error(message)


def _report_unexpected(error: Exception) -> int:
    show = getattr(error, "show", None)  # click's usage errors print themselves
    if show is not None:
        show()
        return int(getattr(error, "exit_code", 2))
    if _is_verbose():
        traceback.print_exc()
    _say(f"{type(error).__name__}: {error} (unexpected; run with -v for the traceback and please report it)")
    return 1


def _is_verbose() -> bool:
    return bool({"-v", "--verbose"} & set(sys.argv[1:]))


if __name__ == "__main__":
    main()
