"""Files beside the results that several processes write at once, none of them waiting for another.

Nothing is kept in such a file alone: it says what the folders of the slides say. A process writes it whole,
then looks again. If others have finished slides meanwhile, it writes it anew. So whoever writes last has seen
all that was there before, and two processes never leave it behind the truth.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def write_until_true(look: Callable[[], T], write: Callable[[T], None], same: Callable[[T, T], bool]) -> T:
    """Look, write what was seen, and look again until nothing has changed meanwhile.

    Args:
        look: gives what is to be written.
        write: writes it, whole.
        same: whether two looks saw the same.

    Returns:
        What was written last.
    """
    seen = look()
    while True:
        write(seen)
        again = look()
        if same(seen, again):
            return seen
        seen = again
