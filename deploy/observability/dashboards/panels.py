"""What a dashboard is: rows of panels, each with what it asks Prometheus and what it tells a reader."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto


class Shape(Enum):
    """How a panel draws its answer."""

    LINES = auto()  # over time
    STACK = auto()  # over time, one on the other
    NUMBER = auto()  # the newest value
    NAME = auto()  # the names of the series that there are


@dataclass(frozen=True)
class Query:
    """A question in PromQL, and how its series are called."""

    expr: str
    legend: str


@dataclass(frozen=True)
class Limits:
    """From where on a value is worth a look, and from where on it is bad."""

    look: float
    bad: float


@dataclass(frozen=True)
class Panel:
    """A part of a dashboard; 24 columns make a line."""

    title: str
    description: str
    unit: str  # as Grafana calls it
    queries: tuple[Query, ...]
    shape: Shape = Shape.LINES
    width: int = 8
    height: int = 7
    limits: Limits | None = None

    def __post_init__(self) -> None:
        if not self.description.endswith("."):
            raise ValueError(f"the panel {self.title} has no description that is a sentence")


@dataclass(frozen=True)
class Row:
    """Panels under a title."""

    title: str
    panels: tuple[Panel, ...]


@dataclass(frozen=True)
class Variable:
    """What a reader may choose at the top; everything, at first."""

    name: str
    label: str
    values: str  # a question to Prometheus


@dataclass(frozen=True)
class Dashboard:
    """One page."""

    name: str  # of its file, and in its address
    title: str
    description: str
    variables: tuple[Variable, ...]
    rows: tuple[Row, ...]


# Of all projects that the trainer knows, which is all that are configured.
PROJECT = Variable("project", "Project", "label_values(labelstream_trainer_jobs, project)")


def program(pattern: str) -> Variable:
    """Return the choice among the programs that a pattern fits."""
    return Variable("program", "Program", f'label_values(up{{program=~"{pattern}"}}, program)')


def lines(
    title: str, description: str, unit: str, *queries: Query, width: int = 8, limits: Limits | None = None
) -> Panel:
    """Return a panel of lines over time."""
    return Panel(title, description, unit, queries, width=width, limits=limits)


def stack(title: str, description: str, unit: str, *queries: Query, width: int = 8) -> Panel:
    """Return a panel of areas over time, one on the other."""
    return Panel(title, description, unit, queries, Shape.STACK, width)


def number(
    title: str, description: str, unit: str, *queries: Query, width: int = 4, limits: Limits | None = None
) -> Panel:
    """Return a panel of one large number, or a few."""
    return Panel(title, description, unit, queries, Shape.NUMBER, width, 4, limits)


def names(title: str, description: str, *queries: Query, width: int = 8) -> Panel:
    """Return a panel that names the series."""
    return Panel(title, description, "none", queries, Shape.NAME, width)
