"""Everything that may be wrong with a database is said in one sentence, and nothing is ever made anew in its place."""

import os
import resource
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import timedelta
from pathlib import Path
from tempfile import mkdtemp

import psycopg
import pytest
from sqlalchemy import create_engine, text

from aggregator.core.errors import DatabaseFault, SchemaOutOfDate, StoreError
from aggregator.core.model import Entry
from aggregator.store import Store, open_store
from aggregator.store.engine import make_engine, set_pragmas
from aggregator.store.inspect import inspect_database
from aggregator.store.location import parse_location
from aggregator.store.migrations import REVISIONS
from tests.support.postgres import PostgresServer, postgres
from tests.support.records import NOW, feed

__all__ = ["postgres"]

pytestmark = pytest.mark.anyio

SECRET = "hunter2"


def opened(where: Path | str, **options: bool) -> Store:
    """The store behind a path or URL."""
    url = where if isinstance(where, str) else f"sqlite:///{where}"

    def index_text(entry: Entry) -> str:
        return entry.title

    return open_store(url, index_text=index_text, **options)


async def use(store: Store) -> None:
    """What every command does in some way: read, then write."""
    await store.catalog.feeds()
    await store.feeds.sync([feed()], NOW)


async def complaint(where: Path | str) -> str:
    """What a command answers that wants to use the database."""
    async with opened(where) as store:
        with pytest.raises(StoreError) as caught:
            await use(store)
    return one_sentence(caught.value)


async def refusal(where: Path | str, **options: bool) -> str:
    """What `db upgrade`, and so every start, answers."""
    async with opened(where, **options) as store:
        with pytest.raises(StoreError) as caught:
            await store.maintenance.upgrade()
    return one_sentence(caught.value)


def one_sentence(error: StoreError) -> str:
    said = str(error)
    assert "\n" not in said
    assert "SELECT" not in said
    return said


@pytest.fixture
async def made(tmp_path: Path) -> Path:
    """A database that is well."""
    path = tmp_path / "aggregator.db"
    async with opened(path) as store:
        await store.maintenance.upgrade()
        await use(store)
    return path


@pytest.fixture
def public_folder() -> Iterator[Path]:
    """A folder that other users may enter."""
    folder = Path(mkdtemp(prefix="aggregator-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


@contextmanager
def not_root() -> Iterator[None]:
    """Nobody's rights, where the tests run as root, to whom every file is writable."""
    root = os.geteuid() == 0
    if root:
        os.seteuid(65534)
    try:
        yield
    finally:
        if root:
            os.seteuid(0)


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("nonsense", "is not a database URL"),
        ("sqlite://", "not a valid SQLite URL"),
        ("sqlite:///:memory:", "not a valid SQLite URL"),
        (f"mysql://user:{SECRET}@localhost/db", "is not a database URL|only sqlite and postgresql"),
        (f"nosuch+driver://user:{SECRET}@localhost/db", "is not a database URL"),
    ],
)
async def test_url_that_is_none(url: str, said: str) -> None:
    """A bad settings.database is refused at once, and its password is not repeated."""
    with pytest.raises(StoreError, match=said) as caught:
        opened(url)
    assert SECRET not in str(caught.value)


async def test_missing_database_is_not_created_by_use(tmp_path: Path) -> None:
    """Only an upgrade creates; a wrong path is an error, not an empty database."""
    path = tmp_path / "aggregator.db"
    assert "create it with `aggregator db upgrade`" in await complaint(path)
    assert not path.exists()


async def test_last_directory_is_created(tmp_path: Path) -> None:
    """`var/` need not exist; a path that is wrong earlier is an error, unless it is our own."""
    async with opened(tmp_path / "var" / "aggregator.db") as store:
        await store.maintenance.upgrade()
    far = tmp_path / "state" / "deep" / "aggregator.db"
    assert f"there is no directory {tmp_path / 'state'}" in await refusal(far)
    async with opened(far, make_dirs=True) as store:
        await store.maintenance.upgrade()
    assert far.exists()


async def test_directory_in_place_of_a_database(tmp_path: Path) -> None:
    """A directory is named as such."""
    assert "is a directory" in await complaint(tmp_path)
    assert "is a directory" in await refusal(tmp_path)


@pytest.mark.parametrize("content", [b"hello, world\n" * 100, b"\x00\xff" * 4000])
async def test_file_that_is_no_database(tmp_path: Path, content: bytes) -> None:
    """Whatever else it is, it is left as it was."""
    path = tmp_path / "aggregator.db"
    path.write_bytes(content)
    assert "is not an SQLite database" in await complaint(path)
    assert "is not an SQLite database" in await refusal(path)
    assert path.read_bytes() == content


