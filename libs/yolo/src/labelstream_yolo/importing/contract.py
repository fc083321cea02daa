"""What goes into the reading of foreign weights and what comes out."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from labelstream.values import Sha256, Value

WEIGHTS, ARCHITECTURE = "weights.safetensors", "architecture.json"
SUFFIXES = (".pt", ".safetensors")


class ImportSpec(Value):
    """A file to read."""

    file: Path = Field(description="ultralytics' .pt, or .safetensors with architecture.json beside it")
    out_dir: Path


class Imported(Value):
    """A detector that was found in a file, written anew without pickle."""

    id: str = Field(description="digest of the weights and the network")
    weights: Path
    architecture: Path
    names: tuple[str, ...]
    image_size: int
    parameters: int
    source_sha256: Sha256
    confined: bool = Field(description="whether the reading process could be kept from the network")
