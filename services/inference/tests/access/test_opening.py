"""Who is let in, as the settings, a file and the disk say."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from inference.access.kept import Heard, KeptList
from inference.access.opening import access_from_file, open_access
from labelstream.access import KeyFacts, KeyList, KeyToken
from labelstream.errors import Misconfigured

from .test_keys import TOKEN, facts, gate, request, showing


def test_the_keys_of_a_file_count_without_anybody_to_ask(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    path.write_text(KeyList(keys=(facts(projects=("default",)),)).model_dump_json())
    opened = access_from_file(path).gate
    opened.admit(showing(), "default")
    assert opened.may_see(showing(), ("default", "yard")) == ("default",)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "can't be read: No such file"),
        ("nonsense", "Invalid JSON"),
        ('{"keys": [{"id": "00112233aabbccdd"}]}', "keys.0.secret_sha256: Field required"),
        ('{"keys": [{"id": "short", "secret_sha256": "hunter2"}]}', "keys.0.id"),
        ('[{"id": "00112233aabbccdd"}]', "the file"),
        ("{}", "keys: Field required"),
    ],
    ids=["absent", "no JSON", "no hash", "wrong id", "a bare list", "no keys"],
)
def test_a_file_that_is_none_is_told_of_without_what_stands_in_it(
    tmp_path: Path, content: str | None, said: str
) -> None:
    path = tmp_path / "keys.json"
    if content is not None:
        path.write_text(content)
    with pytest.raises(Misconfigured, match=r"keys\.json") as refused:
        access_from_file(path)
    assert said in str(refused.value)
    assert "hunter2" not in str(refused.value)


@pytest.mark.parametrize(
    ("host", "event"),
    [
        ("127.0.0.1", "access.open"),
        ("::1", "access.open"),
        ("localhost", "access.open"),
        ("0.0.0.0", "access.open_to_the_network"),  # noqa: S104  # what is warned of
        ("inference.example.org", "access.open_to_the_network"),
    ],
)
def test_a_replica_that_lets_everybody_in_says_so_and_louder_where_a_network_reaches_it(host: str, event: str) -> None:
    with capture_logs() as logs:
        opened = open_access(host).gate
    assert [(each["event"], each["log_level"]) for each in logs] == [
        (event, "warning" if event == "access.open" else "error")
    ]
    opened.admit(request(), "default")
    assert opened.may_see(request(), ["default"]) == ("default",)


def test_the_kept_list_is_for_this_service_alone_and_holds_no_key(tmp_path: Path) -> None:
    kept = KeptList(tmp_path / "state" / "api-keys.json")
    assert kept.read() is None
    heard = Heard(heard_ms=5, etag='"tag"', told=KeyList(keys=(facts(),)))
    kept.write(heard)
    kept.write(heard)
    assert kept.read() == heard
    assert stat.S_IMODE(kept.path.stat().st_mode) == 0o600
    assert TOKEN.secret not in kept.path.read_text()
    kept.path.write_text(json.dumps({"heard_ms": "?"}))
    assert kept.read() is None


def test_a_key_is_shown_nowhere_but_where_it_is_asked_for() -> None:
    token = KeyToken.new()
    assert KeyToken.read(token.text) == token
    for shown in (repr(token), repr(facts(token)), str(token)):
        assert token.secret not in shown
        assert token.secret_sha256 not in shown


def test_a_list_of_a_newer_exporter_is_read() -> None:
    told = {"keys": [{**facts().model_dump(), "colour": "blue"}], "more": 1}
    (key,) = KeyList.model_validate(told).keys
    assert key == facts()
    assert isinstance(key, KeyFacts)
    gate(key).admit(showing(), "default")


def test_a_list_on_disk_that_can_not_be_read_is_as_good_as_none(tmp_path) -> None:
    (tmp_path / "api-keys.json").mkdir()
    assert KeptList(tmp_path / "api-keys.json").read() is None
