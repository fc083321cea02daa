"""Adds and revokes people, who log in to the public API with an address and a password."""

from __future__ import annotations

from dataclasses import dataclass

from exporter.access.admitting import Admitting, Outcome
from exporter.access.devices import asking_of
from exporter.access.known import KnownUsers
from exporter.access.records import USERS, Records
from exporter.access.saying import Say
from labelstream.access import User
from labelstream.blobs.ports import Blobs
from labelstream.errors import Rejected
from labelstream.model_requests import AddUser, Answer, ModelRequest, RevokeUser
from labelstream.service.health import Health

_ARGON2ID = "$argon2id$v=19$"


def users_of(resources: Blobs, health: Health, say: Say) -> Admitting[User]:
    """Return the people of the resources bucket."""
    return Admitting(Records(resources, USERS), KnownUsers(resources, health, max_age_s=0), say)


@dataclass(frozen=True)
class AddingUser:
    """Answers requests to add a person."""

    users: Admitting[User]

    async def __call__(self, project: str, request: ModelRequest) -> Answer:
        """Add them. Raises Rejected, Unavailable."""
        asked = request.what
        assert isinstance(asked, AddUser)  # noqa: S101  # as the requests are dispatched
        if not asked.user.password_hash.startswith(_ARGON2ID):  # what it is instead is not said: it may be the password
            reason = f"the password hash of {asked.user.name} is none of argon2id"
            raise Rejected("user.bad_hash", reason, "`labelstream users add` makes one.")
        outcome: Outcome = await self.users.admit(asked.user, asking_of(project, request), replace=asked.replace)
        return Answer(outcome=outcome)


@dataclass(frozen=True)
class RevokingUser:
    """Answers requests to revoke a person."""

    users: Admitting[User]

    async def __call__(self, project: str, request: ModelRequest) -> Answer:
        """Revoke them. Raises Rejected, Unavailable."""
        asked = request.what
        assert isinstance(asked, RevokeUser)  # noqa: S101  # as the requests are dispatched
        return Answer(outcome=await self.users.end(asked.name, asking_of(project, request)))
