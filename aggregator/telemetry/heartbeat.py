"""Heartbeats of the loops: who is alive, who hangs, who fails."""

from datetime import datetime, timedelta

from aggregator.core.model import Beat


class Heart:
    """Collects beats and says which loops are late; a loop is watched from `expect` on."""

    def __init__(self) -> None:
        self._patience: dict[str, float] = {}
        self._beats: dict[str, datetime] = {}
        self._errors: dict[str, str] = {}

    def expect(self, name: str, patience_s: float, now: datetime) -> None:
        self._patience[name] = patience_s
        self._beats[name] = now

    def beat(self, name: str, now: datetime) -> None:
        self._beats[name] = now
        self._errors.pop(name, None)

    def again(self, now: datetime) -> None:
        """The clock was set back: patience begins anew."""
        self._beats = dict.fromkeys(self._beats, now)

    def failed(self, name: str, error: BaseException) -> None:
        """Remember why the last tick failed; the beat is withheld."""
        self._errors[name] = f"{type(error).__name__}: {error}"

    def beats(self, now: datetime) -> tuple[Beat, ...]:
        return tuple(
            Beat(
                name=name,
                last_at=self._beats[name],
                patience_s=patience,
                late=now - self._beats[name] > timedelta(seconds=patience),
                error=self._errors.get(name),
            )
            for name, patience in self._patience.items()
        )
