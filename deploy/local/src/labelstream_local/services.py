"""The table of services: how each is started and what it is told.

A service's own settings stand in its function below; those that all share are in `environment_of`.
A secret is never a value here: name its file in a variable that ends in `_FILE`.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from labelstream.annotating import stream_of
from labelstream_local.layout import Layout
from labelstream_local.mlflow import MLFLOW
from labelstream_local.ports import HOST
from labelstream_local.process import Command
from labelstream_local.prometheus import PROMETHEUS
from labelstream_local.rabbitmq import RabbitPorts
from labelstream_local.rights import input_stream
from labelstream_local.seaweedfs import WeedPorts
from labelstream_local.secrets_store import (
    ADDRESS_HASH_KEY,
    DEVICE_IDENTITY,
    DEVICE_TOKEN,
    DEVICES,
    JWT_KEY,
    LEGACY_KEY,
    MLFLOW_PASSWORD,
    PRODUCER_HASH_KEY,
    SIGNING_KEY,
    VAULT_IDENTITY,
    VERIFYING_KEY,
    SecretStore,
)


@dataclass(frozen=True)
class StackPorts:
    """Every port of a stack, chosen when it first came up and remembered."""

    rabbitmq: RabbitPorts
    seaweedfs: WeedPorts
    services: Mapping[str, int]
    mlflow: int
    prometheus: int

    def of(self, program: str) -> int:
        """Where a service answers HTTP, or a server that was asked for."""
        servers = {MLFLOW: self.mlflow, PROMETHEUS: self.prometheus}
        return servers[program] if program in servers else self.services[program]


@dataclass(frozen=True)
class Context:
    """What the functions of the table may draw on."""

    layout: Layout
    secrets: SecretStore
    ports: StackPorts
    projects: tuple[str, ...]
    schemas: Mapping[str, str] = field(default_factory=dict)  # project → a shipped class schema, or the path of one
    servers: tuple[str, ...] = ()  # that were asked for beside those that the services need

    def schema(self, project: str) -> str:
        """Return the class schema of a project."""
        return self.schemas.get(project, "example")

    def secret_file(self, name: str) -> str:
        """Where a secret lies, for a `…_FILE` variable."""
        return str(self.secrets.path(name))

    def url(self, service: str) -> str:
        """Where a service answers HTTP, or a server that was asked for."""
        return f"http://{HOST}:{self.ports.of(service)}"


Variables = dict[str, str]
_INPUTS = "LABELSTREAM_INGEST__INPUTS"


def _nothing_more(_: Context) -> Variables:
    return {}


@dataclass(frozen=True)
class Service:
    """A program of the stack."""

    name: str
    module: tuple[str, ...]  # what follows `python -m`
    own_settings: Callable[[Context], Variables] = _nothing_more
    may_lack: tuple[str, ...] = ()  # what /readyz may still wait for when the stack counts as up: beginnings of names

    def may_wait_for(self, what: str) -> bool:
        """Return whether the stack is up although this service waits for `what`."""
        return what.startswith(self.may_lack) if self.may_lack else False


def _annotation_ingest(context: Context) -> Variables:
    inputs = [_input(context, project) for project in context.projects]
    inputs += [_proposals(context, project) for project in context.projects]
    return {
        _INPUTS: json.dumps(inputs),
        "LABELSTREAM_INGEST__PRODUCER_HASH_KEY_FILE": context.secret_file(PRODUCER_HASH_KEY),
    }


def told_inputs(told: Mapping[str, Mapping[str, str]]) -> tuple[str, ...]:
    """Return the input streams that annotation-ingest was told of; none where it will say that it can't read that."""
    try:
        inputs = json.loads(told.get("annotation-ingest", {}).get(_INPUTS, "[]"))
        return tuple(str(one["stream"]) for one in inputs)
    except (ValueError, TypeError, LookupError):
        return ()


def _input(context: Context, project: str) -> Mapping[str, object]:
    return {
        "stream": input_stream(project),
        "project": project,
        "may_validate": True,
        "may_change_schema": True,
        "may_erase": True,
        "schema": context.schema(project),
    }


def _proposals(context: Context, project: str) -> Mapping[str, object]:
    """What a model says of images: it gives way to people."""
    return {
        "stream": stream_of(project),
        "project": project,
        "may_validate": False,
        "may_overrule": False,
        "schema": context.schema(project),
    }


def _trainer(context: Context) -> Variables:
    mirror = _mirror(context) if MLFLOW in context.servers else {}
    return {"LABELSTREAM_TRAINER__WORKER": "local", **mirror}


def _mirror(context: Context) -> Variables:
    return {
        "LABELSTREAM_TRAINER__MLFLOW_URL": context.url(MLFLOW),
        "LABELSTREAM_TRAINER__MLFLOW_PASSWORD_FILE": context.secret_file(MLFLOW_PASSWORD),
    }


