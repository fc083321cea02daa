"""Asks the service of this container how it is: `python -m labelstream.service.probe [/healthz|/readyz]`.

A health check: exit code 0 when it answers 200; at /readyz also while it waits for nothing but what `--but` names, such
as a model before the first one. Else 1, and one line says why. With `--tell` people read the whole answer: also what
works and needs a look. Needs the standard library alone, as it runs often.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException
from typing import Any

_MOST_BYTES = 1 << 20  # of an answer
_USUAL_PORT = "8080"  # as in labelstream.service.settings


def main(arguments: Sequence[str] | None = None) -> int:
    """Look, and return the exit code."""
    told = _parser().parse_args(arguments)
    problem = problem_at(_port(), told.path, tuple(told.but), told.within_s, tell=told.tell)
    if problem is not None:
        print(f"{told.path}: {problem}", file=sys.stderr)  # noqa: T201  # Docker keeps the last answers for people
        return 1
    return 0


def problem_at(
    port: int | None, path: str, but: tuple[str, ...] = (), within_s: float = 3.0, *, tell: bool = False
) -> str | None:
    """Return what is wrong with the service on this machine; None when all is well."""
    if port is None:
        return "LABELSTREAM_HTTP_PORT is no number"
    connection = HTTPConnection("127.0.0.1", port, timeout=within_s)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        body = answer.read(_MOST_BYTES)
    except (OSError, HTTPException) as error:
        return f"no answer on port {port}: {type(error).__name__} {error}".strip()
    finally:
        connection.close()
    if tell:
        print(body.decode(errors="replace"))  # noqa: T201  # for whoever typed it
    if answer.status == HTTPStatus.OK:
        return None
    return _awaited(answer.status, body, but)


def _awaited(status: int, body: bytes, but: tuple[str, ...]) -> str | None:
    waiting = _waiting(body)
    if status != HTTPStatus.SERVICE_UNAVAILABLE or not waiting:
        return f"answered {status}"
    needed = [f"{what}: {reason}" for what, reason in waiting.items() if not what.startswith(but)]
    return "waits for " + "; ".join(needed) if needed else None


def _waiting(body: bytes) -> dict[str, Any]:
    """Return what /readyz waits for, and why; nothing where the answer is no such report."""
    try:
        said = json.loads(body)["waiting"]
        return {str(what): about["reason"] for what, about in said.items()}
    except (ValueError, TypeError, KeyError, AttributeError):
        return {}


def _port() -> int | None:
    said = os.environ.get("LABELSTREAM_HTTP_PORT", _USUAL_PORT)
    return int(said) if said.isascii() and said.isdigit() else None


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="labelstream.service.probe", description="Asks a service how it is.")
    parser.add_argument("path", nargs="?", choices=["/healthz", "/readyz"], default="/healthz")
    parser.add_argument(
        "--but", action="append", default=[], metavar="BEGINNING", help="at /readyz: may still wait for this"
    )
    parser.add_argument("--tell", action="store_true", help="print the whole answer")
    parser.add_argument("--within-s", type=float, default=3.0, help="how long an answer may take")
    return parser


if __name__ == "__main__":
    sys.exit(main())
