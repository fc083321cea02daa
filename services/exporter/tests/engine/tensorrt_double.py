"""The calls of TensorRT 11's Python API that building an engine makes, as NVIDIA documents them; it computes nothing.

A graph of no bytes can't be read, and one that says it is too large gives no engine.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path

Shape = tuple[int, ...]


class BuilderFlag(Enum):
    TF32 = "tf32"


class Logger:
    WARNING = 2

    def __init__(self, least: int) -> None:
        assert least == self.WARNING


@dataclass
class Network:
    content: bytes = b""


@dataclass
class Profile:
    shapes: dict[str, tuple[Shape, Shape, Shape]] = field(default_factory=dict)

    def set_shape(self, name: str, least: Shape, best: Shape, most: Shape) -> None:
        assert all(a <= b <= c for a, b, c in zip(least, best, most, strict=True))
        self.shapes[name] = (least, best, most)


@dataclass
class Config:
    flags: set[BuilderFlag] = field(default_factory=lambda: {BuilderFlag.TF32})  # enabled by default
    profiles: list[Profile] = field(default_factory=list)

    def clear_flag(self, flag: BuilderFlag) -> None:
        self.flags.remove(flag)

    def add_optimization_profile(self, profile: Profile) -> int:
        assert profile.shapes
        self.profiles.append(profile)
        return len(self.profiles) - 1


@dataclass
class ParserError:
    node: int

    def desc(self) -> str:
        return f"In node {self.node}: unsupported"


@dataclass
class Parser:
    network: Network
    logger: Logger
    errors: list[ParserError] = field(default_factory=list)

    @property
    def num_errors(self) -> int:
        return len(self.errors)

    def get_error(self, number: int) -> ParserError:
        return self.errors[number]

    def parse_from_file(self, path: str) -> bool:
        self.network.content = Path(path).read_bytes()
        self.errors = [] if self.network.content else [ParserError(7), ParserError(9)]
        return not self.errors


@dataclass
class Builder:
    configs: list[Config]

    def create_network(self) -> Network:
        return Network()

    def create_builder_config(self) -> Config:
        self.configs.append(Config())
        return self.configs[-1]

    def create_optimization_profile(self) -> Profile:
        return Profile()

    def build_serialized_network(self, network: Network, config: Config) -> memoryview | None:
        assert config.profiles  # an input whose batch is free needs one
        if network.content == b"too large":
            return None
        return memoryview(b"an engine of " + network.content)


class DocumentedTensorRt:
    """The module `tensorrt`."""

    Logger = Logger
    BuilderFlag = BuilderFlag
    OnnxParser = Parser

    def __init__(self, version: str = "11.4.0") -> None:
        self.__version__ = version
        self.configs: list[Config] = []

    def Builder(self, _logger: Logger) -> Builder:  # noqa: N802  # TensorRT's own name
        return Builder(self.configs)
