"""How each form lays samples out."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from labelstream.errors import Misconfigured
from labelstream.labels import yolo_lines
from labelstream.schemas import load_named_schema
from labelstream.values import Split
from labelstream_datasets.description import DatasetDescription
from labelstream_datasets.exports.pixels import coco_box, corner_texts
from labelstream_datasets.exports.samples import Sample
from labelstream_datasets.exports.targets import Place
from labelstream_datasets.layout.data_yaml import data_yaml


class Writer(Protocol):
    """Writes one form."""

    def add(self, sample: Sample) -> list[str]:
        """Write a sample; return the file names that its image has in this form."""
        ...

    def finish(self) -> None:
        """Write what comes last."""
        ...


@dataclass
class Yolo:
    """A folder that ultralytics and our importer read, wherever it lies."""

    place: Place
    said: DatasetDescription
    splits: Sequence[Split]
    _there: set[Split] = field(default_factory=set)

    def add(self, sample: Sample) -> list[str]:
        """Write image and labels."""
        self._there.add(sample.split)
        self.place.copy(f"{sample.split}/images/{sample.image.name}", sample.image)
        self.place.write(f"{sample.split}/labels/{sample.stem}.txt", sample.lines)
        return [sample.image.name]

    def finish(self) -> None:
        """Write data.yaml for the splits that have images; without `path`, folders are looked for beside it."""
        there = [split for split in self.splits if split in self._there] or self.splits
        self.place.write("data.yaml", data_yaml(there, self.said.class_schema.classes))


@dataclass
class Coco:
    """COCO: boxes in pixels with four decimals; a category's id is the class's plus 1.

    An image's id is its place in the dataset, whichever splits are exported; an annotation's is its place in the
    export.
    """

    place: Place
    said: DatasetDescription
    splits: Sequence[Split]
    images: dict[Split, list[dict[str, Any]]] = field(default_factory=dict)
    annotations: dict[Split, list[dict[str, Any]]] = field(default_factory=dict)
    _boxes: int = 0

    def add(self, sample: Sample) -> list[str]:
        """Write the image, and keep its labels."""
        name, (width, height, _) = sample.image.name, sample.size
        self.place.copy(f"images/{sample.split}/{name}", sample.image)
        image = {"id": sample.number, "file_name": name, "width": width, "height": height, "license": 1}
        self.images.setdefault(sample.split, []).append(image)
        boxes = self.annotations.setdefault(sample.split, [])
        for box in sample.boxes:
            self._boxes += 1
            corners, area = coco_box(sample.corners(box))
            boxes.append(
                {
                    "id": self._boxes,
                    "image_id": sample.number,
                    "category_id": box.class_id + 1,
                    "bbox": corners,
                    "area": area,
                    "iscrowd": 0,
                    "segmentation": [],
                }
            )
        return [name]

    def finish(self) -> None:
        """Write a JSON file for each split."""
        schema = self.said.class_schema
        categories = [{"id": n, "name": name, "supercategory": schema.name} for n, name in enumerate(schema.classes, 1)]
        shared = {
            "info": {"description": f"{self.said.project}: dataset {self.said.id}", "version": self.said.id},
            "licenses": [{"id": 1, "name": "not stated", "url": ""}],
            "categories": categories,
        }
        for split in self.splits:
            content = {**shared, "images": self.images.get(split, []), "annotations": self.annotations.get(split, [])}
            self.place.write(f"annotations/instances_{split}.json", json.dumps(content, ensure_ascii=False))


@dataclass
class Voc:
    """PASCAL VOC: corners in pixels, 0 at the image's left and upper edge, its size at the other edges.

    A corner within 0.01 of a whole pixel is written as that, others with three decimals. The first VOC devkit counted
    pixels from 1; today's tools write edges from 0, as this does and our importer reads.
    """

    place: Place
    said: DatasetDescription
    splits: Sequence[Split]
    names: dict[Split, list[str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in self.said.class_schema.classes:
            if not name.isprintable() or name != name.strip():
                raise Misconfigured(f"the class {name!r} can't be named in PASCAL VOC's XML: take another form")

    def add(self, sample: Sample) -> list[str]:
        """Write the image, and its labels as XML."""
        self.place.copy(f"JPEGImages/{sample.image.name}", sample.image)
        self.place.write(f"Annotations/{sample.stem}.xml", self._xml(sample))
        self.names.setdefault(sample.split, []).append(sample.stem)
        return [sample.image.name]

    def finish(self) -> None:
        """Write the lists of the splits, and the classes, also those that nothing shows."""
        lists: dict[str, list[str]] = {split: self.names.get(split, []) for split in self.splits}
        lists["trainval"] = sorted([*self.names.get("train", []), *self.names.get("val", [])])
        for name, stems in lists.items():
            self.place.write(f"ImageSets/Main/{name}.txt", "".join(f"{stem}\n" for stem in stems))
        self.place.write("classes.txt", "".join(f"{name}\n" for name in self.said.class_schema.classes))

    def _xml(self, sample: Sample) -> str:
        root = ET.Element("annotation")
        for tag, text in (("folder", "JPEGImages"), ("filename", sample.image.name), ("segmented", "0")):
            ET.SubElement(root, tag).text = text
        ET.SubElement(ET.SubElement(root, "source"), "database").text = f"{self.said.project} {self.said.id}"
        size = ET.SubElement(root, "size")
        for tag, number in zip(("width", "height", "depth"), sample.size, strict=True):
            ET.SubElement(size, tag).text = str(number)
        for box in sample.boxes:
            thing = ET.SubElement(root, "object")
            name = self.said.class_schema.classes[box.class_id]
            for tag, text in (("name", name), ("pose", "Unspecified"), ("truncated", "0"), ("difficult", "0")):
                ET.SubElement(thing, tag).text = text
            corners = ET.SubElement(thing, "bndbox")
            for tag, text in zip(("xmin", "ymin", "xmax", "ymax"), corner_texts(sample.corners(box)), strict=True):
                ET.SubElement(corners, tag).text = text
        ET.indent(root)
        return ET.tostring(root, encoding="unicode") + "\n"


@dataclass
class Azaion:
    """Azaion's folders: originals in `data`; where variants are wanted, all samples again in `data-processed`.

    Class ids are those of the Azaion schema, by name. `splits` holds lists, which the folders themselves can't tell.
    """

    place: Place
    said: DatasetDescription
    splits: Sequence[Split]
    names: dict[Split, list[str]] = field(default_factory=dict)
    with_variants: bool = False

    def __post_init__(self) -> None:
        self.schema = load_named_schema("azaion")
        found = [self.schema.id_of(name) for name in self.said.class_schema.classes]
        self.ids = tuple(number for number in found if number is not None)
        if len(self.ids) < len(found):
            strangers = [name for name in self.said.class_schema.classes if self.schema.id_of(name) is None]
            raise Misconfigured(
                f"Azaion has no class {', '.join(map(repr, strangers[:5]))}: build the dataset with its classes merged "
                "into Azaion's (`--merge`), or take another form"
            )

    def add(self, sample: Sample) -> list[str]:
        """Write image and labels; an original under the name that Azaion gives it, without a number."""
        boxes = [box.model_copy(update={"class_id": self.ids[box.class_id]}) for box in sample.boxes]
        stem = sample.stem if sample.variant else sample.stem.removesuffix("_0")
        name = f"{stem}{sample.image.suffix}"
        if sample.variant == 0:
            self.names.setdefault(sample.split, []).append(stem)
        for place in [*(["data"] if sample.variant == 0 else []), *(["data-processed"] if self.with_variants else [])]:
            self.place.copy(f"{place}/images/{name}", sample.image)
            self.place.write(f"{place}/labels/{stem}.txt", yolo_lines(boxes))
        return [name]

    def finish(self) -> None:
        """Write the classes, and the lists of the splits."""
        classes = [{"Id": number, "Name": name} for number, name in enumerate(self.schema.classes)]
        self.place.write("classes.json", json.dumps(classes, ensure_ascii=False, indent=1))
        for split in self.splits:
            self.place.write(f"splits/{split}.txt", "".join(f"{stem}\n" for stem in self.names.get(split, [])))
