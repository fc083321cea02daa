"""All checks of what was rendered."""

from __future__ import annotations

from deploy.checks.broker import broker_faults
from deploy.checks.documents import Documents, Fault
from deploy.checks.environment import environment_faults
from deploy.checks.pods import pod_faults
from deploy.checks.reach import network_faults
from deploy.checks.references import reference_faults
from deploy.checks.schemas import schema_faults

CHECKS = (schema_faults, reference_faults, environment_faults, pod_faults, network_faults, broker_faults)


def faults(documents: Documents) -> list[Fault]:
    """Return everything that is wrong, in the order of its rules."""
    return sorted({fault for check in CHECKS for fault in check(documents)})
