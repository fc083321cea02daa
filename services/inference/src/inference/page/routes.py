"""`GET /`: the try-it page and its files."""

from __future__ import annotations

from pathlib import Path

from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import BaseRoute, Route

STATIC = Path(__file__).with_name("static")
TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
}
HEADERS = {
    # Whatever a class or a file is called: nothing in it runs, and nothing is loaded from or sent to elsewhere.
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; "
    "connect-src 'self'; form-action 'none'; base-uri 'none'; frame-ancestors 'none'",
    "Cache-Control": "no-cache",  # asked each time whether it is still the same: page and service belong together
}


def page_routes() -> list[BaseRoute]:
    """Return the route of the page and one for each of its files."""
    files = sorted(path for path in STATIC.iterdir() if path.suffix in TYPES)
    return [_route("/" if path.name == "index.html" else f"/page/{path.name}", path) for path in files]


def _route(address: str, path: Path) -> Route:
    async def page(_: Request) -> Response:
        return FileResponse(path, media_type=TYPES[path.suffix], headers=HEADERS)

    return Route(address, page, methods=["GET"], include_in_schema=False)
