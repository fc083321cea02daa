"""Every document against the schema of the API: a field that it does not know is a fault."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import cache

import kubernetes_validate
from deploy.checks.documents import Documents, Fault, where_of

OLDEST = "1.30"  # the first whose pods may wait before they stop without a program for it (preStop: sleep)
FOREIGN = ("keda.sh/",)  # groups of which the API's schemas know nothing


def schema_faults(documents: Documents) -> Iterator[Fault]:
    """Find what the oldest or the newest API would refuse."""
    for version in (OLDEST, kubernetes_validate.latest_version()):
        for document in documents.every:
            if document["apiVersion"].startswith(FOREIGN):
                continue
            if refusal := _refusal(json.dumps(document, sort_keys=True), version):
                yield Fault("schema", where_of(document), f"{refusal} (Kubernetes {version})")


@cache  # overlays have most documents in common
def _refusal(document: str, version: str) -> str:
    """Return why an API of this version would refuse a document (JSON); empty when it takes it."""
    try:
        kubernetes_validate.validate(json.loads(document), version, strict=True)
    except kubernetes_validate.ValidationError as error:
        return f"{'.'.join(map(str, error.path))}: {error.message}"
    except kubernetes_validate.SchemaNotFoundError as error:
        return str(error.message)
    return ""
