"""What a process holds."""

from __future__ import annotations

import os
import sys
from pathlib import Path


def peak_memory_mb(pid: int | None = None) -> float:
    """Most memory that a process has held so far; 0 where the system does not tell.

    Args:
        pid: of another process; None: this one.
    """
    found = _linux(os.getpid() if pid is None else pid)
    if found is not None or pid is not None or sys.platform == "win32":
        return found or 0.0
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 2**20 if sys.platform == "darwin" else peak / 2**10


def _linux(pid: int) -> float | None:
    """From /proc: unlike the system call, not the peak of the process that began it, too."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) / 2**10 for line in lines if line.startswith("VmHWM:")), None)
