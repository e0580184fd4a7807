"""What all commands share: where they print, how much, and how a failure becomes an exit status."""

from __future__ import annotations

import logging
import os
import sys
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import IntEnum

import typer

from histocerb.core.errors import HistocerbError, UsageError


class ExitCode(IntEnum):
    """Exit status of every command."""

    DONE = 0
    FAILED = 1
    USAGE = 2
    IN_WORK = 3
    STOPPED = 130


@dataclass(frozen=True)
class Verbosity:
    """Global options.

    Attributes:
        quiet: plain log lines instead of progress bars.
        debug: show tracebacks.
    """

    quiet: bool = False
    debug: bool = False

    @property
    def bars(self) -> bool:
        """True when progress bars are to be drawn."""
        return sys.stderr.isatty() and not self.quiet


def verbosity(context: typer.Context) -> Verbosity:
    """The global options of a call."""
    return context.obj if isinstance(context.obj, Verbosity) else Verbosity()


def start_logging(chosen: Verbosity) -> None:
    """Log lines of the library go to stderr; warnings only where progress bars are drawn."""
    logging.basicConfig(format="%(asctime)s %(message)s", datefmt="%H:%M:%S", stream=sys.stderr, force=True)
    if not chosen.debug:
        os.environ.setdefault("OPENCV_LOG_LEVEL", "SILENT")  # our one sentence on a damaged file is enough
        logging.getLogger("tifffile").setLevel(logging.CRITICAL)
    level = logging.DEBUG if chosen.debug else logging.WARNING if chosen.bars else logging.INFO
    logging.getLogger("histocerb").setLevel(level)


def guarded(call: Callable[[], int], chosen: Verbosity) -> int:
    """Run a command; turn whatever it raises into one sentence on stderr and an exit status."""
    try:
        return call()
    except HistocerbError as error:
        code = ExitCode.USAGE if isinstance(error, UsageError) else ExitCode.FAILED
        return _complain(str(error), code, chosen)
    except KeyboardInterrupt:
        return stopped()
    except Exception as error:
        text = f"{type(error).__name__}: {error}".splitlines()[0]
        hint = "" if chosen.debug else "; run `histocerb --debug ...` for the details"
        return _complain(f"unexpected {text}{hint}", ExitCode.FAILED, chosen)


def stopped() -> int:
    """Say that the user interrupted the work."""
    print("histocerb: stopped; finished work is kept, run the same command to go on", file=sys.stderr)
    return ExitCode.STOPPED


def say(text: str = "") -> None:
    """A line of result on stdout."""
    typer.echo(text)


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Text columns; those after the first are aligned to the right when they are numbers."""
    columns = list(zip(header, *rows, strict=True))
    widths = [max(map(len, column)) for column in columns]
    numeric = [all(_is_number(cell) for cell in column[1:] if cell) for column in columns]
    lines = []
    for row in (header, *rows):
        cells = zip(row, widths, numeric, strict=True)
        lines.append("  ".join(c.rjust(w) if n else c.ljust(w) for c, w, n in cells).rstrip())
    return "\n".join(lines)


def _is_number(text: str) -> bool:
    return text.replace(",", "").replace(".", "").replace("-", "").isdigit()


def _complain(text: str, code: ExitCode, chosen: Verbosity) -> int:
    if chosen.debug:
        traceback.print_exc()
    print(f"histocerb: {text}", file=sys.stderr)
    return code
