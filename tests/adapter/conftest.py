"""Fixtures shared by the tests of the adapters."""

import pytest


@pytest.fixture
def anyio_backend() -> str:
    """The event loop that the service runs on."""
    return "asyncio"
