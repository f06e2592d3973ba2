"""A Ctrl-C that falls into a finalizer is raised at the next look."""

from __future__ import annotations

import os
import signal
import threading

import pytest

from gbpm_dagster.orchestration.interrupts import noted_interrupts


class _Finalized:
    def __del__(self) -> None:
        os.kill(os.getpid(), signal.SIGINT)
        sum(range(1000))  # bytecode, in which the handler runs


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_an_interrupt_in_a_finalizer_is_not_lost() -> None:
    with noted_interrupts() as check:
        check()
        _Finalized()  # the interpreter drops what a finalizer raises
        with pytest.raises(KeyboardInterrupt):
            check()


def test_an_interrupt_is_raised_at_once_and_the_old_handler_comes_back() -> None:
    before = signal.getsignal(signal.SIGINT)
    with noted_interrupts() as check:
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
            sum(range(1000))
        with pytest.raises(KeyboardInterrupt):
            check()
    assert signal.getsignal(signal.SIGINT) == before


def test_another_thread_waits_without_it() -> None:
    said = []

    def work() -> None:
        with noted_interrupts() as check:
            check()
            said.append("done")

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert said == ["done"]
