"""Names of machines and processes that are not used twice, and whether a process lives."""

from __future__ import annotations

import os
import socket
import sys
from contextlib import suppress
from functools import cache
from pathlib import Path

_PROC = Path("/proc")


@cache
def this_machine() -> str:
    """Host, and on Linux its boot and the namespace of process numbers.

    Process numbers of containers on one host are not comparable, nor are those before and after a boot.
    """
    parts = [socket.gethostname()]
    with suppress(OSError):
        parts.append((_PROC / "sys/kernel/random/boot_id").read_text(encoding="ascii").strip())
    with suppress(OSError):
        parts.append(os.readlink(_PROC / "self/ns/pid"))
    return " ".join(parts)


def this_process() -> str:
    """When this process began, in units of the system; "" where that is not known."""
    return _birth(os.getpid()) or ""


def is_alive(pid: int, birth: str) -> bool:
    """Whether a process of this machine lives.

    Args:
        pid: its number.
        birth: what `this_process` was for it; "" when not known.

    Returns:
        True also where the system does not tell.
    """
    if sys.platform == "win32":
        return True  # there `os.kill` ends processes
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True  # of another user
    return not birth or _birth(pid) == birth


def _birth(pid: int) -> str | None:
    """Start of a process in clock ticks after the boot; None when it is dead or the system does not tell."""
    with suppress(OSError):
        line = (_PROC / str(pid) / "stat").read_text(encoding="utf-8", errors="replace")
        state, *fields = line.rpartition(")")[2].split()
        if state != "Z":  # killed, but not yet buried by its parent
            return fields[18]
    return None
