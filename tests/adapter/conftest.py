"""What the tests of the adapters share."""

from collections.abc import Iterator

import pytest

from tests.adapter import asynchronous


@pytest.fixture(scope="session", autouse=True)
def shared_loop() -> Iterator[None]:
    """End the loop that `awaited` tests share, and what lives on it."""
    yield
    asynchronous.close()
