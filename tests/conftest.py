"""The order of the suites, the quick and pure first, a real browser last; reports that processes can exchange."""

from collections.abc import Generator

import pytest

SUITES = ("project", "unit", "contract", "adapter", "acceptance", "browser")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Sort by suite. The browser's loop runs on in the main thread, so nothing async may come after it."""
    items.sort(key=lambda item: _rank(item.nodeid.split("/")[1]))


def _rank(suite: str) -> int:
    return SUITES.index(suite) if suite in SUITES else len(SUITES) - 1


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Escape lone surrogates of hostile texts: a worker process sends its reports in UTF-8."""
    report = yield
    report.sections = [(title, _escaped(text)) for title, text in report.sections]
    shown = str(report.longrepr) if report.longrepr else ""
    if shown != _escaped(shown):
        report.longrepr = _escaped(shown)
    return report


def _escaped(text: str) -> str:
    return text.encode("utf-8", "backslashreplace").decode()
