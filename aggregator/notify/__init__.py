"""Sending of alerts on channels: the console here, everything else through Apprise (loaded when first used)."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, TextIO

from aggregator.core.errors import Problem
from aggregator.core.model import Alert, Receipt
from aggregator.ports import Clock, Notifier

if TYPE_CHECKING:
    from aggregator.core.settings import Channel

__all__ = ["check_channels", "open_notifier", "recipients"]


def open_notifier(clock: Clock, stream: TextIO | None = None) -> Notifier:
    """Open the port's implementation; `stream` is where the console channel prints (default: stdout)."""
    return _NotifierSwitch(clock, stream)


def recipients(channel: "Channel") -> tuple[str, ...]:
    """Return the names of a channel's recipients, each with its own outbox row; `("",)` for the console.

    Even a single recipient has a name: a row belongs to one person, even if others join the channel later.
    A channel that yields no service has one row all the same: it will fail visibly, not silently.
    The first call for a channel of Apprise loads Apprise, which may take seconds; `ActiveConfig` keeps
    the answers.
    """
    if channel.service == "console":
        return ("",)
    from aggregator.notify.services import BadChannel, recipients_of

    try:
        return recipients_of(channel) or ("",)
    except BadChannel:
        return ("",)


def check_channels(channels: Iterable["Channel"]) -> tuple[Problem, ...]:
    """Return the problems of channels; each path begins with the channel's name."""
    problems: list[Problem] = []
    for channel in channels:
        problems += [_below(channel.name, problem) for problem in _check(channel)]
    return tuple(problems)


class _NotifierSwitch:
    """Sends to the console or through Apprise."""

    def __init__(self, clock: Clock, stream: TextIO | None) -> None:
        self._clock = clock
        self._stream = stream
        self._speakers: dict[bool, Notifier] = {}

    async def send(self, channel: "Channel", alert: Alert, *, recipient: str = "") -> Receipt:
        to_console = channel.service == "console"
        if to_console not in self._speakers:
            self._speakers[to_console] = self._open(to_console)
        return await self._speakers[to_console].send(channel, alert, recipient=recipient)

    def _open(self, to_console: bool) -> Notifier:
        if to_console:
            from aggregator.notify.console import ConsoleNotifier

            return ConsoleNotifier(self._stream)
        from aggregator.notify.apprise_notifier import AppriseNotifier

        return AppriseNotifier(self._clock)


def _check(channel: "Channel") -> tuple[Problem, ...]:
    from aggregator.notify.services import check_channel

    return check_channel(channel)


def _below(name: str, problem: Problem) -> Problem:
    return Problem(
        path=(name, *problem.path),
        message=problem.message,
        hint=problem.hint,
        offset=problem.offset,
        severity=problem.severity,
    )
