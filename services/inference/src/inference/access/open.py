"""Everybody may ask everything: for a machine of one's own."""

from __future__ import annotations

from collections.abc import Iterable

from starlette.requests import Request


class Open:
    """Lets every request in."""

    def admit(self, request: Request, project: str) -> None:
        """Let the caller ask `project`."""

    def may_see(self, request: Request, projects: Iterable[str]) -> tuple[str, ...]:  # noqa: ARG002 -- as the port says
        """Return `projects`: the caller may ask all of them."""
        return tuple(projects)
