"""The legacy twin of an artifact: the same weights for readers that know nothing but the legacy form.

It is made of what the model was published from, where the worker left it in the data bucket: the decider may write the
model bucket and not read it. Its digest goes into the record, for the legacy form itself proves nothing.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import BinaryIO, Protocol

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.padding import PKCS7
from pydantic import SecretStr, ValidationError

from exporter.access.saying import Say
from exporter.domain import export_job_id
from exporter.exporting.orders import ExportLeft
from exporter.twin_record import TwinRecord, record_key
from labelstream import keys
from labelstream.blobs.checked import download_checked
from labelstream.blobs.ports import Blobs
from labelstream.errors import Misconfigured, Rejected
from labelstream.events.access import ResourceStored
from labelstream.events.model import ArtifactRef
from labelstream.events.training import TrainingFinished
from labelstream.jobs.desk import Desk
from labelstream.model_requests import Answer, ModelRequest, WriteTwin
from labelstream.models import ModelBook, ModelState
from labelstream.protection.legacy import BLOCK_BITS, IV, SMALL_BYTES, SMALL_PERCENT
from labelstream.values import FileRef, sha256_hex

_PIECE = 1 << 20
_AGAIN = "Export the model again, or write the twin of a newer one."


class Finds(Protocol):
    """Knows where what was published lies unsealed."""

    async def find(self, state: ModelState, artifact: ArtifactRef) -> FileRef:
        """Return an artifact's file in the data bucket. Raises Rejected, Unavailable."""
        ...


@dataclass(frozen=True)
class LeftByWorkers:
    """Finds artifacts where the workers left them that built them."""

    desk: Desk
    training: Callable[[str], TrainingFinished | None]  # by its job

    async def find(self, state: ModelState, artifact: ArtifactRef) -> FileRef:
        """Return what the attempt left that the model was published from."""
        training = self.training(state.exported.job)
        if training is None:
            reason = f"nothing is known of the training {state.exported.job}"
            raise Rejected("twin.no_training", reason, "Ask again in a moment, should the exporter have just started.")
        standing = await self.desk.standing(state.project, export_job_id(state.project, training, artifact.name))
        if standing is None or standing.result is None:
            reason = f"what {artifact.name} of {state.model} was made of is gone from the data bucket"
            raise Rejected("twin.gone", reason, _AGAIN)
        try:
            left = ExportLeft.model_validate_json(standing.result)
        except ValidationError:
            raise Rejected("twin.gone", f"what a worker left of {artifact.name} can't be read", _AGAIN) from None
        if left.artifact.sha256 != artifact.plain_sha256:
            reason = f"what lies there of {artifact.name} is not what {state.model} was published from"
            raise Rejected("twin.other_content", reason, _AGAIN)
        return left.artifact


class LegacySink:
    """Takes plain bytes in pieces, and writes them in the legacy form: IV ‖ AES-256-CBC with PKCS7."""

    def __init__(self, protected: BinaryIO, key: str, *, iv: bytes | None = None) -> None:
        """Write to `protected`; `iv` is fresh unless a known answer is being checked."""
        if not key:
            raise Misconfigured("the legacy form needs a key string; it has no default")
        iv = os.urandom(IV) if iv is None else iv
        cipher = Cipher(algorithms.AES256(hashlib.sha256(key.encode()).digest()), modes.CBC(iv))
        self._protected = protected
        self._padder = PKCS7(BLOCK_BITS).padder()
        self._encryptor = cipher.encryptor()
        protected.write(iv)

    def write(self, data: bytes, /) -> int:
        """Take plain bytes."""
        self._protected.write(self._encryptor.update(self._padder.update(data)))
        return len(data)

    def finish(self) -> None:
        """Write the end."""
        self._protected.write(self._encryptor.update(self._padder.finalize()) + self._encryptor.finalize())
        self._protected.flush()


@dataclass(frozen=True)
class _Split:
    """A legacy file in two: a few bytes, and a file."""

    small: bytes
    big: Path
    big_sha256: str


