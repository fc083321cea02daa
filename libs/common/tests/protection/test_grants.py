from __future__ import annotations

import msgpack
import pytest

from labelstream.bundle import GrantContent, ModelKey
from labelstream.errors import Rejected
from labelstream.protection.grants import (
    check_grant,
    grant_content,
    make_grant,
    open_grant,
    open_model_key,
    seal_model_key,
)
from labelstream.protection.sealing import NotForUs, Tampered, new_identity, recipient_of, seal

KEY = ModelKey(model="m1", project="default", identity=new_identity()[0], small_parts={"onnx-fp32.age": b"\x00\xff"})


def test_a_grant_opens_on_its_device():
    identity, recipient = new_identity()
    content = grant_content(KEY, "camera-1", expires_ms=1_000)
    assert open_grant(make_grant(content, recipient), identity, now_ms=999) == content
    assert (content.device, content.identity, content.small_parts) == ("camera-1", KEY.identity, KEY.small_parts)


def test_another_devices_grant_is_refused():
    grant = make_grant(grant_content(KEY, "camera-1"), new_identity()[1])
    with pytest.raises(NotForUs, match=r"grant\.not_for_us"):
        open_grant(grant, new_identity()[0], now_ms=0)


def test_an_expired_grant_is_refused_from_its_last_millisecond_on():
    identity, recipient = new_identity()
    with pytest.raises(Rejected, match=r"grant\.expired.*m1 to camera-1 ended at 1970-01-01 00:00 UTC, and it is 1970"):
        open_grant(make_grant(grant_content(KEY, "camera-1", expires_ms=1_000), recipient), identity, now_ms=1_000)


def test_a_grant_without_an_end_stays():
    identity, recipient = new_identity()
    assert open_grant(make_grant(grant_content(KEY, "camera-1"), recipient), identity, now_ms=10**15).model == "m1"


def test_a_cut_off_grant_is_damaged():
    identity, recipient = new_identity()
    grant = make_grant(grant_content(KEY, "camera-1"), recipient)
    for length in (0, 10, len(grant) - 1):
        with pytest.raises(Tampered, match=r"grant\.damaged"):
            open_grant(grant[:length], identity, now_ms=0)


@pytest.mark.parametrize("content", [b"\xc1", b"", msgpack.packb([1]), msgpack.packb({"model": "m1", "identity": 5})])
def test_something_else_sealed_to_the_device_is_no_grant(content: bytes):
    identity, recipient = new_identity()
    with pytest.raises(Tampered, match=r"grant\.damaged"):
        open_grant(seal(content, [recipient]), identity, now_ms=0)


@pytest.mark.parametrize(("model", "project"), [("m2", "default"), ("m1", "other")])
def test_a_grant_for_another_model_or_project_is_refused(model: str, project: str):
    content = grant_content(KEY, "camera-1")
    check_grant(content, model="m1", project="default")
    with pytest.raises(Rejected, match=r"grant\.other_model"):
        check_grant(content, model=model, project=project)


def test_grants_are_made_from_the_vault():
    identity, recipient = new_identity()
    assert open_model_key(seal_model_key(KEY, recipient), identity) == KEY
    with pytest.raises(NotForUs):
        open_model_key(seal_model_key(KEY, recipient), new_identity()[0])


def test_while_a_vaults_keys_are_exchanged_the_first_seals_and_each_opens():
    old, new = new_identity()[0], new_identity()[0]
    both = f"# since today\n{new}\n# until next month\n{old}\n"
    assert recipient_of(both) == recipient_of(new)
    before, after = seal_model_key(KEY, recipient_of(old)), seal_model_key(KEY, recipient_of(both))
    assert open_model_key(before, both) == open_model_key(after, both) == KEY
    assert open_model_key(after, new) == KEY
    with pytest.raises(NotForUs) as refused:
        open_model_key(before, new)
    assert recipient_of(new) in refused.value.reason
    assert new not in str(refused.value)


def test_no_secret_shows_when_a_grant_is_printed():
    content = grant_content(KEY, "camera-1")
    assert isinstance(content, GrantContent)
    assert "AGE-SECRET-KEY" not in repr(content) + str(content) + repr(KEY)
