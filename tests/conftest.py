"""The order of the suites: what is quick and pure first, a real browser last."""

import pytest

SUITES = ("house", "unit", "contract", "adapter", "acceptance", "browser")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Sort by suite. The browser's loop runs on in the main thread, so nothing async may come after it."""
    items.sort(key=lambda item: _rank(item.nodeid.split("/")[1]))


def _rank(suite: str) -> int:
    return SUITES.index(suite) if suite in SUITES else len(SUITES) - 1
