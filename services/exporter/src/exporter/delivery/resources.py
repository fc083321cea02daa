"""Uploaded files and the small parts of legacy twins, behind the documented Azaion forms."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from exporter.access.known import address_sha256
from exporter.delivery.callers import Caller
from exporter.delivery.desk import Desk, not_withdrawn
from exporter.delivery.hardware import hardware_key
from exporter.delivery.problems import Problem, TurnedAway
from exporter.delivery.sending import Places
from exporter.delivery.uploads import Upload
from exporter.twin_record import TwinRecord, read_record
from labelstream import keys
from labelstream.access import User
from labelstream.blobs.ports import BlobNotFound, Blobs, BlobTooLarge
from labelstream.events.access import ResourceStored
from labelstream.protection.legacy import seal_legacy
from labelstream.values import sha256_hex

AT_ONCE = 2  # uploads and downloads: each may hold a whole file, and what becomes of it, in memory


@dataclass(frozen=True)
class Wish:
    """What somebody asks for, and what its key is made of."""

    folder: str
    file: str
    email: str | None
    password: str
    hardware: str

    @property
    def name(self) -> str:
        """What the audit log calls it."""
        return f"{self.folder}/{self.file}"


@dataclass(frozen=True)
class Resources:
    """Hands out and stores files. Every method raises Problem, and Unavailable."""

    desk: Desk
    resources: Blobs
    uploads: Blobs
    most_bytes: int
    piece_timeout_s: float  # a reader must have taken a piece of a file by then
    places: Places = field(default_factory=Places)
    uploading: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(AT_ONCE))
    downloading: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(AT_ONCE))

    async def fetch(self, wish: Wish, caller: Caller, address: str) -> bytes:
        """Return a file, protected for who asks on the machine that they name."""
        email = self._email(caller.as_user(wish.name), wish.email or caller.email)
        await self.desk.login.user(email, wish.password, address)
        twin = await read_record(self.resources, wish.folder, wish.file)
        async with self.downloading:
            content = await (self._upload(wish) if twin is None else self._small_part(twin, caller))
            await self.desk.fetched(caller, wish.name, content, twin.project if twin else self.desk.project, address)
            key = hardware_key(email, wish.password, wish.hardware)
            return await asyncio.to_thread(seal_legacy, content, key)

    def check_may_upload(self, caller: Caller, folder: str) -> None:
        """Raise TurnedAway when somebody may not upload."""
        if not caller.as_user(folder).may_upload:
            detail, hint = f"{caller.who.name} may not upload", "`labelstream users add --may-upload --replace`"
            raise TurnedAway(403, "upload-not-allowed", detail, hint, who=caller.who, resource=folder)

    async def store(self, folder: str, upload: Upload, caller: Caller, address: str) -> str:
        """Store a file over an older one; return its SHA-256."""
        if await read_record(self.resources, folder, upload.name) is not None:
            detail = f"{folder}/{upload.name} is the legacy form of a model"
            raise Problem(409, "name-taken", detail, "Choose another name.")
        digest = sha256_hex(upload.content)
        stored = ResourceStored(
            name=caller.who.name,
            resource=f"{folder}/{upload.name}",
            sha256=digest,
            size_bytes=len(upload.content),
            address=self.desk.addresses.hashed(address),
        )
        await self.desk.audit.say(stored, self.desk.project)  # before it is so: nothing lies there that was not said
        await self.uploads.put(upload_key(folder, upload.name), upload.content)
        return digest

    def _email(self, user: User, email: str | None) -> str:
        if email is None:
            hint = "Log in by POST /login, or send email along."
            raise Problem(400, "email-missing", "the token does not tell the e-mail address that the key needs", hint)
        if address_sha256(email) != user.email_sha256:
            raise Problem(403, "email-foreign", f"the e-mail address is not that of {user.name}", "Send your own.")
        return email

    async def _upload(self, wish: Wish) -> bytes:
        try:
            return (await self.uploads.get(upload_key(wish.folder, wish.file), self.most_bytes)).data
        except BlobNotFound:
            raise _unknown(wish.name) from None
        except BlobTooLarge as error:
            detail = f"{wish.name} has {error.size_bytes} bytes, and {self.most_bytes} are the limit now"
            raise Problem(413, "too-large", detail, "Raise MAX_UPLOAD_BYTES.") from None

    async def _small_part(self, twin: TwinRecord, caller: Caller) -> bytes:
        caller.see(twin.project)
        not_withdrawn(self.desk.models.find(twin.project, twin.model))
        try:
            content = (await self.resources.get(keys.twin(twin.folder, twin.file))).data
        except BlobNotFound:
            raise _unknown(f"{twin.folder}/{twin.file}") from None
        if sha256_hex(content) != twin.small_sha256:
            detail = f"{twin.folder}/{twin.file} is being written anew"
            raise Problem(503, "resource-changing", detail, "Ask again in 2 s.", retry_after_s=2)
        return content


def upload_key(folder: str, file: str) -> str:
    """The key of an uploaded file in the uploads bucket."""
    return f"{folder}/{file}"


def _unknown(name: str) -> Problem:
    return Problem(404, "resource-unknown", f"there is no {name}", "Check folder and file name, and their case.")
