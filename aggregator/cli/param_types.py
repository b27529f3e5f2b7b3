"""Parameter types of the command line."""

from datetime import timedelta
from typing import Any

import click

from aggregator.core.values import seconds


class Since(click.ParamType[timedelta]):
    """An age such as `24h` or `7d`."""

    name = "age"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> timedelta:
        if isinstance(value, timedelta):
            return value
        try:
            return timedelta(seconds=seconds(value))
        except ValueError as error:
            self.fail(str(error), param, ctx)


SINCE = Since()
