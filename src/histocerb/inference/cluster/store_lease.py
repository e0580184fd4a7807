"""Who works on a slide whose results are in a store.

The rules are those of `inference.lease`, with what stores offer:

1. Whoever works on a slide has created `.work/lease-N`, N one more than the highest there was. A store lets
   one of several do that (S3: `If-None-Match: *`; Google: generation 0). A lease is never written again.
2. The holder writes `.work/alive-TOKEN` every `refresh_s`. Nobody else writes a file of that name. The age of
   a lease is the time from there to that of a file which the asking process has just written: the clock of
   the store tells both.
3. The lease with the highest number holds, until it is older than `expiry_s`, or its process is known to be
   dead. Then the next number may be created.
4. The holder looks whether the highest lease says its token before it publishes. If not, it has lost the
   slide, publishes nothing, and says so (`InWorkError`). Numbers alone do not tell: they begin anew after 5.
5. Who is done removes its lease, after those with lower numbers, if it still says its token.

A holder that is suspended between 4 and its last upload may still publish. What it uploads has the same
bytes, unless the other process works with another model and `--overwrite`; then the checksums in the manifest
do not fit, and the next run computes the slide again.
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict

from histocerb.core.errors import InWorkError, OutputError
from histocerb.inference.cluster.store import Store
from histocerb.inference.lease import TERMS, Holder, Terms
from histocerb.inference.periodic import every

_LOG = logging.getLogger(__name__)

_LEASE = re.compile(r"\.work/lease-(\d{6})")


def lease_name(number: int) -> str:
    """Name of a lease below the folder of its slide."""
    return f".work/lease-{number:06}"


def alive_name(token: str) -> str:
    """Name of the sign of life of a lease."""
    return f".work/alive-{token}"


class StoreLease:
    """A lease that this process has taken."""

    def __init__(self, folder: Store, number: int, holder: Holder) -> None:
        self.token = holder.token
        self._folder, self._number = folder, number

    def check(self) -> None:
        """Make sure that the slide is still in the work of this process.

        Raises:
            InWorkError: it is not.
        """
        numbers = lease_numbers(self._folder)
        if not numbers or numbers[-1] != self._number or not self._is_own():
            raise InWorkError(
                f"expected this process to hold {self._folder.root}, found that another one took the slide "
                "over, as this one gave no sign of life for too long (was it suspended?); nothing of it was "
                "published, leave the slide to the other one"
            )

    def refresh(self) -> bool:
        """A sign of life; a store that is away for a moment is no matter. True: go on."""
        try:
            self._folder.write(alive_name(self.token), b"")
        except OutputError as error:
            _LOG.warning("no sign of life could be given: %s", error)
        return True

    def release(self) -> None:
        """Remove this lease and those before it; one that a store does not remove now is over before long."""
        try:
            if self._is_own():
                for number in lease_numbers(self._folder):
                    if number <= self._number:
                        self._folder.remove(lease_name(number))
            self._folder.remove(alive_name(self.token))
        except OutputError as error:
            _LOG.warning("a lease could not be given back: %s", error)

    def _is_own(self) -> bool:
        """True while the lease of this number is that of this process."""
        holder = read_holder(self._folder, self._number)
        return holder is not None and holder.token == self.token


def lease_numbers(folder: Store) -> list[int]:
    """Numbers of the leases of a slide, rising."""
    matches = [_LEASE.fullmatch(name) for name in folder.files()]
    return sorted(int(match[1]) for match in matches if match)


@contextmanager
def leased(folder: Store, terms: Terms = TERMS) -> Iterator[StoreLease]:
    """Hold the lease of a slide.

    Args:
        folder: of its results.
        terms: times.

    Raises:
        InWorkError: Another process holds it.
    """
    lease = _take(folder, terms)
    try:
        with every(terms.refresh_s, lease.refresh, "histocerb-store-lease"):
            yield lease
    finally:
        lease.release()


def _take(folder: Store, terms: Terms) -> StoreLease:
    holder = Holder.this()
    numbers = lease_numbers(folder)
    last = numbers[-1] if numbers else 0
    if last:
        _check_over(folder, last, holder.token, terms)
    folder.write(alive_name(holder.token), b"")
    if not folder.create(lease_name(last + 1), json.dumps(asdict(holder)).encode()):
        folder.remove(alive_name(holder.token))
        raise InWorkError(f"expected {folder.root} free, found that another process has just begun with it")
    return StoreLease(folder, last + 1, holder)


def _check_over(folder: Store, number: int, token: str, terms: Terms) -> None:
    """See that a lease does not hold any more; rules 2 and 3."""
    holder = read_holder(folder, number)
    if holder is None or holder.is_gone:
        return
    age_s = _age_s(folder, alive_name(holder.token), token)
    if age_s <= terms.expiry_s:
        raise InWorkError(
            f"expected {folder.root} free, found it in work elsewhere, by {holder.name} since {holder.since} "
            f"(last sign of life {age_s:.0f} s ago); let it finish, or run the command again "
            f"{terms.expiry_s:.0f} s after its end"
        )


def read_holder(folder: Store, number: int) -> Holder | None:
    """Who has a lease; None where it is gone or says nothing."""
    try:
        return Holder(**json.loads(folder.read(lease_name(number)) or b""))
    except (ValueError, TypeError):
        return None


def _age_s(folder: Store, name: str, token: str) -> float:
    """Age of a file by the clock of the store; endless where it is not there."""
    written = folder.modified(name)
    if written is None:
        return float("inf")
    probe = f".work/clock-{token}"
    folder.write(probe, b"")
    now = folder.modified(probe)
    folder.remove(probe)
    return float("inf") if now is None else (now - written).total_seconds()
