"""One broker and one store for all, with the users and identities of the table."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from labelstream_local.rabbitmq import RabbitServer
from labelstream_local.rights import Served

from .expected import PROJECTS


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RabbitServer]:
    """A broker for the tests of one file, empty at first, that serves two projects."""
    served = Served(PROJECTS)
    server = RabbitServer(tmp_path_factory.mktemp("rabbitmq"), plugins=("rabbitmq_stream",), served=served)
    try:
        server.start()
        yield server
    finally:
        server.kill()  # nobody wants the data
        server.stop()
