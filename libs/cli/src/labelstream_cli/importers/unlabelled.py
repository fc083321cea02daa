"""Images without labels: sent without boxes and unvalidated, for a person to label."""

from __future__ import annotations

from pathlib import Path

from labelstream_cli.importers.collecting import Collector
from labelstream_cli.importers.files import images_below, name_of
from labelstream_cli.importers.model import ImportedFolder


def read(folder: Path, collector: Collector) -> ImportedFolder:
    """Read the folder; images are taken only if that was asked for, since most folders should have labels."""
    for path in images_below(folder):
        name = name_of(path, folder)
        if collector.options.unlabelled:
            collector.add(name, path, (), validated=False)
        else:
            collector.leave_out(name, "image without labels", "it has no labels; --unlabelled sends it all the same")
    return collector.finish(())
