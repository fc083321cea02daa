"""Passwords are compared with argon2id, off the event loop, at the same cost whether there is such a person or not."""

from __future__ import annotations

import asyncio
import secrets
from concurrent.futures import ThreadPoolExecutor
from functools import cache

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from labelstream.errors import Unavailable

AT_ONCE = 2  # each takes 64 MiB and some 50 ms of several cores
MOST_WAITING = 32
LONGEST = 1024  # letters of a password


class Passwords:
    """Checks passwords, a few at a time."""

    def __init__(self) -> None:
        self._hasher = PasswordHasher()
        self._pool = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="argon2")
        self._waiting = 0
        self._of_nobody = _of_nobody()

    async def right(self, password_hash: str | None, password: str) -> bool:
        """Say whether a password is the one that was hashed; None, nobody's hash, takes as long as a wrong one.

        Raises Unavailable when too many wait.
        """
        if self._waiting >= MOST_WAITING:
            raise Unavailable("password check", f"{self._waiting} wait already")
        self._waiting += 1
        try:
            loop = asyncio.get_running_loop()
            return await loop.run_in_executor(self._pool, self._verify, password_hash, password[:LONGEST])
        finally:
            self._waiting -= 1

    def close(self) -> None:
        """Let the threads go."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _verify(self, password_hash: str | None, password: str) -> bool:
        try:
            return self._hasher.verify(password_hash or self._of_nobody, password) and password_hash is not None
        except (VerificationError, InvalidHashError, UnicodeEncodeError):  # the last: it is no text, and nobody's
            return False


@cache
def _of_nobody() -> str:
    """Return the hash of a password that nobody has."""
    return PasswordHasher().hash(secrets.token_hex(16))
