"""Signals as wishes."""

import os
import signal
import threading

import pytest

from ctllm.model.stopping import SIGNALS, stop_on_signals


@pytest.mark.parametrize("number", SIGNALS)
def test_the_first_signal_is_a_wish_and_the_second_acts(number: signal.Signals) -> None:
    """After the first signal the block goes on and knows; the earlier handlers are back for the next one."""
    before = [signal.getsignal(each) for each in SIGNALS]
    with stop_on_signals() as stop:
        assert stop.signal_name is None
        os.kill(os.getpid(), number)
        assert stop.signal_name == number.name
        assert [signal.getsignal(each) for each in SIGNALS] == before
    assert [signal.getsignal(each) for each in SIGNALS] == before


def test_a_thread_is_not_stopped() -> None:
    """Outside the main thread the block runs and handlers stay as they are."""
    seen: list[str | None] = []

    def work() -> None:
        with stop_on_signals() as stop:
            seen.append(stop.signal_name)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [None]
