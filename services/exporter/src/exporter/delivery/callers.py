"""Who calls: a device by its token, a person by the token of a login."""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass
from http import HTTPStatus

from exporter.access.known import KnownDevices, KnownUsers
from exporter.delivery.problems import TurnedAway, Who
from exporter.delivery.tokens import BadToken, Tokens
from labelstream.access import Device, User

_HOW = "Send Authorization: Bearer <a device's token, or the token of a login>."
MOST_LETTERS = 4096


@dataclass(frozen=True)
class Caller:
    """Somebody who showed that they may call."""

    is_: Device | User
    email: str | None = None  # of a person who came by the documented login

    @property
    def who(self) -> Who:
        """What the audit log calls them."""
        return Who("device" if isinstance(self.is_, Device) else "user", self.is_.name)

    def see(self, project: str) -> None:
        """Raise TurnedAway when a project is not theirs to see."""
        if self.is_.projects is not None and project not in self.is_.projects:
            raise TurnedAway(
                HTTPStatus.FORBIDDEN,
                "project-not-allowed",
                f"{self.is_.name} has no access to project {project!r}",
                f"Give {self.is_.name} access to the project, if it should have it.",
                who=self.who,
            )

    def as_device(self, resource: str) -> Device:
        """Return the device that calls. Raises TurnedAway for a person."""
        if isinstance(self.is_, Device):
            return self.is_
        hint = "Ask with a device's token; a grant is sealed to the device that asks."
        raise TurnedAway(403, "devices-only", "only a device can have a grant", hint, who=self.who, resource=resource)

    def as_user(self, resource: str) -> User:
        """Return the person who calls. Raises TurnedAway for a device."""
        if isinstance(self.is_, User):
            return self.is_
        hint = "Log in, and ask with the token that this gives."
        raise TurnedAway(403, "users-only", "this needs a login", hint, who=self.who, resource=resource)


@dataclass(frozen=True)
class Callers:
    """Tells callers by what they show. Raises Unavailable when the store is away."""

    devices: KnownDevices
    users: KnownUsers
    tokens: Tokens

    async def caller(self, shown: str | None) -> Caller:
        """Return who shows this token. Raises TurnedAway."""
        if not shown:
            raise TurnedAway(401, "token-missing", "no token was sent", _HOW)
        if len(shown) > MOST_LETTERS:
            raise TurnedAway(401, "token-unknown", f"the token has {len(shown)} letters", _HOW)
        return await (self._user(shown) if shown.count(".") == 2 else self._device(shown))

    async def _device(self, shown: str) -> Caller:
        digest = hashlib.sha256(shown.encode()).hexdigest()
        device = await self.devices.by_token(digest)
        if device is None or not hmac.compare_digest(device.token_sha256, digest):
            raise TurnedAway(401, "token-unknown", "the token belongs to no enrolled device", "Enrol the device first.")
        if device.revoked is not None:
            raise TurnedAway(
                403,
                "device-revoked",
                f"{device.name} was revoked",
                "Enrol it again, if it should have access.",
                who=Who("device", device.name),
            )
        return Caller(device)

    async def _user(self, shown: str) -> Caller:
        try:
            claims = self.tokens.read(shown)
        except BadToken as error:
            raise TurnedAway(401, "token-bad", f"the token does not count: {error}", "Log in again.") from None
        user = await self.users.by_name(claims.user)
        who = Who("user", claims.user)
        if user is None or user.revoked is not None:
            raise TurnedAway(403, "user-revoked", f"{claims.user} has no access any more", "Ask an operator.", who=who)
        if claims.since_ms != user.added_ms:  # no clock is asked: the record may be younger than what we know of it
            raise TurnedAway(
                401, "token-bad", "the token is older than the password or rights", "Log in again.", who=who
            )
        return Caller(user, claims.email)
