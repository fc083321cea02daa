"""Makes the buckets, and proves that they take and give files: `python -m labelstream.blobs.prepare`.

Run it before the services, with the access key of somebody who may make buckets: they themselves may not. Once is
enough, and again does no harm.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

from labelstream.blobs.s3 import client_of
from labelstream.blobs.s3_errors import translated
from labelstream.errors import Misconfigured, Unavailable
from labelstream.service.settings import Environment, StoreSettings, read_settings

PROBE_KEY = "ready"
_PATIENCE_S, _PAUSE_S = 120.0, 1.0


class StoreInEnvironment(Environment):
    """The object store, as the services are told of it."""

    store: StoreSettings


def buckets_of(settings: StoreSettings) -> tuple[str, ...]:
    """Return every bucket that Labelstream uses."""
    return (
        settings.data_bucket,
        settings.model_bucket,
        settings.resources_bucket,
        settings.incoming_bucket,
        settings.uploads_bucket,
    )


def prepare(settings: StoreSettings) -> tuple[str, ...]:
    """Make the buckets that are missing, put an object into each and get it back; return the new ones.

    Raises Unavailable, Misconfigured.
    """
    client = client_of(settings)
    with translated("*", "", "listing buckets"):
        existing = {bucket["Name"] for bucket in client.list_buckets()["Buckets"]}
    missing = tuple(bucket for bucket in buckets_of(settings) if bucket not in existing)
    for bucket in buckets_of(settings):
        with translated(bucket, PROBE_KEY, "making buckets, writing and reading"):
            if bucket in missing:
                client.create_bucket(Bucket=bucket)
            client.put_object(Bucket=bucket, Key=PROBE_KEY, Body=b"1")
            if client.get_object(Bucket=bucket, Key=PROBE_KEY)["Body"].read() != b"1":
                raise Misconfigured(f"the bucket {bucket} gives back something else than was put into it")
            client.delete_object(Bucket=bucket, Key=PROBE_KEY)
    return missing


def patiently(work: Callable[[], tuple[str, ...]], within_s: float = _PATIENCE_S) -> tuple[str, ...]:
    """Do the work; ask a store that is away again, for so long. Raises Unavailable, Misconfigured."""
    deadline = time.monotonic() + within_s
    while True:
        try:
            return work()
        except Unavailable:
            if time.monotonic() >= deadline:
                raise
        time.sleep(_PAUSE_S)


def main() -> int:
    """Prepare the store that the environment names; return the exit code."""
    try:
        settings = read_settings(StoreInEnvironment).store
        made = patiently(lambda: prepare(settings))
    except (Misconfigured, Unavailable) as error:
        print(f"labelstream.blobs.prepare: {error}", file=sys.stderr)  # noqa: T201  # a person reads this
        return 1
    said = f"made {', '.join(made)}; " if made else ""
    print(f"{said}{len(buckets_of(settings))} buckets take and give files")  # noqa: T201
    return 0


if __name__ == "__main__":
    sys.exit(main())
