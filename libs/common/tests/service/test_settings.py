"""Settings come from the environment and from files; nothing secret has a default."""

from __future__ import annotations

import os

import pytest
from pydantic import SecretStr

from labelstream.errors import Misconfigured
from labelstream.service.settings import ServiceSettings, read_settings

GOOD = {
    "LABELSTREAM_BROKER__USERNAME": "ingest",
    "LABELSTREAM_BROKER__PASSWORD": "broker-secret",
    "LABELSTREAM_STORE__ENDPOINT_URL": "http://127.0.0.1:1",
    "LABELSTREAM_STORE__ACCESS_KEY": "ingest",
    "LABELSTREAM_STORE__SECRET_KEY": "store-secret",
}


@pytest.fixture
def told(monkeypatch):
    for name in list(os.environ):
        if name.startswith("LABELSTREAM_"):
            monkeypatch.delenv(name)
    for name, value in GOOD.items():
        monkeypatch.setenv(name, value)
    return monkeypatch


def test_variables_fill_the_groups(told):
    told.setenv("LABELSTREAM_BROKER__STREAM_PORT", "5999")
    told.setenv("LABELSTREAM_PROJECTS", '["a", "b"]')
    settings = read_settings(ServiceSettings)
    assert (settings.broker.stream_port, settings.projects) == (5999, ("a", "b"))
    assert settings.store.secret_key == SecretStr("store-secret")


def test_a_secret_may_come_from_a_file_and_does_not_enter_the_environment(told, tmp_path):
    (tmp_path / "password").write_text("from-a-file\n")
    told.delenv("LABELSTREAM_BROKER__PASSWORD")
    told.setenv("LABELSTREAM_BROKER__PASSWORD_FILE", str(tmp_path / "password"))
    settings = read_settings(ServiceSettings)
    assert settings.broker.password.get_secret_value() == "from-a-file"
    assert settings.broker.username == "ingest"
    assert "from-a-file" not in os.environ.values()


def test_a_file_that_is_not_there_is_named(told, tmp_path):
    told.delenv("LABELSTREAM_BROKER__PASSWORD")
    told.setenv("LABELSTREAM_BROKER__PASSWORD_FILE", str(tmp_path / "nothing"))
    with pytest.raises(Misconfigured, match=r"LABELSTREAM_BROKER__PASSWORD_FILE=.*nothing can't be read"):
        read_settings(ServiceSettings)


@pytest.mark.parametrize("name", sorted(GOOD))
def test_what_is_missing_is_named(told, name):
    told.delenv(name)
    with pytest.raises(Misconfigured, match=f"{name}: Field required"):
        read_settings(ServiceSettings)


def test_a_wrong_value_is_named_and_no_secret_is_shown(told):
    told.setenv("LABELSTREAM_BROKER__STREAM_PORT", "many")
    with pytest.raises(Misconfigured, match="LABELSTREAM_BROKER__STREAM_PORT") as caught:
        read_settings(ServiceSettings)
    assert "secret" not in str(caught.value)


def test_a_list_that_is_no_json_is_explained(told):
    told.setenv("LABELSTREAM_PROJECTS", "a,b")
    with pytest.raises(Misconfigured, match=r"LABELSTREAM_PROJECTS: .*write it as JSON"):
        read_settings(ServiceSettings)


def test_secrets_do_not_show_when_settings_are_printed(told):
    printed = repr(read_settings(ServiceSettings))
    assert "broker-secret" not in printed
    assert "store-secret" not in printed
