"""Who is let in, as the settings say: by API keys, or everybody."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path

import structlog

from inference.access.kept import KeptList, read_key_file
from inference.access.keys import KeyGate
from inference.access.open import Open
from inference.access.polling import KeySource, Polling
from inference.access.ring import Ring
from inference.serving.patience import Patience
from inference.serving.ports import Gate
from inference.settings import InferenceSettings
from labelstream.service.health import Health

log = structlog.get_logger()


@dataclass(frozen=True)
class Access:
    """A gate, and what keeps it up to date."""

    gate: Gate
    polling: Polling | None = None

    async def run(self) -> None:
        """Hear which keys count until cancelled; where nobody says, end at once."""
        if self.polling is not None:
            await self.polling.run()


def access_of(settings: InferenceSettings, health: Health, source: KeySource) -> Access:
    """Return who is let in, as the settings say."""
    group = settings.inference
    if group.access == "open":
        return open_access(settings.http_host)
    ring = Ring()
    kept = KeptList(settings.state_dir / "api-keys.json")
    patience = Patience(group.retry_first_s, min(group.retry_most_s, group.keys_poll_s))
    return Access(KeyGate(ring), Polling(ring, source, kept, patience, health, group.keys_poll_s))


def access_from_file(path: Path) -> Access:
    """Let in by the keys of a file, which is read once. Raises Misconfigured."""
    return Access(KeyGate(Ring(read_key_file(path))))


def open_access(host: str) -> Access:
    """Let everybody in that reaches `host`, and say so."""
    if _is_loopback(host):
        log.warning("access.open", host=host, hint="Whoever is on this machine may ask.")
    else:
        hint = "Whoever reaches this address may ask: set LABELSTREAM_INFERENCE__ACCESS=keys, or listen on 127.0.0.1."
        log.error("access.open_to_the_network", host=host, hint=hint)
    return Access(Open())


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
