"""The application: every route, and what every service answers about itself."""

from __future__ import annotations

from fastapi import FastAPI

from inference.answering.known import known_routes
from inference.answering.parts import Parts
from inference.answering.predict import predict_routes
from inference.answering.problems import add_problems
from labelstream.service.health import Health
from labelstream.service.http import health_routes


def build_api(parts: Parts, health: Health) -> FastAPI:
    """Return the application."""
    api = FastAPI(
        title="Labelstream inference",
        version="1",
        description="An image in, boxes out; every answer names the model, the classes and the data behind it.",
        routes=list(health_routes(health)),
        docs_url=None,  # its page would load scripts from elsewhere
        redoc_url=None,
    )
    add_problems(api)
    for routes in (predict_routes, known_routes):
        api.include_router(routes(parts))
    return api
