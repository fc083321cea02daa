"""A service that misbehaves as it is told."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route

from .double import Double, found, running


@pytest.fixture
def double() -> Iterator[Double]:
    """A running service that answers every request with one car."""
    made = Double()
    made.will(JSONResponse(found()))
    app = Starlette(routes=[Route("/{path:path}", made.answer, methods=["GET", "POST"])])
    with running(app) as url:
        made.url = url
        yield made
