"""Runs the viewer until it is interrupted."""

from __future__ import annotations

import ipaddress
import secrets
import socket
from collections.abc import Callable

import uvicorn
from fastapi import FastAPI

from histocerb.core.errors import UsageError
from histocerb.web.access import Access
from histocerb.web.app import make_app
from histocerb.web.comparison import Comparison
from histocerb.web.opened import Desk

LOCAL = "127.0.0.1"
PORT = 8765
_TRIES = 20
"""Ports after the usual one that are tried before any free one is taken."""


class Served:
    """A server that listens; `run` answers.

    Attributes:
        link: opens it; holds the token.
    """

    def __init__(self, app: FastAPI, listening: socket.socket, link: str) -> None:
        self.link = link
        self._listening = listening
        config = uvicorn.Config(app, log_level="warning", access_log=False, ws="none")
        self._server = uvicorn.Server(config)

    def run(self, ready: Callable[[str], None]) -> None:
        """Serve until interrupted or stopped.

        Args:
            ready: called with the link; whoever asks from then on is answered.
        """
        self._listening.listen()
        ready(self.link)
        self._server.run([self._listening])

    def close(self) -> None:
        """Let go of the port without having run."""
        self._listening.close()

    def stop(self) -> None:
        """End `run`, from another thread."""
        self._server.should_exit = True


def serve(
    desk: Desk, host: str = LOCAL, port: int | None = None, comparison: Comparison | None = None
) -> Served:
    """Listen for the viewer of a cohort.

    Args:
        desk: its results.
        host: address to listen on.
        port: on which; None takes PORT or the next that is free.
        comparison: of these results with others.

    Raises:
        UsageError: The address or port cannot be had.
    """
    listening = _listen(host, port)
    number = int(listening.getsockname()[1])
    token = secrets.token_urlsafe(24)
    is_local = _is_loopback(host)
    names = (LOCAL, "localhost", f"[{host}]" if ":" in host else host)
    hosts = frozenset(f"{name}:{number}" for name in names) if is_local else frozenset()
    shown = host if is_local else socket.gethostname()
    bracketed = f"[{shown}]" if ":" in shown else shown
    access = Access(token, hosts, f"histocerb_{number}")
    return Served(
        make_app(desk, access, comparison), listening, f"http://{bracketed}:{number}/?token={token}"
    )


def _listen(host: str, port: int | None) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    ports = [port] if port is not None else [*range(PORT, PORT + _TRIES), 0]
    problem = ""
    for number in ports:
        listening = socket.socket(family, socket.SOCK_STREAM)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listening.bind((host, number))
        except OSError as error:
            listening.close()
            problem = error.strerror or str(error)
            continue
        return listening
    raise UsageError(
        f"expected to listen on {host} port {port if port is not None else PORT}, found: {problem}; "
        "give another --port or --host"
    )


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
