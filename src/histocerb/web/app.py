"""The application: pages, and what they ask for."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse
from fastapi.staticfiles import StaticFiles

from histocerb.core.errors import HistocerbError, SlideError, UsageError
from histocerb.web import layer_routes, object_routes, slide_routes
from histocerb.web.access import Access
from histocerb.web.answers import Kept
from histocerb.web.opened import Desk

STATIC = Path(__file__).parent / "static"


def make_app(desk: Desk, access: Access) -> FastAPI:
    """The viewer of a cohort.

    Args:
        desk: results that are shown.
        access: who may ask.
    """

    @asynccontextmanager
    async def life(_: FastAPI) -> AsyncIterator[None]:
        yield
        desk.close()

    app = FastAPI(lifespan=life, docs_url=None, redoc_url=None, openapi_url=None)
    app.state.desk = desk
    app.state.kept = Kept()
    for routes in (slide_routes, layer_routes, object_routes):
        app.include_router(routes.router)
    app.middleware("http")(access.guard)
    app.exception_handler(HistocerbError)(_sentence)
    app.mount("/", StaticFiles(directory=STATIC, html=True))
    return app


def _sentence(_: Request, error: Exception) -> Response:
    status = 404 if isinstance(error, UsageError) else 409 if isinstance(error, SlideError) else 500
    return JSONResponse({"error": str(error)}, status)
