"""What the errors of boto3 mean to us, told by status, code and type, never by message text."""

from __future__ import annotations

import concurrent.futures
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from botocore.exceptions import (
    ClientError,
    ConnectionClosedError,
    ConnectionError,  # noqa: A004  # botocore's own, which is not a kind of the built-in one
    FlexibleChecksumError,
    HTTPClientError,
    IncompleteReadError,
    ResponseStreamingError,
    SSLError,
)
from s3transfer.exceptions import RetriesExceededError, S3DownloadFailedError, S3UploadFailedError
from urllib3.exceptions import ProtocolError  # boto3 passes it on where an answer breaks off
from urllib3.util.ssl_match_hostname import CertificateError

from labelstream.blobs.ports import BlobChanged, BlobNotFound
from labelstream.errors import Misconfigured, Unavailable
from labelstream.service.tls import STORE_CA, why_not

STORE = "object store"

_AWAY = (
    ConnectionError,
    FlexibleChecksumError,
    HTTPClientError,
    IncompleteReadError,
    ResponseStreamingError,
    RetriesExceededError,
    S3DownloadFailedError,
    S3UploadFailedError,
    concurrent.futures.CancelledError,  # a transfer that its manager gave up
)
_BUSY = {"InternalError", "RequestTimeout", "ServiceUnavailable", "SlowDown", "Throttling", "TooManyRequests"}
_CREDENTIALS = {"InvalidAccessKeyId", "SignatureDoesNotMatch", "InvalidToken", "ExpiredToken"}


class OutOfRange(Exception):
    """The range begins behind the object's end."""


@contextmanager
def translated(bucket: str, key: str, right: str) -> Iterator[None]:
    """Turn boto3's errors into ours; `right` is what the store must allow us for this call.

    Raises Unavailable, BlobNotFound, BlobChanged, OutOfRange or Misconfigured; anything else passes as it is.
    """
    try:
        yield
    except SSLError as error:
        reason = why_not(error, "the object store", STORE_CA, (CertificateError,))
        if reason is None:  # it hung up in the middle, for one
            raise Unavailable(STORE, f"{type(error).__name__}: {error}") from error
        raise Misconfigured(reason) from error
    except ClientError as error:
        meaning = _meaning(error.response, bucket, key, right)
        if meaning is None:
            raise
        raise meaning from error
    except (ConnectionClosedError, ProtocolError) as error:  # also what a server of TLS does with plain HTTP
        hint = "if that port speaks TLS, the address must begin https://"
        raise Unavailable(STORE, f"{type(error).__name__}: {error} {hint}") from error
    except _AWAY as error:
        raise Unavailable(STORE, f"{type(error).__name__}: {error}") from error


def _meaning(response: Any, bucket: str, key: str, right: str) -> Exception | None:
    code = str(response.get("Error", {}).get("Code", ""))
    status = int(response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
    headers = response.get("ResponseMetadata", {}).get("HTTPHeaders", {})
    if status >= 500 or status == 429 or code in _BUSY:
        return Unavailable(STORE, f"it answered {status} {code}")
    if code == "NoSuchBucket":
        return Misconfigured(f"there is no bucket {bucket!r} in the object store: create it, or correct its name")
    if code == "RequestTimeTooSkewed":
        return Misconfigured("this machine's clock and the object store's are too far apart: set them right")
    if code in _CREDENTIALS:
        return Misconfigured(f"the object store does not know our access key or secret key ({code})")
    if status == 400 and code in ("", "400") and not any(name.startswith("x-amz-") for name in headers):
        return Misconfigured(
            "what answers at the object store's address is no S3 store: if it speaks TLS, the address must begin https://"
        )
    if status == 400 and right == "reading":
        return BlobNotFound(f"{bucket}/{key}")  # no object can have a key that the store does not take, such as a/../b
    if status in (401, 403):
        return Misconfigured(f"the object store refuses {right} on {bucket}/{key}: give this access key that right")
    by_status: dict[int, Exception] = {
        404: BlobNotFound(f"{bucket}/{key}"),
        409: BlobChanged(f"{bucket}/{key}"),
        412: BlobChanged(f"{bucket}/{key}"),
        416: OutOfRange(f"{bucket}/{key}"),
    }
    return by_status.get(status)
