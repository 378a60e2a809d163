"""The exception tree: one exit code per kind of trouble."""

from ctllm.schemas import errors


def kinds() -> list[type[errors.CtllmError]]:
    """Every class of the tree."""
    return [each for each in vars(errors).values() if isinstance(each, type) and issubclass(each, errors.CtllmError)]


def test_exit_codes_tell_errors_apart() -> None:
    """No two kinds of error end with the same exit code, and none with that of success."""
    codes = [kind.exit_code for kind in kinds()]
    assert len(set(codes)) == len(codes) == 8
    assert 0 not in codes


def test_tree_in_the_docstring_is_the_tree() -> None:
    """The drawing at the head of the module names every class with its exit code."""
    drawn = errors.__doc__ or ""
    for kind in kinds():
        line = next(line for line in drawn.splitlines() if kind.__name__ in line)
        assert str(kind.exit_code) in line


def test_guard_is_a_stage_error() -> None:
    """Whoever catches a failed stage also catches a guard that stopped it."""
    assert issubclass(errors.GuardError, errors.StageError)
