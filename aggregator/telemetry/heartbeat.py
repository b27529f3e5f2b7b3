"""Heartbeats of the loops: who is alive, who hangs, who fails."""

from datetime import datetime, timedelta

from aggregator.core.model import LoopStatus


class HeartbeatMonitor:
    """Collects beats and says which loops are late; a loop is watched from `expect` on."""

    def __init__(self) -> None:
        self._patience: dict[str, float] = {}
        self._beats: dict[str, datetime] = {}
        self._errors: dict[str, str] = {}

    def expect(self, name: str, timeout_s: float, now: datetime) -> None:
        self._patience[name] = timeout_s
        self._beats[name] = now

    def beat(self, name: str, now: datetime) -> None:
        self._beats[name] = now
        self._errors.pop(name, None)

    def restart(self, now: datetime) -> None:
        """Restart all timeouts, after the clock was set back."""
        self._beats = dict.fromkeys(self._beats, now)

    def failed(self, name: str, error: BaseException) -> None:
        """Remember why the last tick failed; the beat is withheld."""
        self._errors[name] = f"{type(error).__name__}: {error}"

    def statuses(self, now: datetime) -> tuple[LoopStatus, ...]:
        return tuple(
            LoopStatus(
                name=name,
                last_at=self._beats[name],
                timeout_s=timeout,
                late=now - self._beats[name] > timedelta(seconds=timeout),
                error=self._errors.get(name),
            )
            for name, timeout in self._patience.items()
        )
