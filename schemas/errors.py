"""The exception tree. Every error a user can cause says what is wrong, where, and the way out.

CtllmError                    exit code 1
├── ConfigError               2  a config file, key or command-line value; raised before any work starts
├── InputError                3  an input is missing, empty or unreadable as a whole
├── OutputError               4  the output directory belongs to another run, or cannot be written
├── StageError                5  a stage failed half-way; what was finished stays and a re-run continues
│   └── GuardError            6  a stage dropped more than its configured share
├── AccountingError           7  read != kept + removed + failed, or a file differs from its manifest
└── MissingPartError          8  something that must be installed or started is not there
"""


class CtllmError(Exception):
    """An error with a message for the user: shown without a traceback unless `-v` is given."""

    exit_code = 1


class ConfigError(CtllmError):
    """A config file, a key in it or a command-line value cannot be used. Names file and key."""

    exit_code = 2


class InputError(CtllmError):
    """An input as a whole is missing, empty or unreadable. Broken records are failures, not errors."""

    exit_code = 3


class OutputError(CtllmError):
    """The output directory belongs to another config, or cannot be written (full disk, permissions)."""

    exit_code = 4


class StageError(CtllmError):
    """A stage failed half-way. Finished parts stay; running the same command again continues."""

    exit_code = 5


class GuardError(StageError):
    """A stage dropped more than its configured share of the documents."""

    exit_code = 6


class AccountingError(CtllmError):
    """Documents were lost or doubled: read != kept + removed + failed, or bytes differ from a manifest."""

    exit_code = 7


class MissingPartError(CtllmError):
    """Something that must be installed, downloaded or started is not there. Names the command that brings it."""

    exit_code = 8
