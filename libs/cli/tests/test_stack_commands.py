"""What `labelstream up` is told."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from labelstream.errors import Misconfigured
from labelstream_cli.main import app
from labelstream_cli.stack_commands import path_or_name


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "azaion").mkdir()
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_shipped_schema_is_taken_by_its_name_even_where_a_folder_has_the_same(here: Path) -> None:
    assert path_or_name("azaion") == "azaion"
    (here / "ours.json").write_text('{"name": "ours", "classes": ["car"]}')
    assert path_or_name("ours.json") == str(here / "ours.json")
    with pytest.raises(Misconfigured, match="Is a directory"):
        path_or_name("./azaion")


def test_a_schema_that_is_a_folder_is_refused_before_anything_starts(here: Path) -> None:
    result = CliRunner().invoke(app, ["up", "--schema", "./azaion", "--dir", str(here / "stack")])
    assert result.exit_code == 1
    assert not (here / "stack").exists()
