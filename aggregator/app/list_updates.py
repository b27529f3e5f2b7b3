"""Fetching of term lists that have an address: when they are due, what changed, and news about it."""

import asyncio
import hashlib
import logging
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from aggregator.app.masking import shown
from aggregator.config.lists import FetchedList, NotAList, keep, kept_at, parse_terms
from aggregator.config.source import content
from aggregator.core.errors import AggregatorError
from aggregator.core.model import Json
from aggregator.core.rules import usable_terms
from aggregator.core.settings import Auth, Feed
from aggregator.core.text.urls import login_in

if TYPE_CHECKING:
    from aggregator.app.application import Application

log = logging.getLogger(__name__)

RETRY = timedelta(minutes=15)  # after a failure
MAX_NAMED = 20  # terms that a notice names


@dataclass(frozen=True, slots=True, kw_only=True)
class ListUpdate:
    """What fetching one list gave: terms that came and went, terms that cannot be matched, or the error."""

    name: str
    terms: int = 0
    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    refused: tuple[str, ...] = ()
    first: bool = False
    error: str = ""

    def sentence(self) -> str:
        """Return the outcome in one line."""
        if self.first:
            return f"{self.terms:,} terms"
        if not self.added and not self.removed:
            return f"unchanged, {self.terms:,} terms"
        return f"{self.terms:,} terms: {len(self.added)} added, {len(self.removed)} removed"

    def as_json(self) -> Json:
        """Return the outcome for programs."""
        return {
            "name": self.name,
            "ok": not self.error,
            "terms": self.terms,
            "added": list(self.added),
            "removed": list(self.removed),
            "refused": list(self.refused),
            "error": self.error or None,
        }


class ListUpdates:
    """Fetches lists that are due. A list that cannot be had stays what it was, and that is reported once."""

    def __init__(self, app: "Application") -> None:
        self._app = app
        self._not_before: dict[str, datetime] = {}
        self._reported: dict[str, str] = {}

    async def tick(self) -> None:
        """Fetch what is due, and report what changed; the watch over the configuration applies it."""
        due = [one.name for one in self._app.loaded.fetched if self._is_due(one)]
        for done in await self.update(due) if due else ():
            await self._report(done)

    async def update(self, names: Iterable[str], *, force: bool = False) -> list[ListUpdate]:
        """Fetch the named lists, one after the other."""
        wanted = set(names)
        lists = [one for one in self._app.loaded.fetched if one.name in wanted]
        return [await self._update(one) for one in lists if force or self._is_due(one)]

    def _is_due(self, one: FetchedList) -> bool:
        now = self._app.clock.now()
        if now < self._not_before.get(one.name, now):
            return False
        last = kept_at(one)
        return last is None or not timedelta(0) <= now - last < timedelta(seconds=one.every_s)

    async def _update(self, one: FetchedList) -> ListUpdate:
        try:
            runtime = await self._app.runtime()
            login = login_in(one.url)
            auth = Auth.model_validate(login.auth) if login.auth else None
            page = await runtime.fetcher.page(Feed.model_construct(url=login.url, id="list", auth=auth), login.url)
            return await asyncio.to_thread(self._take, one, page.body)
        except NotAList as wrong:
            error = f"{one.url} {wrong}"
        except AggregatorError as failed:
            error = str(failed)
        except OSError as failed:
            error = f"{one.file} cannot be written: {failed.strerror}"
        self._not_before[one.name] = self._app.clock.now() + RETRY
        return ListUpdate(name=one.name, error=shown(error, self._app.redact))

    def _take(self, one: FetchedList, body: bytes) -> ListUpdate:
        """Keep what an address gave. Raises NotAList, OSError."""
        found = hashlib.sha256(body).hexdigest()
        if one.sha256 and found != one.sha256:
            raise NotAList(f"has the SHA-256 {found}, not the one in the configuration")
        terms, refused = usable_terms(parse_terms(body))
        if not terms:
            raise NotAList("has no term that can be matched")
        try:
            before: tuple[str, ...] | None = parse_terms(content(one.file))
        except (OSError, NotAList):
            before = None
        keep(one, terms)
        known, new = set(before or ()), set(terms)
        return ListUpdate(
            name=one.name,
            terms=len(terms),
            added=tuple(term for term in terms if term not in known),
            removed=tuple(term for term in before or () if term not in new),
            refused=refused,
            first=before is None,
        )

    async def _report(self, done: ListUpdate) -> None:
        if done.error:
            if self._reported.get(done.name) != done.error:
                self._reported[done.name] = done.error
                log.warning(
                    "list %s could not be fetched; the last good version stays in force: %s", done.name, done.error
                )
                await self._app.maintainer().notice_list(
                    f"The list {done.name} could not be fetched", f"{done.error}\nThe last good version stays in force."
                )
            return
        self._reported.pop(done.name, None)
        log.info("list fetched", extra={"list": done.name, "terms": done.terms, "added": len(done.added)})
        changed = not done.first and (done.added or done.removed)
        if changed or done.refused:
            lines = [
                f"{what}: {', '.join(terms[:MAX_NAMED])}{' …' if len(terms) > MAX_NAMED else ''}"
                for what, terms in (
                    ("Added", done.added if not done.first else ()),
                    ("Removed", done.removed),
                    ("Cannot be matched", done.refused),
                )
                if terms
            ]
            await self._app.maintainer().notice_list(
                f"The list {done.name} changed: {done.sentence()}", "\n".join(lines)
            )
