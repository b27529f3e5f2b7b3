"""Parameter types of the command line."""

from datetime import timedelta
from typing import Any

import click

from aggregator.app.clock import SystemClock
from aggregator.cli.output import WholeNumber, echo
from aggregator.core.errors import AggregatorError
from aggregator.core.redaction import url_secrets
from aggregator.core.text.urls import login_in
from aggregator.core.values import ahead, period, seconds


class Duration(click.ParamType[timedelta]):
    """A length of time such as `4h` or `7d`."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> timedelta:
        if isinstance(value, timedelta):
            return value
        try:
            return timedelta(seconds=seconds(value))
        except ValueError as error:
            self.fail(str(error), param, ctx)


class Since(click.ParamType[str]):
    """A span of time as `core.values.period` reads it; checked here, measured from the moment of its use."""

    name = "when"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        try:
            period(str(value), SystemClock().now())
        except ValueError as error:
            self.fail(str(error), param, ctx)
        return str(value)


class Ahead(click.ParamType[str]):
    """Until when something is to last, as `core.values.ahead` reads it; measured from the moment of its use."""

    name = "when"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        try:
            ahead(str(value), SystemClock().now())
        except ValueError as error:
            self.fail(str(error), param, ctx)
        return str(value)


class DatabaseUrl(click.ParamType[str]):
    """The address of a database; a password in it is warned of, because commands are no secret."""

    name = "url"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:  # noqa: ARG002
        login = login_in(str(value))
        if login.password or any(url_secrets(login.url)):
            remedy = "leave it out, and set PGPASSWORD instead"
            echo(f"warning: other users of this machine can see the password in this command; {remedy}", err=True)
        return str(value)


class Address(click.ParamType[str]):
    """A host and a port to listen on, as `settings.web.listen` takes them."""

    name = "address"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        from aggregator.web.origins import split_listen

        try:
            split_listen(str(value))
        except AggregatorError:
            self.fail(f"{value!r} is not an address and port; write for example 127.0.0.1:8080", param, ctx)
        return str(value)


ADDRESS = Address()
NUMBER = WholeNumber(1, 2**63 - 1)  # of a row, as databases count them
DATABASE_URL = DatabaseUrl()
DURATION = Duration()
AHEAD = Ahead()
SINCE = Since()
SINCE_HELP = "24h, 7d, a day (2026-11-01, monday) or a span (2026-11-01..2026-11-15)."
