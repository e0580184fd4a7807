"""The application: pages, and what they ask for."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from anyio import to_thread
from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse
from fastapi.staticfiles import StaticFiles

from histocerb.core.errors import HistocerbError, SlideError, UsageError
from histocerb.web import change_routes, layer_routes, object_routes, slide_routes
from histocerb.web.access import Access
from histocerb.web.answers import Kept
from histocerb.web.asked import Material, answer_from
from histocerb.web.comparison import Comparison
from histocerb.web.opened import Desk

_MOST_AT_ONCE = 8
"""Requests that are worked on; each holds memory, and a browser asks six at once."""

STATIC = Path(__file__).parent / "static"


def make_app(desk: Desk, access: Access, comparison: Comparison | None = None) -> FastAPI:
    """The viewer of a cohort.

    Args:
        desk: results that are shown.
        access: who may ask.
        comparison: of these results with others; those answer below `/compared`.
    """

    @asynccontextmanager
    async def life(_: FastAPI) -> AsyncIterator[None]:
        to_thread.current_default_thread_limiter().total_tokens = _MOST_AT_ONCE
        desk.read_ahead()
        yield
        if comparison is not None:
            comparison.close()
            comparison.desks[1].close()
        desk.close()

    kept = Kept()
    app = FastAPI(lifespan=life, docs_url=None, redoc_url=None, openapi_url=None)
    _answer(app, Material(desk, kept, comparison))
    if comparison is not None:
        app.include_router(change_routes.router)
        other = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
        _answer(other, Material(comparison.desks[1], kept, comparison, side=1))
        app.mount("/compared", other)
    app.middleware("http")(access.guard)
    app.mount("/", StaticFiles(directory=STATIC, html=True))
    return app


def _answer(app: FastAPI, material: Material) -> None:
    answer_from(app, material)
    for routes in (slide_routes, layer_routes, object_routes):
        app.include_router(routes.router)
    app.exception_handler(HistocerbError)(_sentence)


def _sentence(_: Request, error: Exception) -> Response:
    status = 404 if isinstance(error, UsageError) else 409 if isinstance(error, SlideError) else 500
    return JSONResponse({"error": str(error)}, status)
