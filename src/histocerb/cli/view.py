"""`histocerb view`: results in the browser."""

from __future__ import annotations

import threading
import webbrowser
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from histocerb.cli.console import say

if TYPE_CHECKING:
    from collections.abc import Sequence


def view(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Results of a cohort, or of one slide.")],
    port: Annotated[
        int | None, typer.Option(min=1, max=65535, help="Port to listen on [8765 or the next that is free].")
    ] = None,
    host: Annotated[
        str, typer.Option(help="Address to listen on; other than 127.0.0.1 lets other machines in.")
    ] = "127.0.0.1",
    slides: Annotated[
        list[Path] | None,
        typer.Option(metavar="FOLDER", help="Where slides are now that have moved; repeatable."),
    ] = None,
    compare: Annotated[
        Path | None,
        typer.Option(metavar="OTHER", help="Results of the same slides to show beside these."),
    ] = None,
    no_browser: Annotated[bool, typer.Option("--no-browser", help="Only print the link.")] = False,
) -> None:
    """Look at results in the browser; nothing leaves this machine."""
    show(folder, port, host, slides or (), browser=not no_browser, compare=compare)


def show(
    folder: Path,
    port: int | None = None,
    host: str = "127.0.0.1",
    slides: Sequence[Path] = (),
    browser: bool = True,
    compare: Path | None = None,
) -> None:
    """Serve results until interrupted.

    Args:
        folder: of a cohort or a slide.
        port: to listen on; None: any that is free.
        host: to listen on.
        slides: folders with slides that have moved.
        browser: open the link in a browser.
        compare: other results of the same slides, or None.
    """
    from histocerb.web.comparison import Comparison
    from histocerb.web.opened import Desk
    from histocerb.web.results import open_cohort
    from histocerb.web.server import LOCAL, serve

    desk = Desk(open_cohort(folder), slides)
    other = None if compare is None else Desk(open_cohort(compare), slides, desk.groups)
    comparison = None if other is None else Comparison(desk, other)
    served = serve(desk, host, port, comparison)
    if host != LOCAL:
        say(
            f"warning:  {host} is not {LOCAL}: whoever has the link and reaches this machine sees the slides,"
        )
        say("          and the connection is not encrypted; a tunnel (ssh -L) is safer")

    def ready(link: str) -> None:
        say(f"viewer:   {link}")
        say("          Ctrl+C ends it")
        if browser:  # in a terminal it may only come back when it is closed
            threading.Thread(target=webbrowser.open, args=(link,), daemon=True).start()

    with suppress(KeyboardInterrupt):
        served.run(ready)
