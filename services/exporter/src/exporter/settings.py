"""What the decider is told: `LABELSTREAM_EXPORTER__…`, beside the settings that every service shares.

The three processes of this package need different secrets, so each has settings of its own: those of the others stand
in `work/app.py` and `delivery/settings.py`.
"""

from __future__ import annotations

from pathlib import Path

from pydantic import Field, SecretStr

from exporter.exporting.options import ExportingOptions
from exporter.registry.policy import PromotionPolicy
from labelstream.service.settings import ServiceSettings, Settings


class DeciderGroup(ExportingOptions, PromotionPolicy):
    """Settings of `exporter`: the decider, which seals and signs."""

    model_config = Settings.model_config  # a setting that is misspelled is refused, whatever the bases say

    signing_key: Path = Field(description="PEM file of the ECDSA P-256 key that signs bundles and promotions")
    vault_identity: SecretStr = Field(
        description="age private keys that open the models' keys, one a line: the first seals, all open; best by …_FILE"
    )
    legacy_key: SecretStr | None = Field(None, description="key string of the legacy form; needed to write twins")
    devices: Path | None = Field(None, description="JSON list of devices to enrol: name, recipient, token_sha256")
    poll_s: float = Field(1.0, gt=0, description="how often the decider looks at what workers left")
    lease_s: float = Field(20, gt=0, description="a worker that is silent for so long has lost its job")


class DeciderSettings(ServiceSettings):
    """All settings of `exporter`."""

    exporter: DeciderGroup
