"""The store as docker-compose.yml starts it, without Docker: the same arguments on addresses of this machine."""

import http.client
import re
import shutil
import signal
import socket
import ssl
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import pytest
from pydantic import SecretStr

from labelstream.blobs.prepare import buckets_of, prepare
from labelstream.errors import Unavailable
from labelstream.service.settings import StoreSettings
from labelstream_local import ports
from labelstream_local.process import Child, Command, wait_until
from labelstream_local.rights import OPERATOR, Served
from labelstream_local.seaweedfs import find_weed, remove_sockets
from labelstream_local.secrets_store import SecretStore
from labelstream_local.workloads import make

from .compose_file import SECRETS, mounted, services

SHOWN = "127.0.0.2"  # what others could reach, were it a container
HTTP2 = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(3) + b"\x04" + bytes(5)


class Store:
    """The server of docker-compose.yml, with its files and ports elsewhere."""

    def __init__(self, directory: Path) -> None:
        self.s3, self.metrics, *inner = ports.choose(5)
        self.all_ports = (self.s3, self.metrics, *inner)
        make(directory / "secrets", Served(("default",)))
        (directory / "data").mkdir()
        service = services()["seaweedfs"]
        for name, target in mounted(service).items():
            if not target.startswith(SECRETS):  # where it looks for it below its home, too
                settings = directory / ".seaweedfs" / Path(target).name
                settings.parent.mkdir()
                shutil.copy(directory / "secrets" / name, settings)

        def here(text: str) -> str:
            text = text.replace(SECRETS, f"{directory / 'secrets'}/").replace("/var/lib/seaweedfs", f"{directory}/data")
            text = re.sub(r"(port)=8333$", rf"\1={self.s3}", text.replace("0.0.0.0", SHOWN))  # noqa: S104
            return re.sub(r"(metricsPort)=\d+$", rf"\1={self.metrics}", text)

        told = {key: here(str(value)) for key, value in service["environment"].items()}
        doors = [f"-{part}.port={port}" for part, port in zip(("master", "volume", "filer"), inner, strict=True)]
        self.secrets = SecretStore(directory / "secrets")
        self.child = Child(
            Command(
                "seaweedfs",
                (str(find_weed()), *(here(one) for one in service["command"]), *doors),
                directory,
                {"HOME": str(directory), **told},
            ),
            str(directory),
            directory / "weed.log",
        )

    @property
    def settings(self) -> StoreSettings:
        return StoreSettings(
            endpoint_url=f"http://{SHOWN}:{self.s3}",
            access_key=OPERATOR,
            secret_key=SecretStr(self.secrets.read(f"store-{OPERATOR}")),
        )

    def healthy(self) -> bool:
        connection = http.client.HTTPConnection(SHOWN, self.s3, timeout=2)
        try:
            connection.request("GET", "/healthz")
            return connection.getresponse().status == http.client.OK
        except OSError:
            return False
        finally:
            connection.close()


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    started = Store(tmp_path_factory.mktemp("store"))
    started.child.start()
    try:
        assert wait_until(started.healthy, lambda: started.child.running, 60), started.child.log.read_text()[-2000:]
        yield started
    finally:
        started.child.stop(signal.SIGKILL)
        remove_sockets(started.all_ports)


def test_the_buckets_are_made_and_take_files(store: Store) -> None:
    made: set[str] = set()

    def all_made() -> bool:  # a store that has just started may refuse: whoever prepares it asks again
        with suppress(Unavailable):
            made.update(prepare(store.settings))
        return made == set(buckets_of(store.settings))

    def nothing_is_left() -> bool:
        with suppress(Unavailable):
            return prepare(store.settings) == ()
        return False

    assert wait_until(all_made, lambda: store.child.running, 60)
    assert wait_until(nothing_is_left, lambda: store.child.running, 60)


def test_others_reach_s3_its_figures_and_a_door_that_is_locked_and_nothing_else(store: Store) -> None:
    listening = {
        (address.ip, address.port)
        for connection in psutil.Process(store.child.pid).net_connections("tcp")
        if connection.status == psutil.CONN_LISTEN
        for address in [connection.laddr]
    }
    assert {ip for ip, _ in listening} == {SHOWN, ports.HOST}
    assert {port for ip, port in listening if ip == SHOWN} == {store.s3, store.metrics, store.s3 + ports.TWIN}


def test_nobody_gives_orders_about_identities_at_the_twin_of_s3(store: Store) -> None:
    with socket.create_connection((SHOWN, store.s3 + ports.TWIN), timeout=10) as plain:
        plain.sendall(HTTP2)
        assert plain.recv(1) == b""
    with pytest.raises(ssl.SSLError, match="CERTIFICATE_REQUIRED"):
        knock(store, None)


def test_the_key_of_the_lock_fits(store: Store) -> None:
    # So it is this lock that the test above finds closed, and no other fault.
    assert knock(store, store.secrets.path("seaweedfs-lock.pem")) == b"\x00"


def knock(store: Store, certificate: Path | None) -> bytes:
    """Return the first byte that the twin of S3 answers to a caller with this certificate. Raises SSLError."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_alpn_protocols(["h2"])
    if certificate:
        context.load_cert_chain(certificate)
    with (
        socket.create_connection((SHOWN, store.s3 + ports.TWIN), timeout=10) as raw,
        context.wrap_socket(raw) as inside,
    ):
        inside.sendall(HTTP2)
        return inside.recv(1)


def test_a_stranger_gets_nothing_from_the_store(store: Store) -> None:
    connection = http.client.HTTPConnection(SHOWN, store.s3, timeout=5)
    connection.request("GET", "/")
    assert connection.getresponse().status == http.client.FORBIDDEN
    connection.close()
