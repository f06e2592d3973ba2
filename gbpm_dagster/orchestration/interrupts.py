"""A Ctrl-C that is not lost.

Belongs here: noting SIGINT beside raising it. Not here: what an interrupted command says.
"""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator
from types import FrameType


@contextlib.contextmanager
def noted_interrupts() -> Iterator[Callable[[], None]]:
    """Within the block SIGINT raises KeyboardInterrupt and is noted: calling what is yielded raises it again.

    Raised while a finalizer or a callback of an extension runs, a KeyboardInterrupt is printed and dropped by the
    interpreter, and a loop that waits would go on.
    Outside the main thread, which alone gets signals, it does nothing.
    """
    seen = threading.Event()

    def interrupt(number: int, frame: FrameType | None) -> None:
        seen.set()
        raise KeyboardInterrupt

    def check() -> None:
        if seen.is_set():
            raise KeyboardInterrupt

    if threading.current_thread() is not threading.main_thread():
        yield check
        return
    before = signal.signal(signal.SIGINT, interrupt)
    try:
        yield check
    finally:
        signal.signal(signal.SIGINT, before)