def _exporter(context: Context) -> Variables:
    return {
        "LABELSTREAM_EXPORTER__SIGNING_KEY": context.secret_file(SIGNING_KEY),
        "LABELSTREAM_EXPORTER__VAULT_IDENTITY_FILE": context.secret_file(VAULT_IDENTITY),
        "LABELSTREAM_EXPORTER__LEGACY_KEY_FILE": context.secret_file(LEGACY_KEY),
        "LABELSTREAM_EXPORTER__DEVICES": context.secret_file(DEVICES),
    }


def _exporter_work(_: Context) -> Variables:
    return {"LABELSTREAM_EXPORTER__WORKER": "local"}


def _exporter_serve(context: Context) -> Variables:
    return {
        "LABELSTREAM_EXPORTER__JWT_KEYS": json.dumps([context.secret_file(JWT_KEY)]),
        "LABELSTREAM_EXPORTER__ADDRESS_HASH_KEY_FILE": context.secret_file(ADDRESS_HASH_KEY),
        "LABELSTREAM_EXPORTER__REPLICA": "local",
    }


def _inference(context: Context) -> Variables:
    return {
        "LABELSTREAM_INFERENCE__DEVICE_IDENTITY_FILE": context.secret_file(DEVICE_IDENTITY),
        "LABELSTREAM_INFERENCE__DEVICE_TOKEN_FILE": context.secret_file(DEVICE_TOKEN),
        "LABELSTREAM_INFERENCE__EXPORTER_URL": context.url("exporter-serve"),
        "LABELSTREAM_INFERENCE__TRUSTED_KEYS": json.dumps([context.secret_file(VERIFYING_KEY)]),
        "LABELSTREAM_INFERENCE__REPLICA": "local",
        "LABELSTREAM_INFERENCE__ACCESS": "open",  # it listens on 127.0.0.1
    }


def _inference_annotate(context: Context) -> Variables:
    return {
        "LABELSTREAM_ANNOTATE__INFERENCE_URL": context.url("inference"),
        "LABELSTREAM_ANNOTATE__WORKER": "local",
        "LABELSTREAM_ANNOTATE__AT_ONCE": "2",
    }


SERVICES = (
    Service("annotation-ingest", ("annotation_ingest",), _annotation_ingest),
    Service("augmenter", ("augmenter",)),
    Service("trainer", ("trainer",), _trainer),
    Service("exporter", ("exporter",), _exporter),
    Service("exporter-work", ("exporter", "work"), _exporter_work),
    Service("exporter-serve", ("exporter", "serve"), _exporter_serve),
    Service("inference", ("inference",), _inference, ("model",)),
    Service("inference-annotate", ("inference", "annotate"), _inference_annotate, ("inference",)),
)
SERVERS = ("rabbitmq", "seaweedfs")
ON_REQUEST = {MLFLOW: "--mlflow", PROMETHEUS: "--observability"}  # servers that no service needs: how to ask for one
BY_NAME = {service.name: service for service in SERVICES}
NAMES = tuple(BY_NAME)


def command_of(service: Service, context: Context, told: Mapping[str, str]) -> Command:
    """Return how a service is started; `told` overrides any of its variables."""
    variables = {**environment_of(service, context), **service.own_settings(context), **told}
    return Command(service.name, (sys.executable, "-m", *service.module), context.layout.root, variables)


def environment_of(service: Service, context: Context) -> Variables:
    """Return the settings that all services share, as `labelstream.service.settings` reads them."""
    return {
        "LABELSTREAM_BROKER__HOST": HOST,
        "LABELSTREAM_BROKER__STREAM_PORT": str(context.ports.rabbitmq.stream),
        "LABELSTREAM_BROKER__AMQP_PORT": str(context.ports.rabbitmq.amqp),
        "LABELSTREAM_BROKER__USERNAME": service.name,
        "LABELSTREAM_BROKER__PASSWORD_FILE": context.secret_file(context.secrets.broker_key(service.name)),
        "LABELSTREAM_STORE__ENDPOINT_URL": f"http://{HOST}:{context.ports.seaweedfs.s3}",
        "LABELSTREAM_STORE__ACCESS_KEY": service.name,
        "LABELSTREAM_STORE__SECRET_KEY_FILE": context.secret_file(context.secrets.store_key(service.name)),
        "LABELSTREAM_PROJECTS": json.dumps(context.projects),
        "LABELSTREAM_STATE_DIR": str(context.layout.state(service.name)),
        "LABELSTREAM_HTTP_HOST": HOST,
        "LABELSTREAM_HTTP_PORT": str(context.ports.services[service.name]),
    }
