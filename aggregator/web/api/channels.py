"""Channels: how they are doing, and a test."""

from dataclasses import dataclass
from datetime import datetime

from fastapi import APIRouter, Response
from fastapi.responses import JSONResponse

from aggregator.core.delivery import quiet_until
from aggregator.core.model import ChannelActivity, ChannelTest, channel_state
from aggregator.core.schemas import actions, as_json, channel_json
from aggregator.core.settings import Channel
from aggregator.core.titles import channel_service
from aggregator.ports.backend import Backend
from aggregator.web.api import bodies
from aggregator.web.dependencies import BackendDep

router = APIRouter(tags=["channels"], responses=bodies.ERRORS)


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelRow:
    """One channel with its activity. `state` is that of its last real attempt or test: sent, dead, retry, or never."""

    name: str
    service: str
    channel: Channel
    activity: ChannelActivity
    test: ChannelTest | None
    rules: tuple[str, ...]
    is_default: bool
    quiet_until: datetime | None

    @property
    def state(self) -> str:
        return channel_state(self.activity, self.test)


async def channel_rows(backend: Backend) -> list[ChannelRow]:
    """Return every configured channel with its activity, in the order of the configuration."""
    config, now = backend.current().config, backend.clock.now()
    default = config.settings.default_channels
    activity = await backend.catalog.channel_activity(list(config.channels), now)
    tests = await backend.catalog.channel_tests()
    return [
        ChannelRow(
            name=name,
            service=channel_service(channel),
            channel=channel,
            activity=activity[name],
            test=tests.get(name),
            rules=tuple(rule.id for rule in config.rules if name in (default if rule.notify is None else rule.notify)),
            is_default=name in default,
            quiet_until=quiet_until(channel.quiet_hours, now, channel.time_zone),
        )
        for name, channel in config.channels.items()
    ]


@router.get("/channels", response_model=list[actions.ChannelStatus])
async def list_channels(backend: BackendDep) -> Response:
    """List channels with their last attempts; no address and no recipient is shown."""
    config, now = backend.current().config, backend.clock.now()
    activity = await backend.catalog.channel_activity(list(config.channels), now)
    tests = await backend.catalog.channel_tests()
    return JSONResponse([channel_json(name, config, activity[name], tests.get(name)) for name in config.channels])


@router.post("/channels/{name}/test", response_model=actions.ChannelTest)
async def test_channel(backend: BackendDep, name: str) -> Response:
    """Send a test alert; return what each recipient answered."""
    done = await backend.test_channel(name)
    return JSONResponse(as_json(actions.ChannelTest, {"channel": name, "results": done.answers}))
