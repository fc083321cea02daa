"""What `exporter serve` is told: `LABELSTREAM_EXPORTER__…`."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Annotated

from limits import RateLimitItem, parse
from pydantic import AfterValidator, Field, SecretStr

from labelstream.service.settings import Settings


def _a_rate(text: str) -> str:
    parse(text)
    return text


Rate = Annotated[str, AfterValidator(_a_rate)]


class ApiGroup(Settings):
    """Settings of `exporter serve`. Counters and limits are those of one process: two replicas allow twice as much."""

    jwt_keys: tuple[Path, ...] = Field(
        min_length=1, description="PEM files, Ed25519: the first (private) signs, all verify, so that keys can overlap"
    )
    address_hash_key: SecretStr = Field(description="keys the hash of addresses in the audit log; 16 letters or more")
    replica: str = Field(
        default_factory=socket.gethostname,
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$",
        description="a name that stays the same over restarts and that no other replica has",
    )
    issuer: str = Field("labelstream", description="what tokens say of who made them; others are refused")
    audience: str = Field("labelstream-api", description="whom tokens are for; others are refused")
    token_minutes: float = Field(15, gt=0, le=1440, description="how long a login lasts")
    trusted_proxies: int = Field(
        0, ge=0, description="how many proxies of ours a request passes: so many entries of X-Forwarded-For are true"
    )
    grant_wait_s: float = Field(5, ge=0, description="how long a device waits for a grant that is being made")
    grant_again_s: float = Field(30, gt=0, description="a wish for a grant is passed on once in this time")
    login_failures: int = Field(5, ge=1, description="wrong passwords until an account is locked")
    address_failures: int = Field(20, ge=1, description="wrong passwords until an address is locked")
    lock_s: float = Field(5, gt=0, description="the first lock; each further wrong password doubles it")
    longest_lock_s: float = Field(900, gt=0, description="no lock is longer; wrong passwords are forgotten as late")
    login_rate: Rate = Field("30/minute", description="passwords that one address may try")
    address_rate: Rate = Field("1200/minute", description="requests that one address may make")
    caller_rate: Rate = Field("600/minute", description="requests that one device or person may make")
    max_upload_bytes: int = Field(64 << 20, ge=1, description="a larger upload is refused")
    body_timeout_s: float = Field(
        60,
        gt=0,
        description="a request must have come in whole by then; who takes a file takes each MiB of it in this time",
    )
    audit_wait_s: float = Field(5, gt=0, description="nothing is handed out when the audit log takes longer")
    refusals_every_s: float = Field(10, gt=0, description="how often counted refusals go to the audit log")
    access_fresh_s: float = Field(2, ge=0, description="a revocation counts after so long at the latest")


def rate_of(text: str) -> RateLimitItem:
    """Return a rate such as 30/minute."""
    return parse(text)
