"""Logs: structured, coloured on a terminal, JSON elsewhere, and never a secret in any line.

Everything logs through the standard library; structlog renders. Secrets are cut out of the
finished line, so that no library, traceback or repr can leak one. What would steer a terminal, or
end a line before its time, is written as its escape (`\\u001b`), in JSON too.
"""

import logging
import os
import sys
from collections.abc import MutableMapping
from typing import Any, TextIO

from aggregator.core.errors import DatabaseFault
from aggregator.core.redaction import Redactor
from aggregator.core.text.sanitize import escaped

NOISY = ("apprise", "urllib3", "apscheduler", "asyncio", "aiosmtpd", "alembic", "uvicorn")
POOL = "sqlalchemy.pool"  # a traceback for each connection that a server closed; its user logs that in one line
FAULT_RHYTHM_S = 60.0


class FaultFilter(logging.Filter):
    """While a database or its disk is away everybody who meets it says so: of these lines one a minute is let through.

    They are records that carry a DatabaseFault; none keeps its traceback. Critical ones are the service's own report.
    """

    def __init__(self) -> None:
        super().__init__()
        self._said_at: dict[str, float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        given = record.args if isinstance(record.args, tuple) else ()
        carried = (*given, record.exc_info[1] if record.exc_info else None)
        fault = next((one for one in carried if isinstance(one, DatabaseFault)), None)
        if fault is None or logging.getLogger().isEnabledFor(logging.DEBUG):
            return True
        record.exc_info, record.exc_text = None, None
        said_at = self._said_at.get(fault.kind)
        if record.levelno < logging.CRITICAL and said_at is not None and 0 <= record.created - said_at < FAULT_RHYTHM_S:
            return False
        self._said_at[fault.kind] = record.created
        return True


class _RedactingStream(logging.StreamHandler[TextIO]):
    def __init__(self, stream: TextIO, redact: Redactor) -> None:
        super().__init__(stream)
        self._redact = redact

    def format(self, record: logging.LogRecord) -> str:
        return self._redact(super().format(record))


class _Escaping(logging.Formatter):
    """The standard library's lines, tracebacks included, without anything that steers a terminal."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 -- logging's name
        return super().formatMessage(record).replace("\n", "\\n")

    def format(self, record: logging.LogRecord) -> str:
        return escaped(super().format(record))


class _OneLine(logging.Formatter):
    """A record as one sentence: a person at a terminal reads what failed, not where in the code."""

    def format(self, record: logging.LogRecord) -> str:
        error = record.exc_info[1] if record.exc_info else None
        cause = f": {type(error).__name__}: {error} (for details, set settings.logging.level: debug)" if error else ""
        return escaped(" ".join(f"{record.levelname.lower()}: {record.getMessage()}{cause}".split()))


def configure_plain(level: str, redact: Redactor) -> None:
    """Log one line for each record on stderr, for commands; needs no more than the standard library."""
    handler = _RedactingStream(sys.stderr, redact)
    handler.setFormatter(_Escaping("%(levelname)s: %(message)s") if level == "debug" else _OneLine())
    _attach(handler, level)


def configure(level: str, style: str, redact: Redactor, stream: TextIO | None = None) -> None:
    """Send all logging to `stream` (default: stderr); `style` is auto, console or json."""
    structlog = _structlog()
    stream = stream or sys.stderr
    pretty = style == "console" or (style == "auto" and stream.isatty())
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.ExtraAdder(),
        structlog.processors.TimeStamper(fmt="%H:%M:%S" if pretty else "iso", utc=not pretty),
        *([] if pretty else [structlog.stdlib.add_logger_name]),
    ]
    last: list[Any] = (
        # A drawn traceback shows local variables and breaks lines in the midst of a secret.
        [
            structlog.processors.format_exc_info,
            _escape,  # before the renderer, whose colours are escape sequences too
            structlog.dev.ConsoleRenderer(
                colors=stream.isatty() and not os.environ.get("NO_COLOR"),
                pad_event_to=0,
                exception_formatter=structlog.dev.plain_traceback,
            ),
        ]
        if pretty
        else [structlog.processors.format_exc_info, structlog.processors.JSONRenderer(ensure_ascii=False), _escape_line]
    )
    handler = _RedactingStream(stream, redact)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *last],
        )
    )
    _attach(handler, level)


def _structlog() -> Any:
    """Load structlog without rich: that would draw tracebacks, which we never have drawn, and holds 5 MB."""
    rich = sys.modules.get("rich")
    sys.modules["rich"] = None  # type: ignore[assignment]
    try:
        import structlog
    finally:
        if rich is None:
            del sys.modules["rich"]
        else:
            sys.modules["rich"] = rich
    return structlog


def _escape(_logger: Any, _name: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Escape every word of an event; only a traceback has lines, each indented, so that none passes for an event."""
    said = {
        name: escaped(value).replace("\n", "\n  " if name in ("exception", "stack") else "\\n")
        for name, value in event.items()
        if isinstance(value, str)
    }
    return {**event, **said}


def _escape_line(_logger: Any, _name: str, line: str | bytes) -> str:
    return escaped(line if isinstance(line, str) else line.decode())


def _attach(handler: logging.Handler, level: str) -> None:
    handler.addFilter(FaultFilter())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    quiet = logging.DEBUG if root.level <= logging.DEBUG else max(logging.WARNING, root.level)
    for name in NOISY:
        logging.getLogger(name).setLevel(quiet)
    logging.getLogger(POOL).setLevel(logging.DEBUG if root.level <= logging.DEBUG else logging.CRITICAL)
