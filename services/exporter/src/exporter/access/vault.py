"""The vault: what opens the models' keys, so that grants can be made of them."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

import structlog

from labelstream import keys
from labelstream.blobs.ports import BlobChanged, BlobNotFound, Blobs
from labelstream.bundle import ModelKey
from labelstream.errors import Misconfigured, Rejected, Unavailable
from labelstream.models import ModelBook
from labelstream.protection.grants import open_model_key, seal_model_key
from labelstream.protection.sealing import NotForUs, identities_in, recipient_of

_AT_ONCE = 8
_OUTCOMES = ("resealed", "kept", "lost", "unreadable")

log = structlog.get_logger()


@dataclass(frozen=True)
class Vault:
    """Age private keys: the first seals, and each of them opens. So they are exchanged without a gap."""

    resources: Blobs
    identities: tuple[str, ...] = field(repr=False)

    @classmethod
    def read(cls, text: str, resources: Blobs) -> Vault:
        """Read an identity file's text, one key a line. Raises Misconfigured."""
        try:
            identities = identities_in(text)
            for identity in identities:
                recipient_of(identity)
        except (Misconfigured, Rejected) as error:
            raise Misconfigured(f"VAULT_IDENTITY can't be used: {error}") from error
        return cls(resources, identities)

    @property
    def recipient(self) -> str:
        """The public key that models' keys are sealed to."""
        return recipient_of(self.identities[0])

    async def open(self, project: str, model: str) -> ModelKey:
        """Return the key of a model. Raises Rejected when it is lost or does not open, Unavailable."""
        where = keys.model_key(project, model)
        try:
            sealed = await self.resources.get(where)
        except BlobNotFound as error:
            raise Rejected(
                "grant.no_model_key", f"the store has no {where}", "Restore the object, or export the model again."
            ) from error
        return await asyncio.to_thread(self._opened, sealed.data)

    async def reseal_all(self, book: ModelBook) -> int:
        """Seal every model's key to the first of ours; return how many were not. Raises Unavailable.

        After that the others are needed no more. With one key there is nothing to do: what it does not open can't
        be sealed anew either.
        """
        if len(self.identities) == 1:
            return 0
        gate = asyncio.Semaphore(_AT_ONCE)

        async def one(project: str, model: str) -> str:
            async with gate:
                return await self._reseal(keys.model_key(project, model))

        found = await asyncio.gather(*(one(state.project, state.model) for state in book.models.values()))
        log.info("vault.resealed", models=len(found), **{outcome: found.count(outcome) for outcome in _OUTCOMES})
        return found.count("resealed")

    async def _reseal(self, where: str) -> str:
        try:
            sealed = await self.resources.get(where)
            resealed = await asyncio.to_thread(self._resealed, sealed.data)
            if resealed is None:
                return "kept"
            await self.resources.replace(where, resealed, sealed.etag)
        except BlobNotFound:
            return "lost"  # who asks for a grant of that model is told so
        except BlobChanged as error:
            raise Unavailable("resources bucket", f"{where} changed meanwhile; it is read again") from error
        except Rejected as error:
            log.error("vault.unreadable", key=where, rule=error.rule, reason=error.reason)
            return "unreadable"
        return "resealed"

    def _resealed(self, sealed: bytes) -> bytes | None:
        """Return a model's key, sealed to the first of ours; None when it is. Raises Rejected."""
        try:
            open_model_key(sealed, self.identities[0])
        except NotForUs:
            return seal_model_key(self._opened(sealed), self.recipient)
        return None

    def _opened(self, sealed: bytes) -> ModelKey:
        return open_model_key(sealed, "\n".join(self.identities))
