"""`labelstream up --observability`: only some stacks have a Prometheus."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from labelstream_cli.main import app
from labelstream_local.layout import Layout
from labelstream_local.process import StartFailed
from labelstream_local.prometheus import CHOSEN, Target, find_prometheus
from labelstream_local.record import Record, settle_ports
from labelstream_local.secrets_store import SecretStore
from labelstream_local.stack import Options, Stack


def remembered(directory: Path, on_request: tuple[str, ...]) -> Record:
    layout = Layout.at(directory)
    layout.create()
    record = Record(settle_ports(None), on_request=on_request)
    record.write(layout)
    return record


def test_its_url_is_printed(tmp_path: Path) -> None:
    record = remembered(tmp_path, ("prometheus",))
    done = CliRunner().invoke(app, ["url", "prometheus", "--dir", str(tmp_path)])
    assert done.output.strip() == f"http://127.0.0.1:{record.ports.prometheus}"


def test_a_stack_without_one_says_how_to_get_one(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    remembered(tmp_path, ())
    done = CliRunner().invoke(app, ["url", "prometheus", "--dir", str(tmp_path)])
    assert done.exit_code == 1
    assert "labelstream up --observability" in " ".join((done.output + capfd.readouterr().err).split())


def test_a_record_of_a_stack_that_knew_none_is_read_and_its_ports_are_chosen(tmp_path: Path) -> None:
    remembered(tmp_path, ())
    layout = Layout.at(tmp_path)
    known = json.loads(layout.record.read_text())
    del known["ports"]["prometheus"], known["ports"]["seaweedfs"]["metrics"]
    layout.record.write_text(json.dumps(known))
    older = Record.read(layout)
    assert older is not None
    assert (older.ports.prometheus, older.ports.seaweedfs.metrics) == (0, 0)
    settled = settle_ports(older.ports)
    assert settled.prometheus > 0
    assert settled.seaweedfs.metrics > 0
    assert settled.seaweedfs.s3 == older.ports.seaweedfs.s3


def test_it_watches_every_service_of_the_stack_and_both_servers(tmp_path: Path) -> None:
    record = Record(settle_ports(None), services=("trainer", "inference"))
    ports = record.ports
    assert Stack(Layout.at(tmp_path), record, SecretStore(tmp_path)).prometheus.targets == (
        Target("trainer", ports.services["trainer"]),
        Target("inference", ports.services["inference"]),
        Target("rabbitmq", ports.rabbitmq.prometheus),
        Target("seaweedfs", ports.seaweedfs.metrics),
    )


def test_it_is_one_of_the_servers_that_are_asked_for() -> None:
    assert Options(observability=True).on_request == ("prometheus",)
    assert Options(mlflow=True, observability=True).on_request == ("mlflow", "prometheus")
    assert Options().on_request == ()


def test_where_it_is_missing_one_reads_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(CHOSEN, str(tmp_path / "prometheus"))
    with pytest.raises(StartFailed, match="make prometheus"):
        find_prometheus()
    (tmp_path / "prometheus").touch()
    assert find_prometheus() == tmp_path / "prometheus"
