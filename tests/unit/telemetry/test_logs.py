"""What the service writes to its log: whole lines, JSON where no person looks, and no secret anywhere."""

import io
import json
import logging
import re
import unicodedata
from collections.abc import Iterator

import pytest

from aggregator.core.errors import DatabaseFault, StoreError
from aggregator.core.redaction import Redactor
from aggregator.telemetry.logs import FaultFilter, configure, configure_plain


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)


def test_a_line_of_json() -> None:
    """Every record is one JSON document with its level, logger, instant and extras."""
    said = io.StringIO()
    configure("info", "json", Redactor(), said)
    logging.getLogger("aggregator.poll").info("poll %s", "failed", extra={"feed": "wire"})
    line = json.loads(said.getvalue())
    assert line.pop("timestamp").endswith("Z")
    assert line == {"event": "poll failed", "feed": "wire", "level": "info", "logger": "aggregator.poll"}


def test_an_exception_is_part_of_its_line() -> None:
    """A traceback does not break the stream of JSON lines."""
    said = io.StringIO()
    configure("info", "json", Redactor(), said)
    try:
        raise ValueError("no good")
    except ValueError:
        logging.getLogger("aggregator").exception("it failed")
    [line] = said.getvalue().splitlines()
    assert "ValueError: no good" in json.loads(line)["exception"]


@pytest.mark.parametrize("style", ["json", "console"])
def test_secrets_are_cut_out(style: str) -> None:
    """Of the message, of extras and of tracebacks, also percent-encoded."""
    said = io.StringIO()
    configure("info", style, Redactor({"pass/word"}), said)
    try:
        raise ValueError("smtp://u:pass%2Fword@host")
    except ValueError:
        logging.getLogger("feedparser").exception("cannot log in with %s", "pass/word", extra={"url": "x?k=pass/word"})
    assert not re.search("pass(/|%2F)word", said.getvalue())
    assert said.getvalue().count("***") >= 3
    assert "locals" not in said.getvalue()


@pytest.mark.parametrize("style", ["json", "console", "plain", "plain debug"])
def test_nothing_logged_steers_a_terminal(style: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A title in a message, an extra or a traceback shows its escapes, and does not begin a line of its own."""
    said = io.StringIO()
    if style.startswith("plain"):
        configure_plain("debug" if "debug" in style else "info", Redactor())
    else:
        configure("info", style, Redactor(), said)
    try:
        raise ValueError("\x1b[2J\x9b2J")
    except ValueError:
        logging.getLogger("aggregator").exception(
            "no feed: %s", "\u202egnp\x07\r\nerror: forged", extra={"feed": "\x9c"}
        )
    written = said.getvalue() + capsys.readouterr().err
    assert not {char for char in written if unicodedata.category(char) in ("Cc", "Cf")} - {"\n"}
    assert "\\u202egnp" in written
    assert not any(line.startswith(("error: forged", "\x1b")) for line in written.splitlines())


def test_a_fault_of_the_database_is_said_once_a_minute() -> None:
    """Whoever meets it: one line a minute and kind, no traceback; other errors and the service's report pass."""
    faults, full = FaultFilter(), DatabaseFault("the disk is full; free some space", kind="full")
    away = DatabaseFault("it cannot be reached", kind="unreachable")

    def passes(at: float, error: Exception, level: int = logging.ERROR, *, raised: bool = False) -> bool:
        exc_info = (type(error), error, None) if raised else None
        record = logging.LogRecord("x", level, "", 0, "%s" if raised else "failed: %s", (error,), exc_info)
        record.created = at
        let_through = faults.filter(record)
        assert record.exc_info is None or not isinstance(error, DatabaseFault)
        return let_through

    said = [passes(at / 10, full, raised=at % 3 == 0) for at in range(3000)]
    assert sum(said) == 5
    assert passes(300.1, away)
    assert passes(300.2, StoreError("no such value"), raised=True)
    assert passes(300.3, full, logging.CRITICAL)
    assert not passes(359, full)
    assert passes(200, full), "the clock was set back"


def test_the_filter_is_in_place() -> None:
    """Many lines about one fault come out as one, in each style."""
    for style in ("json", "console"):
        said = io.StringIO()
        configure("info", style, Redactor(), said)
        for _ in range(50):
            logging.getLogger("aggregator.x").error("failed: %s", DatabaseFault("disk is full", kind="full"))
        assert said.getvalue().count("disk is full") == 1
