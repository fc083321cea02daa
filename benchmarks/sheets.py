"""What a benchmark shows that is neither pairs of rates nor single figures: tables of its own, and JSON."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from rich.table import Table


@dataclass(frozen=True)
class Sheets:
    """Tables for people, and the same as data; `failed` says what was not as it has to be."""

    tables: Sequence[Table]
    data: dict[str, Any]
    failed: tuple[str, ...] = ()

    def as_json(self, name: str) -> str:
        """Return everything as one line of JSON."""
        return json.dumps({"benchmark": name, **self.data, "failed": list(self.failed)})


def sheet(title: str, headings: Sequence[str], rows: Sequence[Sequence[str]]) -> Table:
    """Return a table whose first column is text and whose others are figures."""
    made = Table(title=title)
    for number, heading in enumerate(headings):
        made.add_column(heading, justify="right" if number else "left", no_wrap=not number)
    for row in rows:
        made.add_row(*row)
    return made
