"""What the tests of the adapters share."""

import pytest


@pytest.fixture
def anyio_backend() -> str:
    """The event loop that the service runs on."""
    return "asyncio"
