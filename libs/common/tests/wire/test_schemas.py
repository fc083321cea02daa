from __future__ import annotations

from pathlib import Path

import pytest

from labelstream.classes import load_schema
from labelstream.errors import Misconfigured
from labelstream.producer import broker_settings
from labelstream.schemas import load_named_schema, names


def test_every_shipped_schema_loads_under_its_name() -> None:
    assert names() == ["azaion", "example"]
    assert [load_named_schema(name).name for name in names()] == names()


def test_the_azaion_schema_has_17_bases_in_three_weathers_on_80_slots() -> None:
    schema = load_named_schema("azaion")
    assert len(schema.classes) == 80
    for base, slot in (("ArmorVehicle", 0), ("Truck", 1), ("Caponier", 16)):
        assert schema.id_of(base) == slot
        assert schema.id_of(f"{base}(Wint)") == slot + 20
        assert schema.id_of(f"{base}(Night)") == slot + 40
    unused = [name for name in schema.classes if name.startswith("Class-")]
    assert len(unused) == 80 - 3 * 17
    assert schema.classes[17] == "Class-17"


def test_ones_own_schema_is_given_by_path(tmp_path: Path) -> None:
    path = tmp_path / "mine.json"
    path.write_text('{"name": "mine", "classes": ["one"]}')
    assert load_named_schema(str(path)) == load_schema(path)


def test_a_schema_that_is_not_there_is_told_which_ones_are() -> None:
    with pytest.raises(Misconfigured, match="azaion, example"):
        load_named_schema("unheard-of")
    with pytest.raises(Misconfigured, match="can't be read"):
        load_named_schema("/nowhere/schema.json")


def test_a_brokers_address_is_read() -> None:
    settings = broker_settings("rabbitmq-stream://me:p%40ss@example.org:5999/my%2Fhost")
    assert (settings.host, settings.stream_port, settings.vhost) == ("example.org", 5999, "my/host")
    assert (settings.username, settings.password.get_secret_value()) == ("me", "p@ss")
    assert broker_settings("rabbitmq-stream://me:x@h").vhost == "/"


@pytest.mark.parametrize("url", ["amqp://me:secret@h", "rabbitmq-stream://h", "secret"])
def test_a_wrong_address_is_refused_without_showing_it(url: str) -> None:
    with pytest.raises(Misconfigured) as caught:
        broker_settings(url)
    assert "secret" not in str(caught.value)
