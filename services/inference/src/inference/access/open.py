"""Everybody may ask everything: for a machine of one's own."""

from __future__ import annotations

from starlette.requests import Request


class Open:
    """Lets every request in."""

    def admit(self, request: Request, project: str) -> None:
        """Let the caller ask `project`."""
