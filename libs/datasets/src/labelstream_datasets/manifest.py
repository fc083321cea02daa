"""The manifest: every sample of a dataset, as a table. A million rows are common, so it stays in columns."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby, islice
from operator import attrgetter
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from labelstream.values import Split
from labelstream_datasets.building.index import StoredVariant

CHUNK = 1 << 16  # rows that are handled at once


class Row(NamedTuple):
    """One sample: what it is (the first five fields name the dataset) and where it lies."""

    image: str  # digest of the original image
    labels: str  # digest of the original labels
    recipe: str  # digest of the augmentation recipe
    variant: int  # 0 is the original
    split: Split
    name: str  # of the annotation
    medium: str
    archive: str  # key of the archive
    archive_sha256: str
    archive_bytes: int
    path: str  # the image's member of the archive; its labels lie beside it as .txt
    boxes: int  # in the archive, before the dataset's label rules
    sha256: str  # of the image as stored
    phash: str | None = None  # of the original; null where nobody said it


Sample = StoredVariant | Row
OWN = ("variant", "path", "boxes", "sha256")
IDENTITY = ("image", "labels", "recipe", "variant", "split")
_LATER = ("phash",)  # manifests from before it are read as well
_SHARED = pa.dictionary(pa.int32(), pa.string())  # a value that many rows have
_TYPES = {
    "variant": pa.int16(),
    "archive_bytes": pa.int64(),
    "path": pa.string(),
    "boxes": pa.int32(),
    "sha256": pa.string(),
}
SCHEMA = pa.schema([(field, _TYPES.get(field, _SHARED)) for field in Row._fields])
_PLAIN = pa.schema([(field.name, pa.string() if field.type == _SHARED else field.type) for field in SCHEMA])


class Manifest:
    """The samples of one dataset, sorted by what they are."""

    def __init__(self, table: pa.Table) -> None:
        """Take a table of SCHEMA, in any order."""
        table = table.unify_dictionaries()
        order = pc.sort_indices(_comparable(table), sort_keys=[(field, "ascending") for field in IDENTITY])
        self.table = table.take(order)

    @classmethod
    def of(cls, rows: Iterable[Row]) -> Manifest:
        """Collect rows."""
        return cls.of_images((row, (row,)) for row in rows)

    @classmethod
    def of_images(cls, images: Iterable[tuple[Row, Sequence[Sample]]]) -> Manifest:
        """Collect (any row of an image, its samples): what the samples share is looked at once for all of them."""
        left = iter(images)
        batches: list[pa.RecordBatch] = []
        while chunk := list(islice(left, CHUNK // 8)):
            batches.append(_batch(chunk))
        return cls(pa.Table.from_batches(batches, schema=SCHEMA))

    def __len__(self) -> int:
        return int(self.table.num_rows)

    @property
    def id(self) -> str:
        """The dataset's id: the digest of its samples' identities, sorted."""
        digest = hashlib.sha256()
        for batch in self.table.select(IDENTITY).to_batches(max_chunksize=CHUNK):
            text = [batch.column(field).cast(pa.string()) for field in IDENTITY]
            for line in pc.binary_join_element_wise(*text, " ").to_pylist():
                digest.update(f"{line}\n".encode())
        return digest.hexdigest()

    def rows(self, splits: Sequence[Split] = ("train", "val", "test")) -> Iterator[Row]:
        """Return the rows of some splits, in the manifest's order."""
        return _rows(self.only(splits).table)

    def only(self, splits: Sequence[Split]) -> Manifest:
        """Return the part of some splits."""
        wanted = pc.is_in(self.table["split"].cast(pa.string()), value_set=pa.array(list(splits), pa.string()))
        return Manifest(self.table.filter(wanted))

    def by_archive(self) -> Iterator[list[Row]]:
        """Return the rows of one archive after the other."""
        order = pc.sort_indices(_ranks(self.table["archive"]))
        rows = _rows(self.table.take(order))
        for _, group in groupby(rows, key=lambda row: row.archive):
            yield list(group)

    def to_parquet(self) -> bytes:
        """Return the manifest as a Parquet file."""
        sink = io.BytesIO()
        pq.write_table(self.table, sink, compression="zstd", row_group_size=CHUNK * 4)
        return sink.getvalue()

    @classmethod
    def from_parquet(cls, data: bytes) -> Manifest:
        """Read a manifest; columns that are not known here are passed over, those of later times may be missing."""
        there = set(pq.read_schema(io.BytesIO(data)).names)
        wanted = [field for field in Row._fields if field in there or field not in _LATER]
        shared = [field for field in _dictionary_fields() if field in wanted]
        table = pq.read_table(io.BytesIO(data), columns=wanted, read_dictionary=shared)
        for field in _LATER:
            if field not in there:
                table = table.append_column(field, pa.nulls(len(table), SCHEMA.field(field).type))
        return cls(table.cast(SCHEMA))


def _batch(images: list[tuple[Row, Sequence[Sample]]]) -> pa.RecordBatch:
    samples = [sample for _, some in images for sample in some]
    image_of = pa.array(np.repeat(np.arange(len(images)), [len(some) for _, some in images]))
    shared = dict(zip(Row._fields, zip(*(row for row, _ in images), strict=True), strict=True))
    own = attrgetter(*OWN)
    owned = dict(zip(OWN, zip(*map(own, samples), strict=True), strict=True)) if samples else dict.fromkeys(OWN, ())
    columns = [
        pa.array(owned[field.name], field.type)
        if field.name in OWN
        else pa.array(shared[field.name], field.type).take(image_of)
        for field in SCHEMA
    ]
    return pa.RecordBatch.from_arrays(columns, schema=SCHEMA)


def _rows(table: pa.Table) -> Iterator[Row]:
    for batch in table.to_batches(max_chunksize=CHUNK):
        plain = batch.cast(_PLAIN)  # a dictionary's values are fetched one by one otherwise
        yield from map(Row, *(plain.column(field).to_pylist() for field in Row._fields))


def _dictionary_fields() -> list[str]:
    return [field.name for field in SCHEMA if field.type == _SHARED]


def _comparable(table: pa.Table) -> pa.Table:
    """Return the identity columns with each text replaced by its rank: sorts fast, and pyarrow can."""
    return pa.table([_ranks(table[field]) for field in IDENTITY], names=list(IDENTITY))


def _ranks(column: pa.ChunkedArray) -> pa.Array:
    values = column.combine_chunks()
    if not pa.types.is_dictionary(values.type):
        return values
    return pc.rank(values.dictionary, tiebreaker="dense").take(values.indices)
