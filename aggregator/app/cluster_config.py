"""The configuration of a cluster: pushed by the node that has the files, followed by all."""

import asyncio
import logging
import os
import socket
from collections.abc import Callable, Mapping, Set
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

from msgspec import structs

from aggregator.config import DATABASE, Loaded
from aggregator.config.stored import (
    TERMS,
    ConfigTexts,
    FeedReader,
    feed_options,
    load_texts,
    read_texts,
    texts_digest,
    unparsed,
)
from aggregator.core.errors import ConfigError, ConfigErrors, Conflict, StoreError
from aggregator.core.model import ConfigVersion, StoredConfig
from aggregator.core.redaction import Redactor
from aggregator.core.versions import Verdict, pusher, rollback, verdict
from aggregator.pipeline.context import ActiveConfig
from aggregator.ports import Cluster
from aggregator.store import Store, read_stored_config

log = logging.getLogger(__name__)

NODE = "AGGREGATOR_NODE"
LISTEN_AGAIN_S = 5.0
HISTORY = 1000  # configurations among which files that stayed behind are recognised
_EPOCH = datetime.fromtimestamp(0, UTC)

NOTHING = (
    "the database holds no configuration yet; start `aggregator run` where the files are, "
    "or put them in force with `aggregator config push`"
)


def node_name() -> str:
    """Return the name of this node: $AGGREGATOR_NODE, else the machine's."""
    return os.environ.get(NODE) or socket.gethostname()


def pushes_as(path: Path) -> str:
    """Return who pushes from these files."""
    return f"{node_name()}:{path.absolute()}"


def to_store(texts: ConfigTexts, by: str) -> StoredConfig:
    version = ConfigVersion(number=0, digest=texts.digest, by=by, at=_EPOCH)
    return StoredConfig(version=version, files=texts.files, feeds=texts.feeds)


async def push_files(cluster: Cluster, path: Path, loaded: Loaded, *, base: int | None = None) -> ConfigVersion:
    """Put files in force, whatever is. Raises Conflict if `base` is no longer in force, StoreError."""
    texts = await asyncio.to_thread(read_texts, path, loaded)
    options = await asyncio.to_thread(feed_options, loaded)
    return await cluster.push(to_store(texts, pushes_as(path)), loaded.config.feeds, options, base=base)


async def roll_back(cluster: Cluster, stored: StoredConfig) -> ConfigVersion:
    """Put an earlier configuration in force again. Raises ConfigErrors if it is not valid here, StoreError."""
    loaded = await asyncio.to_thread(load_stored, stored, os.environ, whole=True, web=True)
    if loaded.faults:
        raise ConfigErrors(loaded.faults)
    head = await cluster.head()
    by = pusher(head.by) if head else node_name()  # who pushed last may go on pushing
    version = structs.replace(stored.version, by=rollback(by, stored.version.number))
    options = await asyncio.to_thread(feed_options, loaded)
    return await cluster.push(structs.replace(stored, version=version), loaded.config.feeds, options)


def shown_files(stored: StoredConfig, redact: Redactor) -> dict[str, str]:
    """Return the files of a configuration by name, without the secrets that are written in them."""
    files = dict(sorted((*stored.files, *stored.feeds)))
    secrets: frozenset[str] = frozenset()
    with suppress(ConfigErrors):  # no longer valid here: what is known must do
        secrets = load_stored(stored, {}, whole=True, web=True).secrets
    also = Redactor(secrets)
    return {name: also(redact(text)) for name, text in files.items()}


def file_texts(path: Path, loaded: Loaded, redact: Redactor) -> dict[str, str]:
    """Return the files behind a path by name, without the secrets that are written in them. Raises ConfigErrors."""
    texts = read_texts(path, loaded)
    return {name: redact(text) for name, text in sorted((*texts.files, *texts.feeds))}


class Holder(Protocol):
    """The application, as far as its configuration goes."""

    loaded: Loaded
    current: ActiveConfig
    store: Store

    def take(self, loaded: Loaded, current: ActiveConfig) -> None: ...

    def note_secrets(self, found: Set[str]) -> None: ...

    def activated(self, loaded: Loaded, version: ConfigVersion, reader: FeedReader) -> ActiveConfig: ...


