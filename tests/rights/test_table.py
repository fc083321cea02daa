"""The table of rights alone: what its patterns let through, and that nothing of the deployments is missing in it."""

from __future__ import annotations

import base64
import hashlib
import json
import re

import pytest

from augmenter.orders import QUEUE as AUGMENT
from labelstream.blobs.prepare import buckets_of
from labelstream.formats import queue_of
from labelstream.jobs.rabbitmq_session import DEAD as DEAD_LETTERS
from labelstream.service.settings import StoreSettings
from labelstream_local import rights
from labelstream_local.definitions import definitions, hashed
from labelstream_local.rights import BY_NAME, IDENTITIES, OPERATOR, RIGHTS, Served, may_be_input, patterns
from labelstream_local.services import NAMES, told_inputs
from labelstream_local.workloads import NEEDS
from trainer.orders import QUEUE as TRAIN

from .expected import BUCKETS, PROGRAMS, PROJECTS, QUEUES, STREAMS, USERS
from .expected import IDENTITIES as EXPECTED_IDENTITIES

SERVED = Served(PROJECTS)
PASSWORDS = {principal.name: f"password of {principal.name}" for principal in RIGHTS}


def lets(pattern: str, name: str) -> bool:
    """Whether RabbitMQ would find the pattern in the name."""
    return re.search(pattern, name) is not None


def allowed(user: str, name: str) -> tuple[bool, bool, bool]:
    """What a user may do with a name: configure, write, read."""
    told = patterns(BY_NAME[user].broker, SERVED)
    return lets(told.configure, name), lets(told.write, name), lets(told.read, name)


def test_every_program_and_every_service_has_rights() -> None:
    assert set(BY_NAME) == {OPERATOR, *USERS}
    assert {identity.name for identity in IDENTITIES} == {OPERATOR, *EXPECTED_IDENTITIES}
    assert set(NAMES) <= set(PROGRAMS)
    for program in PROGRAMS:
        assert {f"broker-{program}", f"store-{program}"} <= set(NEEDS[program])


@pytest.mark.parametrize("user", USERS)
def test_every_pattern_holds_for_whole_names_alone(user: str) -> None:
    for pattern in vars(patterns(BY_NAME[user].broker, SERVED)).values():
        assert re.fullmatch(r"\^(\$|\(.+\)\$)", pattern)


@pytest.mark.parametrize("user", USERS)
def test_the_patterns_are_those_of_the_design(user: str) -> None:
    streams = {name: (user in one.create, user in one.write, user in one.read) for name, one in STREAMS.items()}
    queues = {name: (user in one.declare, user in one.publish, user in one.consume) for name, one in QUEUES.items()}
    # A name is one for all kinds: who may read a queue may read a stream that is called so.
    assert {name: allowed(user, name) for name in (*STREAMS, *QUEUES)} == streams | queues


@pytest.mark.parametrize("user", USERS)
def test_no_name_that_is_nearly_right_gets_through(user: str) -> None:
    for name in (*STREAMS, *QUEUES):
        for like in (f"x{name}", f"{name}x", name.replace(".", "x"), name.upper(), f" {name}"):
            if like not in (*STREAMS, *QUEUES) and not like.startswith("jobs.export."):
                assert not any(allowed(user, like)), like


@pytest.mark.parametrize("name", ["amq.default", "amq.direct", "amq.topic", "amq.gen-1234"])
def test_nobody_but_the_operator_reaches_what_every_broker_has(name: str) -> None:
    assert [user for user in BY_NAME if any(allowed(user, name))] == [OPERATOR]


def test_each_stream_of_ours_has_one_maker() -> None:
    for name in STREAMS:
        makers = [user for user in USERS if allowed(user, name)[0]]
        assert len(makers) == (1 if STREAMS[name].create else 0), name


def test_the_names_are_those_of_the_code() -> None:
    assert (rights.JOBS_AUGMENT, rights.JOBS_TRAIN, rights.DEAD) == (AUGMENT, TRAIN, DEAD_LETTERS)
    assert queue_of("onnx") == f"{rights.JOBS_EXPORT}onnx"
    store = StoreSettings(endpoint_url="http://store", access_key="a", secret_key="s")  # type: ignore[arg-type]
    assert set(buckets_of(store)) == set(BUCKETS) - {"payments"}


def test_a_password_is_kept_as_salt_and_digest() -> None:
    kept = base64.b64decode(hashed("trainer", "secret"))
    salt, digest = kept[:4], kept[4:]
    assert digest == hashlib.sha256(salt + b"secret").digest()
    assert hashed("trainer", "secret") == hashed("trainer", "secret")
    assert len({hashed("trainer", "secret"), hashed("exporter", "secret"), hashed("trainer", "other")}) == 3


def test_the_definitions_hold_no_password_and_are_the_same_each_time() -> None:
    text = definitions(PASSWORDS, SERVED)
    assert text == definitions(PASSWORDS, SERVED)
    assert [password for password in PASSWORDS.values() if password in text] == []
    told = json.loads(text)
    assert {user["name"] for user in told["users"]} == set(BY_NAME)
    assert [queue["name"] for queue in told["queues"]] == ["jobs.dead"]


def test_a_user_of_earlier_times_is_locked_out() -> None:
    told = json.loads(definitions(PASSWORDS, SERVED, ("labelstream",)))
    (user,) = (user for user in told["users"] if user["name"] == "labelstream")
    (permission,) = (one for one in told["permissions"] if one["user"] == "labelstream")
    assert (user["password_hash"], user["tags"]) == ("", [])
    assert {permission[right] for right in ("configure", "write", "read")} == {"^$"}


@pytest.mark.parametrize("name", ["annotation-events", "jobs.train", "requests.grants", "parked.x", "amq.default"])
def test_an_input_stream_can_not_have_a_name_that_means_something(name: str) -> None:
    assert not may_be_input(name)
    assert name not in Served(more_inputs=(name,)).inputs


def test_producers_may_write_inputs_of_other_names_but_not_what_a_model_proposes() -> None:
    told = {"annotation-ingest": {"LABELSTREAM_INGEST__INPUTS": '[{"stream": "drones"}, {"stream": "annotations-ai"}]'}}
    served = Served(more_inputs=told_inputs(told))
    assert served.inputs == ("annotations", "drones")
    assert lets(patterns(BY_NAME["producer"].broker, served).write, "drones")
    assert not lets(patterns(BY_NAME["producer"].broker, served).write, "annotations-ai")


@pytest.mark.parametrize("told", ["", "[", "{}", "[1]", '[{"project": "a"}]', "null"])
def test_inputs_that_can_not_be_read_give_no_rights(told: str) -> None:
    assert told_inputs({"annotation-ingest": {"LABELSTREAM_INGEST__INPUTS": told}}) == ()
    assert told_inputs({}) == ()