@dataclass(frozen=True)
class Twins:
    """Writes twins when a person asks for one."""

    book: ModelBook
    finds: Finds
    data: Blobs
    models: Blobs
    resources: Blobs
    say: Say
    legacy_key: SecretStr | None
    scratch: Path

    async def __call__(self, project: str, request: ModelRequest) -> Answer:
        """Write the twin that is asked for, over an older one of the name. Raises Rejected, Unavailable."""
        what = request.what
        if not isinstance(what, WriteTwin):
            raise TypeError(f"this is no wish for a twin: {type(what).__name__}")
        key = self._key()
        state = self._model(project, what.model)
        plain = await self.finds.find(state, _artifact(state, what.artifact))
        await asyncio.to_thread(self.scratch.mkdir, parents=True, exist_ok=True)
        with TemporaryDirectory(dir=self.scratch, prefix="twin-") as folder:
            path = await download_checked(self.data, plain, Path(folder) / "plain")
            split = await asyncio.to_thread(_protect, path, key)
            record = _record(project, what, plain, split)
            await self._store(record, split)
        await self._say(record, request)
        where = keys.twin(what.folder, what.file)
        return Answer(
            outcome="done",
            model=what.model,
            reason=f"the big part ({record.big_bytes} bytes) is {where} in the model bucket; the small part "
            f"({record.small_bytes} bytes) is handed out by POST /resources/get/{what.folder}",
        )

    def _key(self) -> str:
        key = self.legacy_key.get_secret_value() if self.legacy_key is not None else ""
        if not key:
            hint = "Set LABELSTREAM_EXPORTER__LEGACY_KEY_FILE for the decider: the key string that the readers have."
            raise Rejected("twin.no_key", "the legacy form needs a key string, and none is set", hint)
        return key

    def _model(self, project: str, model: str) -> ModelState:
        state = self.book.models.get(model)
        if state is None or state.project != project:
            hint = "`labelstream models list` shows them."
            raise Rejected("model.unknown", f"project {project!r} has no model {model!r}", hint)
        if state.withdrawn is not None:
            reason = f"{model} was withdrawn: {state.withdrawn.reason}"
            raise Rejected("model.withdrawn", reason, "Choose another model.")
        return state

    async def _store(self, record: TwinRecord, split: _Split) -> None:
        """Write the parts, and what says that they belong together last."""
        where = keys.twin(record.folder, record.file)
        await self.models.upload(split.big, where)
        await self.resources.put(where, split.small)
        await self.resources.put(record_key(record.folder, record.file), record.model_dump_json().encode())

    async def _say(self, record: TwinRecord, request: ModelRequest) -> None:
        stored = ResourceStored(
            name=request.by,
            resource=f"{record.folder}/{record.file}: {record.artifact} of {record.model} in the legacy form",
            sha256=record.plain_sha256,
            size_bytes=record.small_bytes + record.big_bytes,
        )
        await self.say(stored, record.project, answers=f"twin {request.answer or time.time_ns()}")


def _artifact(state: ModelState, name: str) -> ArtifactRef:
    found = next((each for each in state.exported.artifacts if each.name == name), None)
    if found is None:
        known = ", ".join(each.name for each in state.exported.artifacts)
        raise Rejected("twin.no_artifact", f"{state.model} has no artifact {name!r}", f"It has {known}.")
    return found


def _protect(plain: Path, key: str) -> _Split:
    """Put a file into the legacy form, and split that, in constant memory."""
    protected = plain.with_name("protected")
    with plain.open("rb") as source, protected.open("wb") as target:
        sink = LegacySink(target, key)
        shutil.copyfileobj(source, sink, _PIECE)
        sink.finish()
    return _split(protected, plain.with_name("big"))


def _split(protected: Path, big: Path) -> _Split:
    """Split a legacy file as `split_legacy` does, in constant memory."""
    size = protected.stat().st_size
    with protected.open("rb") as source, big.open("wb") as target:
        small = source.read(min(SMALL_BYTES, size * SMALL_PERCENT // 100))
        digest = hashlib.sha256()
        while piece := source.read(_PIECE):
            digest.update(piece)
            target.write(piece)
    return _Split(small, big, digest.hexdigest())


def _record(project: str, what: WriteTwin, plain: FileRef, split: _Split) -> TwinRecord:
    return TwinRecord(
        project=project,
        model=what.model,
        artifact=what.artifact,
        folder=what.folder,
        file=what.file,
        small_sha256=sha256_hex(split.small),
        small_bytes=len(split.small),
        big_sha256=split.big_sha256,
        big_bytes=split.big.stat().st_size,
        plain_sha256=plain.sha256,
        plain_bytes=plain.size_bytes,
        written_ms=int(time.time() * 1000),
    )
