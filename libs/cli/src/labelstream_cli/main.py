"""labelstream: the one command a person types.

Each command is made by the `register(app)` of a module `…_commands`, which is loaded when the command is typed: so that
`labelstream --help` need not wait for all of them. Packages bring commands of their own by entry points of the group
`labelstream.commands`; each names a `Later`.
"""

from __future__ import annotations

from importlib.metadata import entry_points

import typer

from labelstream_cli.later import MARKUP, Later, group_of

GROUP = "labelstream.commands"
COMMANDS = (
    Later(
        "demo",
        "labelstream_cli.demo_commands",
        "Show the whole path: annotations in, a proven model out, detections from it over HTTP.",
    ),
    Later(
        "up",
        "labelstream_cli.stack_commands",
        "Start RabbitMQ, SeaweedFS and the services, and leave them running.",
    ),
    Later("down", "labelstream_cli.stack_commands", "Stop everything that belongs to the stack; its data stay."),
    Later(
        "status",
        "labelstream_cli.status_commands",
        "Show each service, each stream's length, each consumer's lag, and the current dataset and model.",
    ),
    Later("attach", "labelstream_cli.attach_commands", "Let every command work on a compose project of this machine."),
    Later(
        "url",
        "labelstream_cli.stack_commands",
        "Print where a service of the stack answers HTTP, or a server that was asked for.",
    ),
    Later(
        "push",
        "labelstream_cli.push_commands",
        "Publish annotated images and videos over the stream, as any producer would.",
    ),
    Later(
        "parked",
        "labelstream_cli.parked_commands",
        "Messages that were refused: look at them, replay or drop them.",
    ),
    Later("schema", "labelstream_cli.schema_commands", "The classes of a project; classes are only ever added."),
    Later("dataset", "labelstream_cli.dataset_commands", "Datasets: build, compare, look at, fetch and verify them."),
    Later("train", "labelstream_cli.train_commands", "Ask for a training of what is annotated so far."),
    Later(
        "jobs",
        "labelstream_cli.jobs_commands",
        "Trainings: list them, see how one goes, cancel or repeat it.",
    ),
    Later(
        "models",
        "labelstream_cli.models_commands",
        "Models: list and compare them, let one serve, go back, withdraw one; verify and pull bundles.",
    ),
    Later(
        "devices",
        "labelstream_cli.devices_commands",
        "Devices that may fetch models: enrol, list and revoke them, and see who fetched what.",
    ),
    Later("users", "labelstream_cli.users_commands", "People who may log in to the public API: add, list, revoke."),
    Later(
        "keys",
        "labelstream_cli.keys_commands",
        "API keys, with which programs ask inference: add, list, export, revoke.",
    ),
    Later("predict", "labelstream_cli.predict_commands", "Ask the model in service what is in images."),
    Later(
        "annotate",
        "labelstream_cli.annotate_commands",
        "Let a model annotate images, for people to validate: ask for it, list, show and cancel such jobs.",
    ),
    Later(
        "trace",
        "labelstream_cli.trace_commands",
        "Show the life of one annotation: its messages and receipts, archives, datasets, trainings and models.",
    ),
    Later(
        "erase",
        "labelstream_cli.erase_commands",
        "Erase annotations for good: their labels, their images and every variant of them.",
    ),
    Later(
        "secrets",
        "labelstream_cli.secrets_commands",
        "Secrets of a deployment by containers: make them, hand them to Kubernetes.",
    ),
    Later(
        "gc",
        "labelstream_cli.gc_commands",
        "Remove images and archives that nothing kept refers to. Begins as a dry run: --delete removes.",
    ),
    Later(
        "backup",
        "labelstream_cli.backup_commands",
        "Back up streams and objects, as files that replay; list backups, and look whether one is whole.",
    ),
    Later(
        "restore",
        "labelstream_cli.backup_commands",
        "Restore a backup into an empty stack, with the same offsets, datasets and models.",
    ),
)


def commands() -> tuple[Later, ...]:
    """Return every command that is installed."""
    return *COMMANDS, *(entry.load() for entry in entry_points(group=GROUP))


def build() -> typer.Typer:
    """Return the application with every command that is installed."""
    application = typer.Typer(
        cls=group_of(commands()),
        no_args_is_help=True,
        add_completion=False,
        rich_markup_mode=MARKUP,
        pretty_exceptions_show_locals=False,  # locals may hold secrets
    )
    application.callback()(_labelstream)
    return application


def _labelstream() -> None:
    """Turns a stream of annotations into live object detectors."""


app = build()
