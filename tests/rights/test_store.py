"""Each identity of a real store, with every bucket: it may do what the design says, and nothing else."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from labelstream.service.settings import StoreSettings
from labelstream_local.seaweedfs import WeedServer

from .expected import BUCKETS, IDENTITIES

pytestmark = pytest.mark.store

THERE, NEW = "rights/there", "rights/new"


def client_of(settings: StoreSettings) -> Any:
    return boto3.client(
        "s3",
        endpoint_url=settings.endpoint_url,
        region_name=settings.region,
        aws_access_key_id=settings.access_key,
        aws_secret_access_key=settings.secret_key.get_secret_value(),
    )


def may(call: Callable[..., object], **arguments: object) -> bool:
    """Whether the store lets somebody; anything but a refusal is raised."""
    try:
        call(**arguments)
    except ClientError as error:
        if error.response["ResponseMetadata"]["HTTPStatusCode"] != 403:
            raise
        return False
    return True


@pytest.fixture(scope="module")
def operator(seaweedfs: WeedServer) -> Any:
    """The operator, who has made a bucket that is nobody's."""
    client = client_of(seaweedfs.settings)
    if not any(bucket["Name"] == "payments" for bucket in client.list_buckets()["Buckets"]):
        client.create_bucket(Bucket="payments")
    return client


def tried(client: Any, bucket: str) -> dict[str, bool]:
    return {
        "get": may(client.get_object, Bucket=bucket, Key=THERE),
        "list": may(client.list_objects_v2, Bucket=bucket),
        "put": may(client.put_object, Bucket=bucket, Key=NEW, Body=b"1"),
        "delete": may(client.delete_object, Bucket=bucket, Key=THERE),
    }


@pytest.mark.parametrize("identity", IDENTITIES)
def test_an_identity_reads_writes_and_deletes_only_in_the_buckets_that_it_needs(
    seaweedfs: WeedServer, operator: Any, identity: str
) -> None:
    client, seen = client_of(seaweedfs.settings_of(identity)), {}
    for bucket in BUCKETS:
        operator.put_object(Bucket=bucket, Key=THERE, Body=b"1")
        seen[bucket] = tried(client, bucket)
        there = may(operator.head_object, Bucket=bucket, Key=THERE) if not seen[bucket]["delete"] else True
        assert there  # a refusal has changed nothing
    assert seen == {bucket: allowed.allows(identity) for bucket, allowed in BUCKETS.items()}


@pytest.mark.parametrize("identity", IDENTITIES)
def test_no_identity_makes_or_removes_a_bucket(seaweedfs: WeedServer, operator: Any, identity: str) -> None:
    client = client_of(seaweedfs.settings_of(identity))
    assert not may(client.create_bucket, Bucket=f"of-{identity}")
    assert not may(client.delete_bucket, Bucket="payments")


def test_the_operator_may_do_everything(operator: Any) -> None:
    for bucket in BUCKETS:
        operator.put_object(Bucket=bucket, Key=THERE, Body=b"1")
        assert all(tried(operator, bucket).values())
