"""Something that is done again and again beside other work."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def every(seconds: float, work: Callable[[], bool], name: str) -> Iterator[None]:
    """Do `work` every so often from a thread, until the block ends or `work` says False.

    Args:
        seconds: between two times, and before the first.
        work: whether to go on.
        name: of the thread.
    """
    ended = threading.Event()

    def keep() -> None:
        while not ended.wait(seconds) and work():
            pass

    keeper = threading.Thread(target=keep, name=name, daemon=True)
    keeper.start()
    try:
        yield
    finally:
        ended.set()
        keeper.join()
