"""Templates: one environment, everything escaped, nothing undefined; and the values that every page needs."""

import hashlib
import re
from collections.abc import Iterable, Mapping
from contextlib import suppress
from datetime import datetime
from functools import cache, partial
from importlib.resources import files
from urllib.parse import quote, unquote, urlencode, urlsplit
from zoneinfo import ZoneInfo

from fastapi import Request
from fastapi.responses import HTMLResponse
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from aggregator import __version__
from aggregator.core import humanize
from aggregator.core.model import View
from aggregator.core.text.messages import gettext_noop, ngettext_noop
from aggregator.core.text.sanitize import inert
from aggregator.core.titles import channels_by_fate, rule_titles
from aggregator.ports.backend import Backend
from aggregator.web import chart, filters
from aggregator.web.language import (
    current,
    gettext,
    languages,
    ngettext,
    npgettext,
    pgettext,
)
from aggregator.web.middleware import Identity

ZONE_COOKIE = "aggregator_zone"
DISPLAY = {"theme": ("auto", "light", "dark"), "density": ("compact", "comfortable")}  # the first is the default
MESSAGE = ("done", "n", "undo")  # parameters of an address that say what was just done
MAX_ZONE_CHARS = 64
MAX_UNDO_CHARS = 40
MAX_DIGITS = 7
DESIGNATION = re.compile(r"\b(\w{1,5}-\d[\w-]{0,12})")
WHOLE = Markup('<span class="whole">{}</span>')
CODE = Markup("<code>{}</code>")

# What the toast says after an action: one sentence, or a pair for one and for several.
DONE: dict[str, str | tuple[str, str]] = {
    "marked": gettext_noop("Marked."),
    "relevant": ngettext_noop("Marked relevant.", "%(n)s marked relevant."),
    "irrelevant": ngettext_noop("Marked irrelevant.", "%(n)s marked irrelevant."),
    "seen": ngettext_noop("Seen: off the list.", "%(n)s seen: off the list."),
    "unmarked": ngettext_noop("Mark removed.", "%(n)s marks removed."),
    "undone": gettext_noop("Undone."),
    "not-undone": gettext_noop("Nothing left to undo: it was undone already, or has been changed since."),
    "muted": ngettext_noop("Story muted for 7 days.", "%(n)s stories muted for 7 days."),
    "no-story": gettext_noop("Nothing to mute: this entry has no story yet. Mute its rule or feed instead."),
    "split": gettext_noop("Split: it is a story of its own now."),
    "joined": gettext_noop("Joined: one story now."),
    "labelled": gettext_noop("Labels saved."),
    "noted": gettext_noop("Note added."),
    "note-removed": gettext_noop("Note removed."),
    "view-saved": gettext_noop("View saved."),
    "view-removed": gettext_noop("View removed."),
    "silenced": gettext_noop("Silence added."),
    "unsilenced": gettext_noop("Silence removed."),
    "saved": gettext_noop("Saved and active."),
    "added": gettext_noop("Feed added. It will be polled within a minute."),
    "polled": gettext_noop("Poll queued."),
    "paused": gettext_noop("Paused. Its entries are kept."),
    "resumed": gettext_noop("Resumed. Poll queued."),
    "retried": ngettext_noop("Queued for another attempt.", "%(n)s queued for another attempt."),
    "cancelled": ngettext_noop("Cancelled.", "%(n)s cancelled."),
    "acknowledged": ngettext_noop(
        "Acknowledged: you won't be alerted again when more sources carry this story.",
        "%(n)s acknowledged: you won't be alerted again when more sources carry these stories.",
    ),
    "feed_changed": gettext_noop("Saved: the feed is polled with these settings from now on."),
    "poll_failed": gettext_noop("The poll failed; see the reason below."),
    "feeds_paused": ngettext_noop("Paused. Its entries are kept.", "%(n)s feeds paused. Their entries are kept."),
    "feeds_resumed": ngettext_noop("Resumed. Poll queued.", "%(n)s feeds resumed. Polls queued."),
    "feeds_polled": ngettext_noop("Poll queued.", "%(n)s polls queued."),
    "feeds_tagged": ngettext_noop("Tags of 1 feed changed.", "Tags of %(n)s feeds changed."),
    "feeds_removed": ngettext_noop(
        "Removed. Its entries are kept until they expire.",
        "%(n)s feeds removed. Their entries are kept until they expire.",
    ),
    "tested": gettext_noop("Test alert sent: every recipient accepted it."),
    "test_failed": gettext_noop("The test alert was not accepted by everyone; see the answers below."),
    "rule_paused": gettext_noop("Rule paused: it matches nothing until it is resumed."),
    "rule_resumed": gettext_noop("Rule resumed."),
    "rule_copied": gettext_noop("Copied. The copy is paused until you resume it."),
    "rule_moved": gettext_noop("Moved."),
    "rule_removed": gettext_noop("Rule removed. Its hits are kept."),
    "revoked": gettext_noop("Revoked: that address no longer works."),
    "reloaded": gettext_noop("Configuration reloaded."),
    "baseline-sent": ngettext_noop("1 hit is on its way as a digest.", "%(n)s hits are on their way as one digest."),
    "baseline-known": gettext_noop("Nothing left to send: they were sent already."),
    "baseline-unsent": gettext_noop("Not sent: their rules name no channel, or are gone."),
    "guide-left": gettext_noop("Guide closed. The link at the foot of each page opens it again."),
    "nothing": gettext_noop("Nothing to do."),
}


