"""Which alerts count: those of the right program, once they are due."""

from __future__ import annotations

from pathlib import Path

from chaos.alarms import Alarms
from chaos.outages import EXPECTED, Expected

from labelstream_local.prometheus import ALERTS, Alert, PrometheusServer

DOWN = Expected("ServiceDown", "augmenter")


def alarms(directory: Path) -> Alarms:
    return Alarms(PrometheusServer(directory, port=1))


def alert(name: str, program: str, state: str = "firing") -> Alert:
    return Alert(name, state, {"alertname": name, "program": program}, "")


def test_an_alert_that_fired_before_it_was_due_or_about_another_program_does_not_count(tmp_path: Path) -> None:
    seen = alarms(tmp_path)
    seen.take([alert("ServiceDown", "augmenter")], at=10.0)
    assert not seen.has_fired(DOWN)
    seen.expect([DOWN], since=20.0)
    seen.take([alert("ServiceDown", "trainer"), alert("ServiceDown", "augmenter", "pending")], at=30.0)
    assert not seen.has_fired(DOWN)
    seen.take([alert("ServiceDown", "augmenter")], at=40.0)
    assert seen.has_fired(DOWN)
    assert seen.fired == {"ServiceDown": 10.0}


def test_what_did_not_fire_is_said_and_so_is_what_was_never_due(tmp_path: Path) -> None:
    seen = alarms(tmp_path)
    seen.expect(EXPECTED[1:], since=20.0)
    seen.take([alert(one.name, one.program or "any") for one in EXPECTED[2:]], at=30.0)
    first, second = EXPECTED[:2]
    assert list(seen.silent()) == [
        f"the alert {first.name} of {first.program} did not fire: it was never due",
        f"the alert {second.name} of {second.program} did not fire",
    ]


def test_every_expected_alert_is_one_that_is_shipped() -> None:
    shipped = "".join(file.read_text() for file in ALERTS.glob("*.yml"))
    assert len(EXPECTED) == 5
    for one in EXPECTED:
        assert f"- alert: {one.name}\n" in shipped
