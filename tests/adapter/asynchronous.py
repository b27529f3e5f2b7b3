"""Tests that await. They share one loop, so that what takes long to start may be shared too."""

import asyncio
from collections.abc import Callable, Coroutine
from functools import wraps
from typing import Any, ParamSpec

P = ParamSpec("P")

runner = asyncio.Runner()
at_end: list[Callable[[], Coroutine[Any, Any, None]]] = []


def awaited(test: Callable[P, Coroutine[Any, Any, None]]) -> Callable[P, None]:
    """Make a coroutine function a test."""

    @wraps(test)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        runner.run(test(*args, **kwargs))

    return run


def close() -> None:
    """End what was shared, and the loop."""
    while at_end:
        runner.run(at_end.pop()())
    runner.close()
