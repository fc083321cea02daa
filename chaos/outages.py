"""Faults that last so long that somebody has to be called: each must raise its alerts, as they are shipped."""

from __future__ import annotations

from dataclasses import dataclass

from chaos.schedule import EVERYBODY, Fault, Round

LEAST_MINUTES = 15  # a shorter run has no room for them
# The first model is kept from inference until NoModelServes fires, which takes 300 s without a restart of it.
NO_MODEL_S = 600.0  # at most


@dataclass(frozen=True)
class Expected:
    """An alert that has to fire; about a certain program, unless that is empty."""

    name: str
    program: str = ""


NO_MODEL = Expected("NoModelServes", "inference")


@dataclass(frozen=True)
class Outage:
    """A round of long faults, at a part of the run."""

    at: float  # of the run, 0 to 1
    faults: tuple[Fault, ...]
    expects: tuple[Expected, ...]


OUTAGES = (
    Outage(
        0.45,
        (Fault("pause", "augmenter", 180.0), Fault("full-disk", "annotation-ingest", 90.0, after_s=20.0)),
        (Expected("ServiceDown", "augmenter"), Expected("DiskFull", "annotation-ingest")),
    ),
    Outage(
        0.7,
        (Fault("cut", EVERYBODY, 130.0, server="rabbitmq"), Fault("pause", "rabbitmq", 120.0, after_s=5.0)),
        (Expected("BrokerUnreachable"), Expected("WaitsForServers", "augmenter")),
    ),
)
EXPECTED = (NO_MODEL, *(one for outage in OUTAGES for one in outage.expects))


def round_of(outage: Outage, number: int) -> Round:
    """Return an outage as a round."""
    return Round(number, outage.faults, is_patient=True, rest_s=5.0)