async def test_damaged_database(made: Path) -> None:
    """A page of noise is found by `db check`, and never repaired by forgetting."""
    with closing(sqlite3.connect(made)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        (root,) = connection.execute("SELECT rootpage FROM sqlite_master WHERE name = 'feeds'").fetchone()
        (size,) = connection.execute("PRAGMA page_size").fetchone()
    with made.open("r+b") as file:
        file.seek((root - 1) * size)
        file.write(b"\xa5" * size)
    assert "is damaged; restore the latest backup" in await complaint(made)
    async with opened(made) as store:
        assert any("damaged" in line for line in await store.maintenance.check())
        with pytest.raises(StoreError, match="damaged"):
            await store.maintenance.backup(str(made.with_suffix(".backup")))
    assert not made.with_suffix(".backup").exists()


async def test_truncated_database(made: Path) -> None:
    """Half a file is damaged, not new."""
    with closing(sqlite3.connect(made)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    with made.open("r+b") as file:
        file.truncate(made.stat().st_size // 2)
    assert "damaged" in await complaint(made)


async def test_database_of_another_program(tmp_path: Path) -> None:
    """Tables that are not ours are not touched."""
    path = tmp_path / "other.db"
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("CREATE TABLE cookies (name TEXT)")
    assert "belongs to another program" in await complaint(path)
    assert "belongs to another program" in await refusal(path)


def set_revision(path: Path, revision: str) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE alembic_version SET version_num = ?", [revision])


async def test_newer_database(made: Path) -> None:
    """An older program does not touch what a newer one made; both revisions are named."""
    set_revision(made, "0999")
    for said in (await complaint(made), await refusal(made)):
        assert f"schema 0999, newer than {REVISIONS[-1]}" in said
        assert "newer program" in said
    async with opened(made) as store:
        with pytest.raises(SchemaOutOfDate):
            await store.catalog.stats()
        assert "newer" in (await store.maintenance.check())[0]


async def test_older_database(made: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A program that was updated asks for the upgrade."""
    monkeypatch.setattr("aggregator.store.engine.REVISIONS", (*REVISIONS, "0998"))
    said = await complaint(made)
    assert f"schema {REVISIONS[-1]}, this program needs 0998" in said
    assert "db upgrade" in said


async def test_locked_database(made: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A writer that never ends is waited for, then named; reading goes on meanwhile."""
    monkeypatch.setattr("aggregator.store.engine.BUSY_MS", 50)
    with closing(sqlite3.connect(made, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        async with opened(made) as store:
            assert len(await store.catalog.feeds()) == 1
            with pytest.raises(StoreError, match="is locked by another process"):
                await store.feeds.sync([feed("b")], NOW)
            other.execute("ROLLBACK")
            await store.feeds.sync([feed("b")], NOW)


async def test_full_disk(made: Path) -> None:
    """What does not fit fails as a whole; what is there stays readable, and writing goes on when there is room."""
    async with opened(made) as store:
        await use(store)
        limit_pages(store, 1)
        with pytest.raises(StoreError, match="the disk is full"):
            await store.feeds.sync([feed(f"f{n}", title="x" * 2000) for n in range(2000)], NOW)
        assert [summary.state.id for summary in await store.catalog.feeds()] == ["a"]
        limit_pages(store, 1_000_000)
        await store.feeds.sync([feed("a"), feed("b")], NOW)


def limit_pages(store: Store, pages: int) -> None:
    """Let the file grow no further than this, or than it is."""
    engine = store.feeds._writer._database._writing  # type: ignore[attr-defined]
    with engine.connect() as connection:
        connection.exec_driver_sql(f"PRAGMA max_page_count = {pages}")


async def test_unreadable_database(public_folder: Path) -> None:
    """No right to read: said, with what to do."""
    path = public_folder / "aggregator.db"
    async with opened(path) as store:
        await store.maintenance.upgrade()
    path.chmod(0o600)
    with not_root():
        assert "give this user read and write permission" in await complaint(path)


async def test_read_only_database(public_folder: Path) -> None:
    """No right to write: said, with what to do."""
    path = public_folder / "aggregator.db"
    async with opened(path) as store:
        await store.maintenance.upgrade()
    path.chmod(0o444)
    with not_root():
        assert "give this user write permission" in await complaint(path)


async def test_directory_that_is_not_writable(public_folder: Path) -> None:
    """A database cannot be created where one may not write."""
    with not_root():
        assert "give this user write permission" in await refusal(public_folder / "aggregator.db")
        assert "cannot be created" in await refusal(public_folder / "var" / "aggregator.db")


def test_file_system_without_a_shared_log() -> None:
    """Where SQLite silently keeps another journal, we do not go on."""
    with (
        closing(sqlite3.connect(":memory:")) as connection,
        pytest.raises(StoreError, match="cannot use a write-ahead log"),
    ):
        set_pragmas(connection, parse_location("sqlite:///x.db"), writing=True)


async def test_backup_says_why_it_cannot_be_written(made: Path, tmp_path: Path) -> None:
    """A missing directory is named; nothing half written stays behind."""
    async with opened(made) as store:
        with pytest.raises(StoreError, match="there is no directory"):
            await store.maintenance.backup(str(tmp_path / "none" / "backup.db"))
    assert not list(tmp_path.glob("**/*.part"))


async def test_closed_store_says_so(made: Path) -> None:
    """A write after the end is refused, not lost."""
    store = opened(made)
    await store.close()
    with pytest.raises(StoreError, match="is closed"):
        await store.feeds.sync([], NOW)


async def test_server_that_is_not_there() -> None:
    """A refused connection names the server and not the password."""
    said = await complaint(f"postgresql://user:{SECRET}@127.0.0.1:1/news")
    assert "database news on 127.0.0.1 cannot be reached" in said
    assert SECRET not in said


@pytest.mark.postgres
async def test_database_that_is_not_there(postgres: PostgresServer) -> None:
    """The server answers, the database does not exist."""
    said = await complaint(postgres.create().replace("/aggregator_", "/nowhere_"))
    assert "does not exist; create it with createdb" in said


@pytest.mark.postgres
async def test_server_without_our_tables(postgres: PostgresServer) -> None:
    """An empty database asks for the upgrade; a newer one for the newer program, unless that has let this one in."""
    url = postgres.create()
    assert "has no tables yet; run `aggregator db upgrade`" in await complaint(url)
    async with opened(url) as store:
        await store.maintenance.upgrade()
    engine = create_engine(url)
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '0999'"))
    assert inspect_database(url).is_current
    async with opened(url) as store:
        assert await store.catalog.entries() == ()
        await store.maintenance.upgrade()
    for oldest, says in (("99.1", "needs aggregator 99.1 or newer"), ("", "use the newer program")):
        with engine.begin() as connection:
            connection.execute(text("UPDATE cluster SET value = :v WHERE name = 'oldest_program'"), {"v": oldest})
        said = await refusal(url)
        assert f"schema 0999, newer than {REVISIONS[-1]}" in said
        assert says in said
        assert inspect_database(url).is_newer
    engine.dispose()


@pytest.mark.postgres
async def test_a_lock_that_somebody_keeps_is_not_waited_for_without_end(postgres: PostgresServer) -> None:
    """Who reads and who writes is told, as with SQLite; an upgrade waits, and another limit in the URL holds."""
    url = postgres.create("")
    async with opened(url) as store:
        await store.maintenance.upgrade()
    engine = create_engine(url)
    short = f"{url}{'&' if '?' in url else '?'}options=-c%20lock_timeout%3D50ms"
    with engine.begin() as connection:
        connection.execute(text("LOCK TABLE feeds IN ACCESS EXCLUSIVE MODE"))
        async with opened(short) as store:
            for attempt in (store.catalog.feeds(), store.feeds.sync([feed()], NOW)):
                with pytest.raises(DatabaseFault) as caught:
                    await attempt
                assert "is locked by another process" in one_sentence(caught.value)
                assert caught.value.kind == "locked"
    engine.dispose()
    limits = []
    for create in (False, True):
        usual = make_engine(parse_location(url), writing=True, create=create)
        with usual.connect() as connection:
            limits.append(connection.execute(text("SHOW lock_timeout")).scalar())
        usual.dispose()
    assert limits == ["20s", "0"]


@pytest.mark.postgres
async def test_backup_of_a_server_is_pg_dump(postgres: PostgresServer, tmp_path: Path) -> None:
    """What we cannot do well is said, with who can."""
    async with opened(postgres.emptied()) as store:
        with pytest.raises(StoreError, match="pg_dump"):
            await store.maintenance.backup(str(tmp_path / "backup"))


@contextmanager
def failing_disk() -> Iterator[None]:
    """No file can be written by this process."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


async def test_leases_that_a_fault_kept_are_freed_by_the_next_claim(made: Path) -> None:
    """Once the disk is back nobody waits for the end of a lease; a lease that somebody else took stays."""
    async with opened(made) as store:
        await store.feeds.sync([feed("a"), feed("b"), feed("c")], NOW)
        claimed = await store.feeds.claim_due(NOW, owner="me", lease_s=300, limit=3, ids=["a", "b", "c"])
        assert len(claimed) == 3
        with failing_disk(), pytest.raises(DatabaseFault):
            await store.feeds.release(["a", "b"], owner="me")
        at = NOW + timedelta(seconds=1)
        with failing_disk(), pytest.raises(DatabaseFault):
            await store.feeds.claim_due(at, owner="me", lease_s=300, limit=3)
        again = await store.feeds.claim_due(at, owner="me", lease_s=300, limit=3)
        assert [state.id for state in again] == ["a", "b"]
        assert await store.feeds.claim_due(at, owner="me", lease_s=300, limit=3) == (), "they are freed once"
        assert store.maintenance.fault() is None


@pytest.mark.parametrize("fate", ["deleted", "replaced", "moved away", "directory moved away"])
async def test_file_that_is_gone_is_noticed(made: Path, fate: str) -> None:
    """Deleted, replaced or on a disk that is away: seen without a write, refused to all, and nothing new is made."""
    async with opened(made) as store:
        await use(store)
        assert store.maintenance.fault() is None
        other = shutil.copy(made, made.with_name("other.db"))
        match fate:
            case "deleted":
                made.unlink()
            case "replaced":
                Path(other).rename(made)
            case "moved away":
                made.rename(made.with_name("elsewhere.db"))
            case _:
                made.parent.rename(made.parent.with_name("unmounted"))
        before = sorted(made.parent.iterdir()) if made.parent.exists() else None
        fault = store.maintenance.fault()
        assert fault
        assert fault.kind == "gone"
        assert str(made) in one_sentence(fault)
        for attempt in (store.feeds.sync([feed("b")], NOW), store.catalog.feeds()):
            with pytest.raises(DatabaseFault) as caught:
                await attempt
            assert caught.value.kind == "gone"
        if before is not None:
            assert sorted(made.parent.iterdir()) == before


@pytest.mark.parametrize("ending", ["-wal", "-shm"])
@pytest.mark.parametrize("again", [False, True])
async def test_log_that_is_gone_is_noticed(made: Path, ending: str, again: bool) -> None:
    """Deleted, also if another process began a new one: refused to all, and the close saves what was written."""
    async with opened(made) as store:
        await use(store)
        beside = made.with_name(made.name + ending)
        beside.rename(made.with_name("away"))
        if again:
            beside.touch()
        fault = store.maintenance.fault()
        assert fault
        assert fault.kind == "gone"
        assert beside.name in one_sentence(fault)
        with pytest.raises(DatabaseFault):
            await store.feeds.sync([feed("b")], NOW)
        beside.unlink(missing_ok=True)
    async with opened(made) as store:
        assert [one.state.id for one in await store.catalog.feeds()] == ["a"]


async def test_file_that_is_written_by_others_is_the_same(made: Path) -> None:
    """A second process, a backup and VACUUM leave the file the one that was opened."""
    async with opened(made) as store:
        await use(store)
        async with opened(made) as second:
            await use(second)
        await store.maintenance.backup(str(made.with_name("backup.db")))
        with closing(sqlite3.connect(made)) as database:
            database.execute("VACUUM")
        await use(store)
        assert store.maintenance.fault() is None


@pytest.mark.postgres
async def test_tables_that_are_gone_are_noticed(postgres: PostgresServer) -> None:
    """A database that was made anew under the service is no longer the one whose schema was looked at."""
    url = postgres.create()
    async with opened(url) as store:
        await store.maintenance.upgrade()
        await use(store)
        with psycopg.connect(url.replace("+psycopg", ""), autocommit=True) as connection:
            connection.execute("DROP SCHEMA public CASCADE; CREATE SCHEMA public")
        with pytest.raises(DatabaseFault, match="gone"):
            await use(store)
        fault = store.maintenance.fault()
        assert fault
        assert fault.kind == "gone"


@pytest.mark.postgres
@pytest.mark.parametrize("encoding", ["LATIN1", "SQL_ASCII", "KOI8R"])
async def test_database_that_cannot_hold_every_script_is_refused(postgres: PostgresServer, encoding: str) -> None:
    """At the start and by every command, before an entry meets a letter that cannot be written."""
    url = postgres.create(f"ENCODING '{encoding}' LC_COLLATE 'C' LC_CTYPE 'C'")
    for said in (await refusal(url), await complaint(url), inspect_database(url).error or ""):
        assert encoding in said
        assert "createdb -E UTF8 -T template0" in said


@pytest.mark.parametrize("code", [sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN])
def test_a_full_disk_is_called_one(code: int) -> None:
    """SQLite says only that it cannot write or make a file beside the database (here where no byte is free)."""
    fault = sqlite3.OperationalError("disk I/O error")
    fault.sqlite_errorcode, fault.sqlite_errorname = code, "SQLITE_IOERR_SHMSIZE" if code == 10 else "SQLITE_CANTOPEN"
    assert "the disk is full; free some space" in str(parse_location("sqlite:////proc/a.db").translate(fault))
    assert "the disk is full" not in str(parse_location("sqlite:////tmp/a.db").translate(fault))
