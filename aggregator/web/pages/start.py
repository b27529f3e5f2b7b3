"""First steps: feeds, a rule with a preview, a channel with a test, and what would have been alerted so far."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Form, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from aggregator.core.errors import Busy
from aggregator.core.model import Delivery, DeliveryState, FeedState, Health
from aggregator.core.results import Preview
from aggregator.core.settings import RuleConfig
from aggregator.ports.backend import Backend
from aggregator.web.api.channels import ChannelRow, channel_rows
from aggregator.web.dependencies import BackendDep, TemplatesDep, redirect_after_post
from aggregator.web.origins import safe_next
from aggregator.web.pages.display import remember

router = APIRouter()

LEFT = "guide"  # the cookie of a reader who left the guide
PREVIEW_DAYS = 30
ALERTS_READ = 20
FEEDS_READ, UNREAD_SHOWN = 500, 3
STEPS = ("feeds", "rule", "channel", "outcome")


@dataclass(frozen=True, slots=True, kw_only=True)
class FirstSteps:
    """How far an installation is: feeds by state, running rules, channels; an alert about a hit, if any was sent.

    `waiting` feeds have not been polled yet; `unread`: the first few that could never be read. `held`: hits that were
    there at first polls and have not been sent; `found`: what the rules match in stored entries, None where it was
    not looked for.
    """

    feeds: int = 0
    read: int = 0
    waiting: int = 0
    unread: Sequence[FeedState] = ()
    rules: Sequence[RuleConfig] = ()
    channels: Sequence[ChannelRow] = ()
    alert: Delivery | None = None
    held: int = 0
    found: Preview | None = None

    @property
    def done(self) -> dict[str, bool]:
        """Which steps are done."""
        tried = any(row.state == "sent" for row in self.channels)
        states = (self.read > 0, bool(self.rules), tried, self.alert is not None)
        return dict(zip(STEPS, states, strict=True))

    @property
    def current(self) -> str:
        """The first step that is not done; empty if all are."""
        return next((step for step, done in self.done.items() if not done), "")


class LeaveForm(BaseModel):
    """The button that leaves the guide."""

    model_config = ConfigDict(extra="forbid")

    next: Annotated[str, Field(max_length=2048)] = "/"


async def first_alert(backend: Backend) -> Delivery | None:
    """Return an alert about a hit that a channel accepted; None if there was none yet."""
    sent = await backend.catalog.deliveries(states=[DeliveryState.SENT], limit=ALERTS_READ)
    return next((delivery for delivery in sent if delivery.hits), None)


async def is_due(request: Request, backend: Backend) -> bool:
    """Tell whether the Hits page leads to the guide: until it is left, or a first alert was sent."""
    if f"aggregator_{LEFT}" in request.cookies:
        return False
    config = backend.current().config
    if not (config.feeds and config.channels and any(rule.enabled for rule in config.rules)):
        return True
    return await first_alert(backend) is None


async def first_steps(backend: Backend, *, look: bool = True) -> FirstSteps:
    """Return how far the installation is; `look`: with what its rules match, as long as nothing was alerted."""
    config, now = backend.current().config, backend.clock.now()
    health = await backend.catalog.health()
    new = [
        one.state
        for one in await backend.catalog.feed_page(health=Health.NEW, offset=0, limit=FEEDS_READ, counted=False)
    ]
    unread = [state for state in new if state.failures]
    waiting = health.get(Health.NEW, 0) - len(unread)
    rules, alert = [rule for rule in config.rules if rule.enabled], await first_alert(backend)
    found = None
    if look and rules and not waiting and alert is None:
        try:
            found = await backend.matches(now - timedelta(days=PREVIEW_DAYS))
        except Busy:
            found = None  # the page says the rest, and offers to look again
    return FirstSteps(
        feeds=len(config.feeds),
        read=sum(count for state, count in health.items() if state not in (Health.NEW, Health.PAUSED)),
        waiting=waiting,
        unread=unread[:UNREAD_SHOWN],
        rules=rules,
        channels=await channel_rows(backend),
        alert=alert,
        held=await backend.catalog.count_baseline(),
        found=found,
    )


async def guide(backend: Backend) -> dict[str, Any]:
    """Return the values of the guide's template."""
    return {
        "steps": await first_steps(backend),
        "preview_days": PREVIEW_DAYS,
        "channels_file": backend.file_for("channels.yaml"),
        "settings_file": backend.file_for("settings.yaml"),
    }


@router.get("/start")
async def show(request: Request, backend: BackendDep, templates: TemplatesDep) -> Response:
    """Show the steps to the first alert, and which of them are done."""
    return templates.render(request, "start.html", **await guide(backend))


@router.post("/start/leave")
async def leave(request: Request, sent: Annotated[LeaveForm, Form()]) -> Response:
    """Keep the guide off the Hits page; the link at the foot of each page still opens it."""
    return remember(request, redirect_after_post(safe_next(sent.next), "guide-left"), LEFT, "left")
