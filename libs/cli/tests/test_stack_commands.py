"""What `labelstream up` is told."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from labelstream.errors import Misconfigured
from labelstream_cli.main import app
from labelstream_cli.setting import variables_of
from labelstream_cli.stack_commands import path_or_name
from labelstream_local.layout import Layout
from labelstream_local.record import Record, merged, settle_ports
from labelstream_local.services import NAMES
from labelstream_local.stack import projects_of


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


def test_a_setting_becomes_the_variable_that_its_service_reads(here: Path) -> None:
    (here / "mine.yaml").write_text("name: mine")
    assert variables_of(["augmenter.recipe=mine.yaml", "trainer.dataset.ratios=70/15/15", "annotation-ingest.a=1"]) == {
        "augmenter": {"LABELSTREAM_AUGMENTER__RECIPE": str(here / "mine.yaml")},
        "trainer": {"LABELSTREAM_TRAINER__DATASET__RATIOS": "70/15/15"},
        "annotation-ingest": {"LABELSTREAM_INGEST__A": "1"},
    }


def test_what_every_service_has_can_be_told_to_one_or_to_all() -> None:
    endpoint = "http://127.0.0.1:4318/v1/traces"
    told = variables_of([f"all.tracing.endpoint={endpoint}", "exporter-work.log-level=debug"])
    assert set(told) == set(NAMES)
    assert told["inference"] == {"LABELSTREAM_TRACING__ENDPOINT": endpoint}
    assert told["exporter-work"] == {"LABELSTREAM_TRACING__ENDPOINT": endpoint, "LABELSTREAM_LOG_LEVEL": "debug"}


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("all.recipe=weather", "what all services have is log_level and tracing"),
        ("recipe=weather", "SERVICE.SETTING=VALUE"),
        ("augmenter.recipe", "SERVICE.SETTING=VALUE"),
        ("augmentor.recipe=weather", "there is no service 'augmentor'"),
        ("augmenter.recipe=lost.yaml", "there is no file lost.yaml"),
    ],
)
def test_what_is_no_setting_is_refused_before_anything_starts(here: Path, setting: str, said: str) -> None:
    result = CliRunner().invoke(app, ["up", "--set", setting, "--dir", str(here / "stack")])
    assert result.exit_code == 1
    assert said in result.output
    assert not (here / "stack").exists()


def test_the_projects_are_those_of_last_time(here: Path) -> None:
    assert projects_of(here / "stack") == ("default",)
    layout = Layout.at(here / "stack")
    layout.create()
    Record(settle_ports(None), projects=("cells", "roads")).write(layout)
    assert projects_of(here / "stack") == ("cells", "roads")


def test_settings_are_kept_until_they_are_set_again_or_to_nothing() -> None:
    known = {"augmenter": {"A": "1", "B": "2"}, "trainer": {"C": "3"}}
    assert merged(known, {}) == known
    assert merged(known, {"augmenter": {"A": "4"}, "trainer": {"C": ""}}) == {"augmenter": {"A": "4", "B": "2"}}
