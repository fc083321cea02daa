"""Parts of a bundle that were tampered with on their way are refused, each kind with its own reason."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from labelstream import keys
from labelstream.blobs.memory import MemoryBlobs
from labelstream.bundle import MANIFEST, REPORT, SIGNATURE
from labelstream.classes import ClassSchema
from labelstream.errors import Rejected, Unavailable
from labelstream.protection.assembling import assemble
from labelstream.protection.bundling import WrittenBundle
from labelstream.protection.verifying import verify_bundle

SEALED, GOLDEN = "onnx-fp32.age", "golden.age"
CLASSES = ClassSchema(name="vehicles", classes=("car", "truck"))
WEIGHTS = os.urandom(150_000)  # three chunks: longer than a small part


@dataclass(frozen=True)
class Parts:
    """A model in parts: what lies in the model bucket, and what a grant brings."""

    bundle: WrittenBundle
    store: MemoryBlobs
    small: dict[str, bytes]

    def big_key(self, name: str = SEALED) -> str:
        return keys.big_part("default", self.bundle.manifest.model, name)

    async def big(self, name: str = SEALED) -> bytes:
        return (await self.store.get(self.big_key(name))).data


async def published(bundle: WrittenBundle, tmp_path: Path) -> Parts:
    store, model = MemoryBlobs(), bundle.manifest.model
    for name in (MANIFEST, SIGNATURE, REPORT):
        await store.put(keys.model("default", model, name), (bundle.directory / name).read_bytes())
    for name, path in bundle.write_big_parts(tmp_path / f"{model}-big").items():
        await store.put(keys.big_part("default", model, name), path.read_bytes())
    return Parts(bundle, store, dict(bundle.key.small_parts))


async def arrive(parts: Parts, tmp_path: Path) -> Path:
    directory = tmp_path / "device"
    directory.mkdir()
    content = (await parts.store.get(keys.model("default", parts.bundle.manifest.model, MANIFEST))).data
    await assemble(parts.store, content, parts.small, directory)
    return directory


async def test_parts_that_belong_together_are_a_bundle(reported, key, tmp_path: Path):
    parts = await published(reported("m1", WEIGHTS), tmp_path)
    verified = verify_bundle(await arrive(parts, tmp_path), [key.public], classes=CLASSES)
    assert verified.open(parts.bundle.key.identity).artifacts == {"onnx-fp32": WEIGHTS}
    verified.prove(parts.bundle.key.identity, parts.bundle.manifest.golden)


async def _no_small_part(one: Parts, _: Parts) -> Parts:
    return replace(one, small={GOLDEN: one.small[GOLDEN]})


async def _foreign_small_part(one: Parts, other: Parts) -> Parts:
    return replace(one, small={**one.small, SEALED: other.small[SEALED]})


async def _small_part_cut_off(one: Parts, _: Parts) -> Parts:
    return replace(one, small={**one.small, SEALED: one.small[SEALED][:-1]})


async def _foreign_big_part(one: Parts, other: Parts) -> Parts:
    await one.store.put(one.big_key(), await other.big())
    return one


async def _swapped(one: Parts, other: Parts) -> Parts:
    return replace(await _foreign_big_part(one, other), small=other.small)


async def _big_part_flipped(one: Parts, _: Parts) -> Parts:
    big = bytearray(await one.big())
    big[len(big) // 2] ^= 1
    await one.store.put(one.big_key(), bytes(big))
    return one


async def _big_part_cut_off(one: Parts, _: Parts) -> Parts:
    await one.store.put(one.big_key(), (await one.big())[:-1])
    return one


async def _big_part_empty(one: Parts, _: Parts) -> Parts:
    await one.store.put(one.big_key(), b"")
    return one


@pytest.mark.parametrize(
    ("tamper", "rule"),
    [
        (_no_small_part, "bundle.no_small_part"),
        (_foreign_small_part, "bundle.small_part_differs"),
        (_small_part_cut_off, "bundle.small_part_differs"),
        (_foreign_big_part, "bundle.big_part_differs"),
        (_big_part_flipped, "bundle.big_part_differs"),
        (_swapped, "bundle.small_part_differs"),
        (_big_part_cut_off, "bundle.truncated"),
        (_big_part_empty, "bundle.truncated"),
    ],
)
async def test_parts_are_refused_with(reported, tmp_path: Path, tamper, rule: str):
    one = await published(reported("m1", WEIGHTS), tmp_path)
    other = await published(reported("m2", os.urandom(len(WEIGHTS))), tmp_path)
    with pytest.raises(Rejected) as refused:
        await arrive(await tamper(one, other), tmp_path)
    assert refused.value.rule == rule
    assert SEALED in refused.value.reason


@pytest.mark.parametrize("name", [SIGNATURE, REPORT, f"{SEALED}.big"])
async def test_what_is_not_in_the_bucket_is_waited_for(reported, tmp_path: Path, name: str):
    parts = await published(reported("m1", WEIGHTS), tmp_path)
    await parts.store.delete(keys.model("default", "m1", name))
    with pytest.raises(Unavailable, match="model bucket"):
        await arrive(parts, tmp_path)


@pytest.mark.parametrize("files", [{"../x": "0" * 64}, {MANIFEST: "0" * 64}, {SEALED: "0" * 64}, {"/etc/x": "0" * 64}])
async def test_a_manifest_that_would_write_elsewhere_or_twice_is_refused_before_anything_is_fetched(
    reported, tmp_path: Path, files: dict[str, str]
):
    parts = await published(reported("m1", WEIGHTS), tmp_path)
    content = json.dumps({**json.loads(parts.bundle.manifest.model_dump_json()), "files": files}).encode()
    with pytest.raises(Rejected, match=r"bundle\.bad_manifest"):
        await assemble(MemoryBlobs(away="nothing may be fetched"), content, parts.small, tmp_path / "device")
