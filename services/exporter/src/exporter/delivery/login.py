"""Logging in: a password is compared, and wrong ones make the next try wait."""

from __future__ import annotations

from dataclasses import dataclass

from exporter.access.known import KnownUsers, address_sha256
from exporter.delivery.limiting import Rates
from exporter.delivery.lockout import Lockout
from exporter.delivery.metrics import LOCKOUTS, LOGINS
from exporter.delivery.passwords import Passwords
from exporter.delivery.problems import NOBODY, TurnedAway, Who
from exporter.delivery.settings import ApiGroup
from labelstream.access import User
from labelstream.errors import Unavailable


def lockouts(settings: ApiGroup) -> tuple[Lockout, Lockout]:
    """Return who counts the wrong passwords of accounts, and of addresses."""
    times = (settings.lock_s, settings.longest_lock_s)
    return Lockout(settings.login_failures, *times), Lockout(settings.address_failures, *times)


@dataclass(frozen=True)
class Login:
    """Compares passwords. Raises Unavailable when the store is away, or too many try at once."""

    users: KnownUsers
    passwords: Passwords
    rates: Rates
    accounts: Lockout
    addresses: Lockout

    async def user(self, email: str, password: str, address: str) -> User:
        """Return whose password this is. Raises TurnedAway: nobody learns whether there is such a person."""
        self.rates.password_from(address)
        account = address_sha256(email)
        user = await self.users.by_address(account)
        who = Who("user", user.name) if user is not None else NOBODY
        self._begin(account, address, who)
        try:
            is_right = await self.passwords.right(user.password_hash if user else None, password)
        except Unavailable:
            self._never_made(account, address)
            raise
        if user is None or not is_right:
            self._wrong(account, address)
            hint = "Check both; after some wrong passwords the next try must wait."
            raise TurnedAway(401, "password-wrong", "e-mail address or password is wrong", hint, who=who)
        self.accounts.forget(account)
        self.addresses.forgive(address)
        if user.revoked is not None:
            LOGINS.labels("revoked").inc()
            raise TurnedAway(403, "user-revoked", f"{user.name} has no access any more", "Ask an operator.", who=who)
        LOGINS.labels("right").inc()
        return user

    def _begin(self, account: str, address: str, who: Who) -> None:
        wait_s = self.addresses.begin(address)
        if not wait_s and (wait_s := self.accounts.begin(account)):
            self.addresses.forgive(address)  # nothing was compared
        if wait_s:
            LOGINS.labels("locked-out").inc()
            raise TurnedAway(
                429,
                "locked-out",
                "too many wrong passwords",
                f"Try again in {wait_s:.0f} s.",
                who=who,
                retry_after_s=wait_s,
            )

    def _never_made(self, account: str, address: str) -> None:
        self.accounts.forgive(account)
        self.addresses.forgive(address)

    def _wrong(self, account: str, address: str) -> None:
        LOGINS.labels("wrong").inc()
        if self.accounts.is_locked(account):
            LOCKOUTS.labels("account").inc()
        if self.addresses.is_locked(address):
            LOCKOUTS.labels("address").inc()
