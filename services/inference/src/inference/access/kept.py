"""Lists of API keys on disk: the last one that was heard, for a start without the exporter, and those of a file."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import structlog
from pydantic import ValidationError

from labelstream.access import KeyList
from labelstream.errors import Misconfigured
from labelstream.values import Value

log = structlog.get_logger()


class Heard(Value):
    """A list, and when and by which tag the exporter told it."""

    heard_ms: int
    etag: str
    told: KeyList


@dataclass(frozen=True)
class KeptList:
    """The last list that was heard, in a file that only this service reads: hashes, and which projects there are."""

    path: Path

    def read(self) -> Heard | None:
        """Return it; a file that can't be read is as good as none."""
        try:
            return Heard.model_validate_json(self.path.read_bytes())
        except FileNotFoundError:
            return None
        except OSError as error:
            log.warning("keys.unreadable", path=str(self.path), reason=error.strerror)
            return None
        except ValidationError as error:
            log.warning("keys.unreadable", path=str(self.path), errors=error.error_count())
            return None

    def write(self, heard: Heard) -> None:
        """Keep it, whole or not at all."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        partial = self.path.with_name(self.path.name + ".partial")
        partial.unlink(missing_ok=True)  # of a process that died: its mode may be another
        descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(heard.model_dump_json().encode())
            file.flush()
            os.fsync(file.fileno())
        partial.replace(self.path)


def read_key_file(path: Path) -> KeyList:
    """Read a list as the exporter's `GET /v1/api-keys` answers it. Raises Misconfigured, which quotes nothing of it."""
    try:
        return KeyList.model_validate_json(path.read_bytes())
    except OSError as error:
        raise Misconfigured(f"the API keys {path} can't be read: {error.strerror}") from error
    except ValidationError as error:
        found = error.errors(include_input=False, include_url=False)[0]
        where = ".".join(map(str, found["loc"])) or "the file"
        how = "it must be what the exporter's GET /v1/api-keys answers"
        raise Misconfigured(f"the API keys {path} can't be used: {where}: {found['msg']}; {how}") from None
