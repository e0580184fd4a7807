"""Who works on a slide: a file that one process at a time holds.

The rules:

1. Whoever works on a slide holds `.work/lease` in its result folder. It is created with O_EXCL, so that one
   of several processes gets it, and says host, process and a random token.
2. The holder touches it every `refresh_s`. Its age is the difference between its modification time and that
   of a file that the asking process has just written beside it: both are told by the (shared) file system, so
   that clocks of machines do not matter. It is over when it is older than `expiry_s`. An age below zero,
   after the clock of the file server was set back, counts as fresh. A file that says nothing was left by a
   process killed between creating and writing it, or by a power cut: it is over after `unwritten_s`.
3. On the machine of the holder (same host, boot and process namespace) it is over as soon as that process is
   gone; a process that has got the same number since is another one.
4. A lease that is not over is left alone: the slide is `InWorkError`, in work elsewhere.
5. One that is over is taken by renaming it, which one of several processes can do, and then looking into it.
   If it is not the one that was over (its holder came back, or another process was faster), it is put back
   unless there is a new one already. Then rule 1 again.
6. A holder may have been suspended for longer than `expiry_s`. It therefore reads the token before every
   window that it stores and before it publishes. If another one stands there, or none, it has lost the slide:
   `InWorkError`, and it publishes nothing. What two processes might still write at the same moment is written
   under names of their own and renamed, and has the same bytes.
7. Who is done removes the lease, if it is still its own.
"""

from __future__ import annotations

import json
import os
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from histocerb.core.errors import InWorkError
from histocerb.inference.periodic import every
from histocerb.inference.process import is_alive, this_machine, this_process

LEASE_FILE = "lease"
_TRIES = 20


@dataclass(frozen=True)
class Terms:
    """Times of a lease in seconds; the same for all processes that share slides.

    Attributes:
        refresh_s: between two signs of life.
        expiry_s: without a sign of life after which it is over. Network file systems may show a time that
            is up to a minute old.
        unwritten_s: after which a lease that says nothing is over.
    """

    refresh_s: float = 20.0
    expiry_s: float = 120.0
    unwritten_s: float = 10.0


TERMS = Terms()


@dataclass(frozen=True)
class Holder:
    """What a lease says.

    Attributes:
        machine: host, boot and process namespace.
        pid: number of the process.
        birth: when it began, in units of the system; "" where that is not known.
        since: when it took the lease, in words.
        token: of this one lease.
    """

    machine: str
    pid: int
    birth: str
    since: str
    token: str

    @classmethod
    def this(cls) -> Holder:
        """This process, with a new token."""
        return cls(
            machine=this_machine(),
            pid=os.getpid(),
            birth=this_process(),
            since=f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S} UTC",
            token=secrets.token_hex(16),
        )

    @property
    def name(self) -> str:
        """For sentences."""
        return f"process {self.pid} on {self.machine.partition(' ')[0]}"

    @property
    def is_gone(self) -> bool:
        """Whether it is known to have ended: only a process of this machine can be."""
        return self.machine == this_machine() and not is_alive(self.pid, self.birth)


@dataclass(frozen=True)
class _Seen:
    """A lease as it was seen: who, None where it does not say, and its modification time."""

    holder: Holder | None
    mtime_ns: int

    def is_over(self, now_ns: int, terms: Terms) -> bool:
        """Rules 2 and 3."""
        age_s = (now_ns - self.mtime_ns) / 1e9
        if self.holder is None:
            return age_s > terms.unwritten_s
        return self.holder.is_gone or age_s > terms.expiry_s


class Lease:
    """A lease that this process has taken."""

    def __init__(self, path: Path, holder: Holder) -> None:
        self.token = holder.token
        self._path = path

    def check(self) -> None:
        """Make sure that the slide is still in the work of this process.

        Raises:
            InWorkError: it is not.
        """
        seen = _look(self._path)
        if seen is not None and seen.holder is not None and seen.holder.token == self.token:
            return
        by = seen.holder.name if seen is not None and seen.holder is not None else "another process"
        raise InWorkError(
            f"expected this process to hold {self._path}, found that {by} took the slide over, as this one "
            "gave no sign of life for too long (was it suspended?); nothing of it was published, leave the "
            "slide to the other one"
        )

    def refresh(self) -> bool:
        """A sign of life; False when the lease is lost."""
        try:
            self.check()
            os.utime(self._path)
        except InWorkError:
            return False
        except OSError:
            return True  # a file system that is away for a moment
        return True

    def release(self) -> None:
        """Remove the lease if it is still held, and its folder if nothing else is in it."""
        with suppress(InWorkError, OSError):
            self.check()
            self._path.unlink()
        with suppress(OSError):
            self._path.parent.rmdir()


