"""The application: every route, and what every service answers about itself."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fastapi import FastAPI
from starlette.middleware.cors import CORSMiddleware

from inference.answering.around import REQUEST_ID, Around, Faults
from inference.answering.batch import batch_routes
from inference.answering.contract import complete
from inference.answering.known import known_routes
from inference.answering.parts import DEADLINE, Parts
from inference.answering.predict import PROOF, predict_routes
from inference.answering.problems import add_problems
from inference.answering.video.routes import video_routes
from inference.page.routes import page_routes
from labelstream.service.health import Health
from labelstream.service.http import health_routes


def build_api(parts: Parts, health: Health, origins: Sequence[str] = ()) -> FastAPI:
    """Return the application; pages of `origins` may ask it from a browser."""
    api = FastAPI(
        title="Labelstream inference",
        version="1",
        description="An image in, boxes out; every answer names the model, the classes and the data behind it.",
        routes=[*health_routes(health), *page_routes()],
        docs_url=None,  # its page would load scripts from elsewhere
        redoc_url=None,
        redirect_slashes=False,
        telemetry={
            "tracing": False,
            "metrics": False,
            "logs": False,
            "auto_configure": False,
        },  # the service's are ours
    )
    add_problems(api)
    for routes in (predict_routes, batch_routes, video_routes, known_routes):
        api.include_router(routes(parts))
    complete(api.openapi())
    api.add_middleware(Faults)
    if origins:
        api.add_middleware(CORSMiddleware, **_cors(origins))
    api.add_middleware(Around)
    return api


def _cors(origins: Sequence[str]) -> dict[str, Any]:
    """Return what pages of other origins may do."""
    return {
        "allow_origins": origins,
        "allow_methods": ["GET", "POST"],
        "allow_headers": ["Authorization", "Content-Type", "X-API-Key", DEADLINE, REQUEST_ID],
        "expose_headers": ["Retry-After", "Server-Timing", REQUEST_ID, *PROOF],
    }