def web_link(url: str | None) -> str | None:
    """Return the address if it is safe behind a link (http or https), else None."""
    if not url:
        return None
    try:
        parts = urlsplit(url.strip())
    except ValueError:
        return None
    return url.strip() if parts.scheme.lower() in ("http", "https") and parts.netloc else None


def link_host(url: str | None) -> str:
    """Return the host that a link really leads to, for display beside it."""
    safe = web_link(url)
    return (urlsplit(safe).hostname or "").removeprefix("www.") if safe else ""


def keep_together(text: str) -> Markup:
    """Escape the text and break no designation (S-400, F-35) at its hyphen."""
    parts = DESIGNATION.split(text)
    kept = (WHOLE.format(part) if index % 2 else escape(part) for index, part in enumerate(parts))
    return Markup("").join(kept)


def base_name(path: str) -> str:
    """Return `rules.yaml` of a longer path, which is in the title."""
    return path.replace("\\", "/").rpartition("/")[2]


@cache
def _static_digest(name: str) -> str:
    resource = files("aggregator.web").joinpath("static", name)
    return hashlib.sha256(resource.read_bytes()).hexdigest()[:12]


def static(name: str) -> str:
    """Return the address of a static file, with its digest, so that it can be cached forever."""
    return f"/static/{name}?v={_static_digest(name)}"


def query(**values: object) -> str:
    """Write `?a=1&b=2` of the values that are set; nothing if none is."""
    given = {key: str(value) for key, value in values.items() if value not in (None, "")}
    return f"?{urlencode(given)}" if given else ""


def commands(text: str) -> Markup:
    """Escape a sentence; what stands in backticks is code."""
    parts = text.split("`")
    kept = (CODE.format(part) if index % 2 else escape(part) for index, part in enumerate(parts))
    return Markup("").join(kept)


def view_address(view: View) -> str:
    """Return the page that shows a saved view: a search, or hits."""
    kept = dict(view.query)
    if "q" in kept:
        return f"/search{query(**kept)}"
    return f"/{query(**kept)}" if {"todo", "mark"} & kept.keys() else f"/{query(show='all', **kept)}"


def named_rules(ids: Iterable[str], titles: Mapping[str, str]) -> list[tuple[str, str]]:
    """Return rules as chips show them: id and title."""
    return [(rule, titles.get(rule, rule)) for rule in ids]


def channel_dot(state: str) -> str:
    """Return the class of a channel's dot, by the state of its last attempt: one that failed is red."""
    return {"never": "new", "retry": "dead"}.get(state, state)


def done_message(word: str, number: str) -> str:
    """Return what the toast says after an action on a number of things; nothing for a word that is none."""
    words = DONE.get(word, "")
    if isinstance(words, str):
        return gettext(words)
    count = int(number) if number.isdecimal() and len(number) < MAX_DIGITS else 1
    return ngettext(*words, count) % {"n": current().number(count)}


def display_of(request: Request) -> dict[str, str]:
    """Return the reader's choice of theme and density, from cookies; the defaults without."""
    chosen = {name: request.cookies.get(f"aggregator_{name}", "") for name in DISPLAY}
    return {name: chosen[name] if chosen[name] in allowed else allowed[0] for name, allowed in DISPLAY.items()}


