"""labelstream: the one command a person types.

Every module of this package whose name ends in `_commands` has a `register(app)` that adds its commands; so does
every entry point of the group `labelstream.commands`, for packages that bring commands of their own.
"""

from __future__ import annotations

import pkgutil
from importlib import import_module
from importlib.metadata import entry_points

import typer

import labelstream_cli

GROUP = "labelstream.commands"


def build() -> typer.Typer:
    """Return the application with every command that is installed."""
    application = typer.Typer(
        help="Turns a stream of annotations into live object detectors.",
        no_args_is_help=True,
        add_completion=False,
        rich_markup_mode="markdown",
        pretty_exceptions_show_locals=False,  # locals may hold secrets
    )
    for module in sorted(pkgutil.iter_modules(labelstream_cli.__path__), key=lambda one: one.name):
        if module.name.endswith("_commands"):
            import_module(f"{labelstream_cli.__name__}.{module.name}").register(application)
    for entry in entry_points(group=GROUP):
        entry.load()(application)
    return application


app = build()
