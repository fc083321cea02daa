"""`labelstream url mlflow`, which only some stacks have."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from labelstream_cli.main import app
from labelstream_local.layout import Layout
from labelstream_local.record import Record, settle_ports


def _remembered(directory: Path, on_request: tuple[str, ...]) -> Record:
    layout = Layout.at(directory)
    layout.create()
    record = Record(settle_ports(None), on_request=on_request)
    record.write(layout)
    return record


def test_the_url_of_mlflow_is_printed(tmp_path: Path):
    record = _remembered(tmp_path, ("mlflow",))
    done = CliRunner().invoke(app, ["url", "mlflow", "--dir", str(tmp_path)])
    assert done.output.strip() == f"http://127.0.0.1:{record.ports.mlflow}"


def test_a_stack_without_mlflow_says_how_to_get_one(tmp_path: Path, capfd: pytest.CaptureFixture[str]):
    _remembered(tmp_path, ())
    done = CliRunner().invoke(app, ["url", "mlflow", "--dir", str(tmp_path)])
    assert done.exit_code == 1
    assert "labelstream up --mlflow" in " ".join((done.output + capfd.readouterr().err).split())


def test_a_record_of_a_stack_that_knew_no_mlflow_is_read(tmp_path: Path):
    record = _remembered(tmp_path, ())
    layout = Layout.at(tmp_path)
    text = layout.record.read_text().replace(f',\n  "mlflow": {record.ports.mlflow}', "").replace("on_request", "else")
    assert '"mlflow"' not in text
    layout.record.write_text(text)
    known = Record.read(layout)
    assert known is not None
    assert (known.ports.mlflow, known.on_request) == (0, ())
    assert settle_ports(known.ports).mlflow > 0