def address_without_message(request: Request) -> str:
    """Return path and query of the page on show, for a form that comes back to it; `/` for what a form posted to."""
    if request.method not in ("GET", "HEAD"):
        return "/"
    kept = [(name, value) for name, value in request.query_params.multi_items() if name not in MESSAGE]
    return quote(request.url.path) + (f"?{urlencode(kept)}" if kept else "")


def _shown(value: object) -> object:
    """Strip control, bidi and invisible characters from everything that a template prints."""
    if not isinstance(value, str):
        return value
    safe = inert(value)
    if safe is value or not isinstance(value, Markup):
        return safe
    return Markup(safe)  # noqa: S704 -- it was markup before, and characters only go


def _said(text: str, /, **values: object) -> Markup:
    """Translate a text of a template; `values` are escaped. Jinja2's own copies its context for every call."""
    return Markup(gettext(text)) % values if values else current().markup(text)  # noqa: S704 -- ours


def _counted(one: str, many: str, number: int, /, **values: object) -> Markup:
    """Translate a text of a template that depends on a number, which is `num` in it."""
    return Markup(ngettext(one, many, number)) % {"num": number, **values}  # noqa: S704 -- ours


def environment() -> Environment:
    """Return Jinja2 with escaping everywhere, whatever a template is called."""
    env = Environment(
        loader=PackageLoader("aggregator.web", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
        finalize=_shown,
        extensions=["jinja2.ext.i18n"],
    )
    env.policies["ext.i18n.trimmed"] = True
    env.install_gettext_callables(  # type: ignore[attr-defined]
        gettext, ngettext, newstyle=True, pgettext=pgettext, npgettext=npgettext
    )
    env.globals.update(
        {"_": _said, "gettext": _said, "ngettext": _counted},
        static=static,
        query=query,
        channel_dot=channel_dot,
        view_address=view_address,
        named_rules=named_rules,
        columns=chart.columns,
        sparkline=chart.sparkline,
        version=__version__,
    )
    env.filters.update(
        web_link=web_link,
        link_host=link_host,
        base_name=base_name,
        whole=keep_together,
        commands=commands,
        segment=partial(quote, safe=""),
        begin=filters.capitalize,
        span=filters.span,
        count=filters.count,
        amount=filters.amount,
        said=gettext,  # of a word that is no literal: `_` would take its text for markup
        ago=filters.ago,
        moment=filters.moment,
        written=humanize.written,
        due=filters.due,
        clock=filters.clock,
        stamp=filters.stamp,
        found_later=filters.found_later,
        period=filters.period,
        full=filters.full,
        day_title=filters.day_title,
        health=filters.health,
        outcome=filters.outcome,
        display_name=filters.display_name,
        attempt_name=filters.attempt_name,
        by_fate=channels_by_fate,
        delivery_reason=filters.reason,
    )
    return env


def reader_now(request: Request, backend: Backend) -> datetime:
    """Return the time in the reader's zone, which a script leaves in a cookie; without, in the configured one."""
    now = backend.clock.now()
    name = unquote(request.cookies.get(ZONE_COOKIE, ""))
    if name and len(name) <= MAX_ZONE_CHARS:
        with suppress(KeyError, ValueError, OSError):  # a stranger's cookie may hold anything
            return now.astimezone(ZoneInfo(name))
    return backend.current().config.settings.local(now)


class Templates:
    """A renderer of templates with the values that every page needs."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._env = environment()

    def render(self, request: Request, template: str, *, status: int = 200, **values: object) -> HTMLResponse:
        identity: Identity = request.scope.get("identity", Identity("stranger"))
        now = reader_now(request, self._backend)
        zone, language = now.tzinfo, current()
        known: Mapping[str, object] = {
            "path": request.url.path,
            "identity": identity,
            "now": now,
            "zone": zone,
            "zone_name": getattr(zone, "key", "UTC"),
            "titles": rule_titles(self._backend.current().config),
            "today": now.date(),
            "refused": self._backend.config_errors() if identity.is_authenticated else (),
            "display": display_of(request),
            "here_address": address_without_message(request),
            "done": done_message(request.query_params.get("done", ""), request.query_params.get("n", "")),
            "undo": request.query_params.get("undo", "")[:MAX_UNDO_CHARS],
            "language": language,
            "languages": languages(),
        }
        if hidden := known.keys() & values.keys():
            raise ValueError(f"values that every page needs are hidden by those of {template}: {sorted(hidden)}")
        text = self._env.get_template(template).render({**known, **values})
        return HTMLResponse(text, status, {"content-language": language.code})
