"""What secrets of ours look like, for detect-secrets: age private keys, and keys of the inference API."""

from __future__ import annotations

import re

from detect_secrets.plugins.base import RegexBasedDetector


class OwnSecretDetector(RegexBasedDetector):
    """Finds secrets that Labelstream makes."""

    secret_type = "Labelstream secret"  # noqa: S105  the name of a kind
    denylist = (
        re.compile(r"AGE-SECRET-KEY-1[A-Z0-9]{50,}"),
        re.compile(r"AGE-PLUGIN-[A-Z0-9]+-1[A-Z0-9]{20,}"),
        re.compile(r"\blsk_[A-Za-z0-9]{4,}_[A-Za-z0-9_-]{20,}"),
    )
