"""Fixtures: a publisher, a receiver, a service in a folder of its own."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.harness import Publisher, Receiver, Service, closing_all


@pytest.fixture
def publisher() -> Iterator[Publisher]:
    server = Publisher()
    with closing_all(server):
        yield server


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    server = Receiver()
    with closing_all(server):
        yield server


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    made = Service(tmp_path)
    yield made
    if made.process and made.process.poll() is None:
        made.kill()
