"""Giving classes the names that the project has for them."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from labelstream.classes import ClassSchema
from labelstream.errors import Misconfigured
from labelstream_cli.importers import ClassMap, Imported, ImportedFolder, NamedBox, Options, UnknownClass, read_folder

SCHEMA = ClassSchema(name="ours", classes=("Vehicle", "Person", "Tree"))


def folder(*classes: str, ids: dict[int, str] | None = None) -> ImportedFolder:
    """A folder with one image that has a box of each class."""
    boxes = tuple(NamedBox(name, 0.5, 0.5, 0.1, 0.1) for name in classes)
    image = Imported("a", Path("a.jpg"), "a", None, boxes)
    return ImportedFolder("YOLO", tuple(dict.fromkeys(classes)), (image,), (), ids or dict(enumerate(classes)))


def names(mapped: ImportedFolder) -> list[str]:
    return [box.name for image in mapped for box in image.boxes]


def test_names_are_matched_whatever_their_case_and_take_the_spelling_of_the_schema() -> None:
    mapped = ClassMap.of(None, ["CAR=vehicle"]).apply(folder("car", "PERSON", "tree"), SCHEMA)

    assert names(mapped.folder) == ["Vehicle", "Person", "Tree"]
    assert mapped.folder.classes == ("Vehicle", "Person", "Tree")
    assert mapped.renamed == {"car": "Vehicle", "PERSON": "Person", "tree": "Tree"}
    assert mapped.unknown == ()


def test_boxes_of_a_dropped_class_are_left_out_and_each_is_reported() -> None:
    mapped = ClassMap.of(None, ["sofa="]).apply(folder("sofa", "person", "sofa"), SCHEMA)

    assert names(mapped.folder) == ["Person"]
    assert mapped.dropped == {"sofa": 2}
    assert [(one.name, one.kind) for one in mapped.folder.problems] == [("a", "class dropped by the map")] * 2


def test_unknown_classes_are_named_with_their_boxes_and_what_they_resemble() -> None:
    mapped = ClassMap().apply(folder("vehicel", "zebra", "vehicel", "person"), SCHEMA)

    assert mapped.unknown == (
        UnknownClass("vehicel", "vehicel", 2, ("Vehicle",)),
        UnknownClass("zebra", "zebra", 1, ()),
    )


def test_a_target_that_the_schema_lacks_is_told_with_the_class_that_it_was_for() -> None:
    mapped = ClassMap.of(None, ["car=Vehicel"]).apply(folder("car"), SCHEMA)

    assert mapped.unknown == (UnknownClass("Vehicel", "car", 1, ("Vehicle",)),)


def test_a_class_that_no_box_has_need_not_be_known() -> None:
    source = folder("person")
    spare = ImportedFolder(source.form, ("person", "zebra"), source.images, (), {0: "person", 1: "zebra"})

    assert ClassMap().apply(spare, SCHEMA).unknown == ()


def test_without_a_schema_names_stay_as_they_are() -> None:
    mapped = ClassMap.of(None, ["car=Auto"]).apply(folder("car", "ZEBRA"), None)

    assert (names(mapped.folder), mapped.unknown) == (["Auto", "ZEBRA"], ())


def test_a_class_can_be_named_by_its_number_in_the_source() -> None:
    mapped = ClassMap.of(None, ["7=Person"]).apply(folder("homme", ids={7: "homme"}), SCHEMA)

    assert names(mapped.folder) == ["Person"]


def test_rules_for_classes_that_are_not_there_are_told() -> None:
    mapped = ClassMap.of(None, ["caar=Vehicle", "person=Person"]).apply(folder("car", "person"), SCHEMA)

    assert mapped.unused == ("caar",)


@pytest.mark.parametrize(
    ("suffix", "text"),
    [
        (".yaml", "car: Vehicle\n1: Person\nsofa:\n"),
        (".json", json.dumps({"car": "Vehicle", "1": "Person", "sofa": None})),
    ],
)
def test_a_class_map_file_may_be_yaml_or_json_and_pairs_go_before_it(tmp_path: Path, suffix: str, text: str) -> None:
    path = tmp_path / f"map{suffix}"
    path.write_text(text)

    mapped = ClassMap.of(path, ["car=Tree"]).apply(folder("car", "homme", "sofa"), SCHEMA)

    assert names(mapped.folder) == ["Tree", "Person"]


@pytest.mark.parametrize(
    "text", ["- car\n", "car: [a]\n", "car: {a\n", "car: 3\n"], ids=["list", "lists", "torn", "id"]
)
def test_a_class_map_of_another_shape_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "map.yaml"
    path.write_text(text)

    with pytest.raises(Misconfigured, match="the class map"):
        ClassMap.of(path)


@pytest.mark.parametrize("pair", ["car", "=Vehicle"])
def test_a_pair_of_another_shape_is_refused(pair: str) -> None:
    with pytest.raises(Misconfigured, match="SOURCE=TARGET"):
        ClassMap.of(None, [pair])


def test_a_map_of_numbers_reads_a_yolo_folder_that_does_not_name_its_classes(
    tmp_path: Path, make_image: Callable[[Path], object]
) -> None:
    make_image(tmp_path / "images/a.jpg")
    (tmp_path / "labels").mkdir()
    (tmp_path / "labels/a.txt").write_text("3 0.5 0.5 0.2 0.4\n")
    mapping = ClassMap.of(None, ["3=Person"])

    read = read_folder(tmp_path, options=Options(numbered=mapping.numbered))

    assert names(mapping.apply(read, SCHEMA).folder) == ["Person"]