@contextmanager
def leased(folder: Path, terms: Terms = TERMS) -> Iterator[Lease]:
    """Hold the lease of a work folder.

    Args:
        folder: work folder of a slide; created when missing.
        terms: times.

    Raises:
        InWorkError: Another process holds it.
    """
    lease = _take(folder, terms)
    try:
        with every(terms.refresh_s, lease.refresh, "histocerb-lease"):
            yield lease
    finally:
        lease.release()


def looks_held(folder: Path, terms: Terms = TERMS) -> bool:
    """Whether a process holds the lease of a work folder, as far as can be told without writing.

    Its age is told by the clock of this machine, unlike rule 2: for words in a table, not to decide by.
    """
    try:
        seen = _look(folder / LEASE_FILE)
    except OSError:  # just being written
        return True
    return seen is not None and not seen.is_over(time.time_ns(), terms)


def _take(folder: Path, terms: Terms) -> Lease:
    path = folder / LEASE_FILE
    holder = Holder.this()
    for _ in range(_TRIES):
        folder.mkdir(parents=True, exist_ok=True)
        with suppress(FileNotFoundError):  # the folder was removed by the one before
            if _create(path, holder):
                return Lease(path, holder)
            seen, now_ns = _look(path), _now_ns(folder, holder.token)
            if seen is not None and not seen.is_over(now_ns, terms):
                raise InWorkError(_in_work(path, seen, now_ns, terms))
            if seen is not None:
                _remove(path, seen, holder.token)
    raise InWorkError(f"expected {folder} free, found other processes at it all the time; run it again later")


def _create(path: Path, holder: Holder) -> bool:
    """Rule 1; False when there is a lease."""
    try:
        number = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o644)
    except FileExistsError:
        return False
    except PermissionError:
        if path.exists():  # Windows, while another process removes it
            return False
        raise
    try:
        os.write(number, json.dumps(asdict(holder)).encode())
    except OSError:
        path.unlink(missing_ok=True)
        raise
    finally:
        os.close(number)
    return True


def _look(path: Path) -> _Seen | None:
    """What stands in a lease; None when there is none."""
    try:
        with path.open("rb") as file:  # opened first: network file systems look anew at that moment
            content, mtime_ns = file.read(), os.fstat(file.fileno()).st_mtime_ns
    except FileNotFoundError:
        return None
    try:
        return _Seen(Holder(**json.loads(content)), mtime_ns)
    except (ValueError, TypeError):
        return _Seen(None, mtime_ns)


def _now_ns(folder: Path, token: str) -> int:
    """The time of the file system."""
    probe = folder / f"clock-{token}"
    try:
        probe.write_bytes(b"")
        return probe.stat().st_mtime_ns
    finally:
        probe.unlink(missing_ok=True)


def _remove(path: Path, seen: _Seen, token: str) -> None:
    """Rule 5: remove the lease that was seen, and no other."""
    taken = path.with_name(f"{LEASE_FILE}-{token}")
    os.rename(path, taken)
    if _look(taken) != seen:
        with suppress(OSError):
            os.link(taken, path)
    taken.unlink()


def _in_work(path: Path, seen: _Seen, now_ns: int, terms: Terms) -> str:
    age_s = max(0.0, (now_ns - seen.mtime_ns) / 1e9)
    by = f"{seen.holder.name} since {seen.holder.since}" if seen.holder else "a process that has just begun"
    return (
        f"expected {path.parent.parent} free, found it in work elsewhere, by {by} (last sign of life "
        f"{age_s:.0f} s ago); let it finish, or run the command again {terms.expiry_s:.0f} s after its end"
    )
