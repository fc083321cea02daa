"""The hot calls on an S3 bucket through obstore (Rust), for a third of the time and processor of boto3.

Its errors tell what went wrong in prose alone. What their type does not settle is raised as Unsettled: ask
again through boto3, whose errors have codes.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING

import obstore
from obstore.exceptions import AlreadyExistsError, BaseError, PreconditionError
from obstore.store import S3Store

from labelstream.blobs.ports import Blob, BlobChanged, BlobTooLarge
from labelstream.service import metrics
from labelstream.service.settings import StoreSettings

if TYPE_CHECKING:
    from obstore import PutMode
    from obstore.store import ClientConfig, S3Config, S3Credential

CONNECT_TIMEOUT = timedelta(seconds=5)
READ_TIMEOUT = timedelta(seconds=15)  # for each piece of an answer; boto3 then waits longer
WHOLE_TIMEOUT = timedelta(hours=1)  # there is always one: for a large object on a slow line
MOST_BYTES = 16 << 20  # written in one go; sending more could take longer than READ_TIMEOUT

_PROCESS = os.getpid()  # obstore's threads exist here, and in no process that is forked from this one


class Unsettled(Exception):
    """The call failed in a way that boto3 can explain or overcome, or is none for this client."""


class QuickBucket:
    """Puts and gets on one bucket; the calls block, and may be made from any thread."""

    def __init__(self, settings: StoreSettings, bucket: str) -> None:
        """Prepare to use `bucket`; nothing connects yet."""
        self._bucket = bucket
        self._store = _store(settings, bucket)

    def put(self, key: str, data: bytes, condition: Mapping[str, str]) -> str:
        """Write an object, under the `condition` IfMatch or IfNoneMatch if any; return its ETag.

        Raises BlobChanged when the condition does not hold, or Unsettled.
        """
        if len(data) > MOST_BYTES:
            raise Unsettled
        with self._settling(key):
            etag = obstore.put(self._store, key, data, mode=_mode(condition), use_multipart=False)["e_tag"]
        return _told(etag)

    def get(self, key: str, most_bytes: int | None) -> Blob:
        """Read an object whole. Raises BlobTooLarge before it reads more than `most_bytes`, or Unsettled."""
        with self._settling(key):
            found = obstore.get(self._store, key)
            size = found.meta["size"]
            if most_bytes is not None and size > most_bytes:
                raise BlobTooLarge(key, size)
            return Blob(found.bytes().to_bytes(), _told(found.meta["e_tag"]))

    def get_range(self, key: str, start: int, end: int) -> bytes:
        """Read bytes [start, end) of an object, where start < end. Raises Unsettled."""
        with self._settling(key):
            return obstore.get_range(self._store, key, start=start, end=end).to_bytes()

    @contextmanager
    def _settling(self, key: str) -> Iterator[None]:
        if os.getpid() != _PROCESS or key != key.strip("/"):  # it would drop these slashes without a word
            raise Unsettled
        try:
            yield
        except (AlreadyExistsError, PreconditionError) as error:
            raise BlobChanged(f"{self._bucket}/{key}") from error
        except (BaseError, FileNotFoundError, ValueError) as error:  # ValueError: a key that it can't name
            metrics.ASKED_AGAIN.labels(type(error).__name__).inc()
            raise Unsettled from error


def _mode(condition: Mapping[str, str]) -> PutMode:
    if "IfMatch" in condition:
        return {"e_tag": condition["IfMatch"]}
    return "create" if "IfNoneMatch" in condition else "overwrite"


def _told(etag: str | None) -> str:
    if etag is None:
        raise Unsettled
    return etag


def _store(settings: StoreSettings, bucket: str) -> S3Store:
    # What is not said here would come from variables such as AWS_ENDPOINT_URL_S3 and AWS_SESSION_TOKEN.
    def credentials() -> S3Credential:
        return {
            "access_key_id": settings.access_key,
            "secret_access_key": settings.secret_key.get_secret_value(),
            "token": None,
            "expires_at": None,
        }

    config: S3Config = {
        "aws_endpoint_url_s3": settings.endpoint_url,
        "region": settings.region,
        "virtual_hosted_style_request": False,
        "skip_signature": False,
        "conditional_put": "etag",
    }
    if settings.checksums == "when_supported":
        config["checksum_algorithm"] = "sha256"  # the signature needs that digest anyway
    client: ClientConfig = {
        "allow_http": True,  # where the address says so: no https address falls back to it
        "connect_timeout": CONNECT_TIMEOUT,
        "read_timeout": READ_TIMEOUT,
        "timeout": WHOLE_TIMEOUT,
    }
    if settings.tls_ca is not None:
        client["root_certificate"] = settings.tls_ca.read_bytes()  # beside the authorities that this machine knows
    return S3Store(
        bucket,
        config=config,
        credential_provider=credentials,
        client_options=client,
        retry_config={"max_retries": 0},  # boto3 is the second attempt
    )
