"""Edits of the configuration from pages and commands: checked, tried on what is stored, written, kept, undone."""

import asyncio
import os
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path

from aggregator import config
from aggregator.app.application import Application
from aggregator.app.turns import Turns
from aggregator.core.edits import edit_between, edit_of_undo, undone
from aggregator.core.errors import ConfigErrors, NotFound
from aggregator.core.model import Edit, Undo
from aggregator.core.results import EditedRules, Exclusion, Preview, RuleEdit, RuleItem, RulesCheck, RulesFile
from aggregator.core.rules import Rule
from aggregator.pipeline.advise import count_words, propose_exclusions
from aggregator.pipeline.backtest import backtest
from aggregator.ports import Catalog, Clock

PREVIEW_S = 8.0
MATCHES_S = 1.0  # of a page that is opened, not of an edit that is waited for
PROPOSAL_SAMPLE = 2000  # entries
FEEDS = "feeds: "  # what an edit of feeds is about begins so

Reload = Callable[[str | None], Awaitable[ConfigErrors | None]]


async def _no_reload(_before: str | None) -> ConfigErrors | None:
    return None


@dataclass(slots=True)
class ConfigEditing:
    """The part of the backend that changes files of the configuration at `path`."""

    app: Application
    path: Path
    reloading: Reload = _no_reload
    _files: tuple[str, tuple[RulesFile, ...]] = ("", ())  # with the digest of the configuration they are of
    _checks: Turns = field(default_factory=lambda: Turns("configuration checks", at_once=1))
    _edits: asyncio.Lock = field(default_factory=asyncio.Lock)
    _looks: Turns = field(default_factory=lambda: Turns("searches and previews", at_once=2))

    @property
    def catalog(self) -> Catalog:
        return self.app.store.catalog

    @property
    def clock(self) -> Clock:
        return self.app.clock

    async def reload(self) -> RulesCheck:
        errors = await self.reloading(None)
        return RulesCheck(
            problems=errors.errors if errors else self.app.loaded.warnings, rules=tuple(self.app.current.rules)
        )

    async def rules_files(self) -> tuple[RulesFile, ...]:
        digest = await asyncio.to_thread(config.digest, self.path)
        if not digest or digest != self._files[0]:
            found = await asyncio.to_thread(config.rule_files, self.path)
            self._files = digest, tuple(RulesFile(name=f.file, text=f.text, digest=f.digest) for f in found)
        return self._files[1]

    def file_for(self, name: str) -> str:
        return str(self.path / name if self.path.is_dir() else self.path)

    async def check_rules(self, name: str, text: str) -> RulesCheck:
        try:
            loaded = await self._with(name, text)
        except ConfigErrors as errors:
            return RulesCheck(problems=errors.errors)
        failing = await asyncio.to_thread(config.rule_test_errors, loaded)
        return RulesCheck(problems=(*loaded.warnings, *failing), rules=tuple(rule.id for rule in loaded.rules))

    async def _require_files(self) -> None:
        """Raise Conflict where the files are on another machine. Raises StoreError."""
        if self.app.follower is not None:
            await self.app.follower.require_files()

    async def rule_item(self, rule_id: str) -> RuleItem:
        await self._require_files()
        return config.item_of(await self.rules_files(), rule_id)

    def fill_rule(self, item: str, form: Mapping[str, str]) -> RuleItem:
        return config.filled(item, form, tuple(self.app.current.rules))

    async def edit_rule(self, edit: RuleEdit) -> EditedRules:
        await self._require_files()
        files = await self.rules_files()
        return await asyncio.to_thread(config.apply_edit, files, edit)

    async def undo(self, undo_id: str) -> Undo:
        number = edit_of_undo(undo_id)
        if number is None:
            return await self.catalog.undo(undo_id, self.clock.now())
        try:
            edit = await self.catalog.edit(number)
        except NotFound:
            raise NotFound("change", undo_id, why="it was made too long ago, or never") from None
        await self.undo_edit(number)
        return Undo(id=undo_id, kind=f"edit of {edit.about or edit.file}", made_at=edit.at, count=1)

    async def undo_edit(self, edit_id: int) -> RulesFile:
        edit = await self.catalog.edit(edit_id)
        if edit.about.startswith(FEEDS):
            return await self._undo_of_feeds(edit)
        file = await self._known_file(edit.file)
        text = undone(file.text.replace("\r\n", "\n"), edit)
        return await self._save(file, text, file.digest, about=edit.about, undoes=edit.id)

    async def write_feeds(
        self, rows: Sequence[Mapping[str, object]], *, about: str = "", by_title: bool = False
    ) -> tuple[tuple[str, ...], int | None]:
        """Add feeds and reload; return their ids, and the number of the edit if it can be undone."""
        await self._require_files()
        async with self._edits:  # two edits of one file would undo each other
            found = await asyncio.to_thread(config.digest, self.path)
            added = await asyncio.to_thread(config.add_feeds, self.path, rows, by_title=by_title)
        await self.reloading(found)
        ids, (file, before, after) = tuple(one.id for one in added), added[0].change
        edit = edit_between(file, before, after, about=FEEDS + (about or ids[0]), at=self.clock.now())
        return ids, (await self._keep(edit)).id

    async def change_feeds(self, changes: Mapping[str, Mapping[str, object] | None], *, about: str) -> int | None:
        await self._require_files()
        async with self._checks.turn(), self._edits:
            found = await asyncio.to_thread(config.digest, self.path)
            changed = await asyncio.to_thread(config.change_feeds, self.path, changes)
        await self.reloading(found)
        kept = [
            await self._keep(edit_between(one.file, one.before, one.after, about=FEEDS + about, at=self.clock.now()))
            for one in changed
        ]
        return kept[0].id if len(kept) == 1 else None

    async def _undo_of_feeds(self, edit: Edit) -> RulesFile:
        await self._require_files()
        async with self._checks.turn(), self._edits:
            found = await asyncio.to_thread(config.digest, self.path)
            file = await asyncio.to_thread(config.read_file, self.path, edit.file)
            text = undone(file.text, edit)
            await asyncio.to_thread(config.replace_text, self.path, edit.file, text)
        await self.reloading(found)
        again = edit_between(edit.file, file.text, text, about=edit.about, at=self.clock.now(), undoes=edit.id)
        kept = await self._keep(again)
        return RulesFile(name=edit.file, text="", digest="", edit=kept.id)

    async def _keep(self, edit: Edit) -> Edit:
        """Keep an edit so that it can be undone, unless its lines hold a secret."""
        changed = edit.removed + edit.added
        return await self.catalog.add_edit(edit) if changed and self.app.redact(changed) == changed else edit

    async def save_rules(self, name: str, text: str, expected_digest: str, *, about: str = "") -> RulesFile:
        return await self._save(await self._known_file(name), text, expected_digest, about=about)

    async def _save(
        self, file: RulesFile, text: str, expected_digest: str, *, about: str, undoes: int | None = None
    ) -> RulesFile:
        written = _with_ends_of(file, text)
        async with self._checks.turn(), self._edits:
            found = await asyncio.to_thread(config.digest, self.path)
            await asyncio.to_thread(config.save_file, self.path, Path(file.name), written, before=expected_digest)
        await self.reloading(found)
        before, after = (one.replace("\r\n", "\n") for one in (file.text, text))
        edit = edit_between(file.name, before, after, about=about, at=self.clock.now(), undoes=undoes)
        return replace(await self._known_file(file.name), edit=(await self._keep(edit)).id)

    async def preview(self, name: str, text: str, since: datetime, until: datetime | None = None) -> Preview:
        edited = {rule.id: rule for rule in (await self._with(name, text)).rules}
        running = self.app.current.rules
        touched = [
            rule_id
            for rule_id in {**running, **edited}
            if rule_id not in running or rule_id not in edited or running[rule_id].version != edited[rule_id].version
        ]
        old, new = (
            [rules[i] for i in touched if i in rules and rules[i].config.enabled] for rules in (running, edited)
        )
        if not touched:
            return Preview(since=since, entries=0)
        return await self._effect(old, new, since, until, PREVIEW_S)

    async def matches(self, since: datetime) -> Preview:
        running = [rule for rule in self.app.current.rules.values() if rule.config.enabled]
        return await self._effect([], running, since, None, MATCHES_S)

    async def _effect(
        self, old: Sequence[Rule], new: Sequence[Rule], since: datetime, until: datetime | None, within_s: float
    ) -> Preview:
        async with self._looks.turn():
            done = await backtest(self.catalog, self.app.current, old, new, since=since, until=until, within_s=within_s)
        return Preview(
            since=since,
            entries=done.entries,
            changes=tuple(tally.change(rule) for rule, tally in done.tallies.items()),
            complete=done.complete,
        )

    async def proposals(self, rule_id: str) -> tuple[Exclusion, ...]:
        if rule_id not in self.app.current.rules:
            raise NotFound("rule", rule_id, list(self.app.current.rules))
        async with self._looks.turn():
            since = self.clock.now() - timedelta(days=30)
            words, entries = await count_words(self.catalog, since, PROPOSAL_SAMPLE)
            rule = self.app.current.rules[rule_id]
            return await propose_exclusions(self.catalog, rule, frequencies=words, entries=entries)

    async def _with(self, name: str, text: str) -> config.Loaded:
        """Return the configuration with `text` in place of that file. Raises ConfigErrors, Conflict, NotFound, Busy."""
        running, file = self.app.loaded, await self._known_file(name)
        text = _with_ends_of(file, text)
        if file.text == text and self._files[0] == running.digest:
            return running

        def tried() -> config.Loaded:
            config.restrict(Path(name), text)
            return config.load(self.path, os.environ, edited={Path(name): text}, before=running)

        async with self._checks.turn():
            return await asyncio.to_thread(tried)

    async def _known_file(self, name: str) -> RulesFile:
        await self._require_files()
        files = {file.name: file for file in await self.rules_files()}
        if name not in files:
            raise NotFound("file", name, list(files))
        return files[name]


def _with_ends_of(file: RulesFile, text: str) -> str:
    """Restore the file's line ends, which browsers change: they are no edit of a rule."""
    return text.replace("\n", "\r\n") if "\r\n" in file.text and "\r\n" not in text else text