class ClusterConfig:
    """Keeps a process on the configuration in force; where it has files, it pushes their edits.

    `whole`: with all feeds; else only with what every node needs, rules and channels. `web`: with the passwords of
    the page.
    """

    def __init__(self, app: Holder, cluster: Cluster, path: Path | None, *, whole: bool, web: bool) -> None:
        self._app, self._cluster, self._path = app, cluster, path
        self._whole, self._web = whole, web
        self._turn = asyncio.Lock()
        self._base: int | None = None  # the number of which the files are

    @property
    def number(self) -> int:
        return self._app.current.number

    async def require_files(self) -> None:
        """Raise Conflict, which says where the files are, if this process has none. Raises StoreError."""
        if self._path is None and (head := await self._cluster.head()):
            raise Conflict(
                f"this process has no configuration files: configuration {head.number} was put in force by "
                f"{pusher(head.by)}; edit the files there, or put others in force with `aggregator config push`"
            )

    async def start(self) -> None:
        """Put the files in force where that is safe, and follow what is. Raises StoreError, ConfigErrors."""
        head = await self._cluster.head()
        if self._path is None:
            if head is None:
                raise StoreError(NOTHING)
        else:
            loaded, current = self._app.loaded, self._app.current
            texts = await asyncio.to_thread(read_texts, self._path, loaded)
            said = await self._verdict(head, texts)
            if said == "push":
                head = await push_files(self._cluster, self._path, loaded, base=head.number if head else 0)
                log.info("configuration %d is in force", head.number)
            if said in ("push", "same"):
                assert head is not None
                self._base = head.number
                self._app.take(loaded, _numbered(current, head, self._reader()))
                return
            assert head is not None
            await self._refuse_another_installation(head, loaded)
            log.warning("%s", self._left_alone(head, said))
        await self.follow(force=True)

    async def put_in_force(self, loaded: Loaded, current: ActiveConfig) -> ActiveConfig:
        """Push an edit of the files. Raises ConfigErrors where that is left to a person, StoreError."""
        assert self._path is not None
        async with self._turn:
            head = await self._cluster.head()
            texts = await asyncio.to_thread(read_texts, self._path, loaded)
            said = await self._verdict(head, texts)
            if head is not None and said in ("stale", "foreign"):
                message, _, hint = self._left_alone(head, said).partition("; ")
                raise ConfigErrors([ConfigError(file=str(self._path), line=1, column=1, message=message, hint=hint)])
            head = await push_files(self._cluster, self._path, loaded, base=head.number if head else 0)
            self._base = head.number
            return _numbered(current, head, self._reader())

    async def hear(self, heard: Callable[[], object]) -> None:
        """Call `heard` whenever a push is announced; looks now and then are for announcements that get lost."""
        while True:
            await self._cluster.listen(heard)
            await asyncio.sleep(LISTEN_AGAIN_S)

    async def follow(self, *, at_least: int = 0, force: bool = False) -> bool:
        """Take over the configuration in force; return whether it is new here. Raises ConfigErrors, StoreError."""
        if not force and at_least and self.number >= at_least:
            return False
        async with self._turn:
            head = await self._cluster.head()
            if head is None or (not force and head.number <= self.number):
                return False
            stored = await self._cluster.config(feeds=self._whole)
            assert stored is not None
            before = self._app.loaded
            loaded = await asyncio.to_thread(self.load, stored, before)
            current = await asyncio.to_thread(self._app.activated, loaded, stored.version, self._reader())
            self._app.take(loaded, current)
            for fault in loaded.faults:
                log.error("this node lacks a part of configuration %d: %s", stored.version.number, fault)
            log.info("following configuration %d by %s", stored.version.number, stored.version.by)
            return True

    def load(self, stored: StoredConfig, before: Loaded | None = None) -> Loaded:
        return load_stored(
            stored, self._environ(), whole=self._whole, web=self._web, folder=self._folder(), before=before
        )

    def _environ(self) -> Mapping[str, str]:
        """Return the environment with the address of the database that is open."""
        database = self._app.loaded.config.settings.database
        return {**os.environ, DATABASE: database.get_secret_value()} if database else os.environ

    def _folder(self) -> Path:
        return Path() if self._path is None else folder_of(self._path)

    def _reader(self) -> FeedReader:
        return FeedReader(os.environ, self._app.note_secrets, self._folder())

    async def _verdict(self, head: ConfigVersion | None, texts: ConfigTexts) -> Verdict:
        assert self._path is not None
        older = [one.digest for one in await self._cluster.history(HISTORY)]
        return verdict(head, texts.digest, pushes_as(self._path), older, base=self._base)

    async def _refuse_another_installation(self, head: ConfigVersion, loaded: Loaded) -> None:
        """Raise Conflict if the files share no feed with the database: two clusters on one by mistake."""
        mine = [feed.id for feed in loaded.config.feeds]
        if mine and await self._cluster.is_foreign(mine):
            raise Conflict(
                f"the database follows configuration {head.number} by {head.by}, and none of its feeds is in "
                f"{self._path}: is it another installation's? Name another database, or put these files in force "
                "with `aggregator config push`"
            )

    def _left_alone(self, head: ConfigVersion, said: Verdict) -> str:
        why = (
            "these are the files of an earlier one" if said == "stale" else f"it was put in force by {pusher(head.by)}"
        )
        return (
            f"{self._path} is not in force: configuration {head.number} is, and {why}; "
            "see `aggregator config diff`, and put the files in force with `aggregator config push`"
        )


def load_stored(
    stored: StoredConfig,
    environ: Mapping[str, str],
    *,
    whole: bool,
    web: bool,
    folder: Path = Path(),
    before: Loaded | None = None,
) -> Loaded:
    """Build a stored configuration. Raises ConfigErrors; see `config.load_texts`."""
    files = tuple(sorted((*stored.files, *(stored.feeds if whole else ()))))
    return load_texts(files, environ, digest=stored.version.digest, whole=whole, web=web, folder=folder, before=before)


def load_from_database(url: str, *, whole: bool, web: bool) -> Loaded:
    """Return the configuration in force in a database. Raises StoreError, ConfigErrors."""
    stored = read_stored_config(url, feeds=whole)
    if stored is None:
        raise StoreError(NOTHING)
    return load_stored(stored, {**os.environ, DATABASE: url}, whole=whole, web=web)


def load_in_force(path: Path) -> Loaded | None:
    """Return the configuration in force without its feeds, where many large files say the same; None: load them."""
    found = unparsed(path, os.environ)
    if found is None or not found[0].startswith("postgres"):
        return None
    address, files = found
    with suppress(StoreError):  # which opening the database reports
        stored = read_stored_config(address, feeds=False)
        fetched = [(name, text) for name, text in stored.files if name == TERMS] if stored else []
        if stored is not None and texts_digest([*files, *fetched]) == stored.version.digest:
            return load_stored(
                stored, {**os.environ, DATABASE: address}, whole=False, web=False, folder=folder_of(path)
            )
    return None


def folder_of(path: Path) -> Path:
    """Return the folder of the configuration files."""
    return path if path.is_dir() else path.parent


def _numbered(current: ActiveConfig, version: ConfigVersion, reader: FeedReader) -> ActiveConfig:
    return replace(current, number=version.number, since=version.at, read_feed=reader.read)
