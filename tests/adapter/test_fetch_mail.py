"""Mailboxes and Maildirs: read to the end, never touched, and under the same guard as the web."""

import asyncio
import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from msgspec.structs import replace

from aggregator.core.errors import BadStatus, FetchError, Forbidden, TooLarge, Unreachable
from aggregator.core.model import FeedState, Fetched, NotModified
from aggregator.core.settings import Feed, Http
from aggregator.core.text.bundles import unbundled
from aggregator.fetch.imap import encoded_folder
from aggregator.fetch.mail import MailFetcher
from aggregator.fetch.mail_limits import PER_POLL
from tests.support.certificates import FOLDER
from tests.support.imap_server import Folder, ImapServer

pytestmark = pytest.mark.anyio
DOVECOT = "/usr/sbin/dovecot"


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[ImapServer]:
    monkeypatch.setenv("SSL_CERT_FILE", str(FOLDER / "authority.pem"))
    with ImapServer() as made:
        yield made


def message(subject: str, sender: str = "press@treasury.example", text: str = "Text.") -> bytes:
    return f"From: Press <{sender}>\r\nSubject: {subject}\r\nMessage-ID: <{subject}@x>\r\n\r\n{text}\r\n".encode()


class Reader:
    """A feed of mail, polled again and again."""

    def __init__(
        self, url: str, password: str = 'a pass"word\\', *, http: Http | None = None, senders: str = "", **feed: object
    ) -> None:
        auth = {"password": password}
        wanted = {"from": senders} if senders else {}
        self.feed = Feed.model_validate({"id": "mail", "kind": "mail", "url": url, "auth": auth, **wanted, **feed})
        self.state = FeedState(id="mail", url=url, configured_url=url)
        self.fetcher = MailFetcher(http or Http.model_validate({"allow": ["127.0.0.0/8"], "timeout": "5s"}))

    async def poll(self) -> list[tuple[str, bytes]] | None:
        """The messages that are fetched; None: nothing is new."""
        answer = await self.fetcher.fetch(self.feed, self.state)
        if isinstance(answer, NotModified):
            return None
        assert isinstance(answer, Fetched)
        assert answer.delta
        self.state = replace(self.state, validators=answer.validators)
        return list(unbundled(answer.body))

    async def refused(self) -> FetchError:
        with pytest.raises(FetchError) as caught:
            await self.poll()
        return caught.value


async def test_messages_are_read_once_and_in_order(server: ImapServer) -> None:
    """UIDVALIDITY and UID are the identity; after them only what came since is asked for."""
    for n in (1, 2, 3):
        server.inbox.add(message(f"m{n}"))
    mail = Reader(server.url)
    assert await mail.poll() == [(f"7-{n}", message(f"m{n}")) for n in (1, 2, 3)]
    assert await mail.poll() is None
    server.inbox.add(message("m4"))
    assert await mail.poll() == [("7-4", message("m4"))]
    assert await mail.poll() is None


async def test_nothing_is_marked_or_deleted(server: ImapServer) -> None:
    """The folder is opened with EXAMINE, read with PEEK, and is afterwards what it was before."""
    server.inbox.add(message("m1"))
    before = server.state()
    mail = Reader(server.url, senders="*@treasury.example")
    assert await mail.poll()
    assert server.state() == before
    commands = {one.split(" ")[0] + (" " + one.split(" ")[1] if one.startswith("UID") else "") for one in server.said}
    assert commands == {"CAPABILITY", "AUTHENTICATE", "EXAMINE", "UID SEARCH", "UID FETCH", "LOGOUT"}
    assert all("BODY.PEEK[" in one for one in server.said if one.startswith("UID FETCH"))


async def test_a_new_validity_starts_over(server: ImapServer) -> None:
    """The UIDs mean other messages."""
    server.inbox.add(message("m1"))
    mail = Reader(server.url)
    await mail.poll()
    server.folders["INBOX"] = Folder(validity=8)
    server.inbox.add(message("other"))
    assert await mail.poll() == [("8-1", message("other"))]


async def test_many_messages_are_read_over_several_polls(server: ImapServer) -> None:
    """The first time the youngest, later the oldest first; none is left out, however far apart their numbers are."""
    for n in range(PER_POLL + 20):
        server.inbox.add(message(f"old {n}"))
    mail = Reader(server.url)
    first = await mail.poll()
    assert first is not None
    assert (len(first), first[-1][0]) == (PER_POLL, f"7-{PER_POLL + 20}")
    server.inbox.next_uid = 70_000
    for n in range(PER_POLL + 5):
        server.inbox.add(message(f"new {n}"))
    found = [name for _ in range(2) for name, _ in await mail.poll() or ()]
    assert found == [f"7-{70_000 + n}" for n in range(PER_POLL + 5)]
    assert await mail.poll() is None


async def test_bytes_of_one_poll_are_bounded(server: ImapServer) -> None:
    """What is beyond them comes with the next one."""
    for n in range(4):
        server.inbox.add(message(f"m{n}", text="x" * 30_000))
    mail = Reader(server.url, http=Http.model_validate({"allow": ["127.0.0.0/8"], "max_body": "50kB"}))
    assert [name for _ in range(2) for name, _ in await mail.poll() or ()] == ["7-1", "7-2", "7-3", "7-4"]


async def test_only_wanted_senders_are_fetched(server: ImapServer) -> None:
    """The bodies of the others stay on the server."""
    server.inbox.add(message("private", sender="friend@home.example"))
    server.inbox.add(message("wanted", sender="News@Treasury.example"))
    mail = Reader(server.url, senders="*@treasury.example")
    assert await mail.poll() == [("7-2", message("wanted", sender="News@Treasury.example"))]
    assert not any("UID FETCH 1 " in one for one in server.said)


async def test_what_is_wrong_is_said_without_the_password(server: ImapServer) -> None:
    """A wrong password, a folder that is not there."""
    error = await Reader(server.url, password="wrong-secret").refused()
    assert isinstance(error, BadStatus)
    assert (error.status, str(error)) == (401, "127.0.0.1: the server refused the user name or the password")
    error = await Reader(server.url.replace("INBOX", "Nowhere")).refused()
    assert isinstance(error, BadStatus)
    assert (error.status, str(error)) == (404, "127.0.0.1: there is no folder 'Nowhere'")
    assert "secret" not in "".join(server.said)


async def test_certificates_are_verified(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody is sent a password who cannot prove his name, unless the feed says so."""
    with ImapServer() as server:  # whose authority is unknown here
        error = await Reader(server.url).refused()
        assert str(error) == "127.0.0.1: TLS: certificate is from an unknown issuer"
        assert server.said == []
        assert await Reader(server.url, verify_tls=False).poll() == []
    monkeypatch.setenv("SSL_CERT_FILE", str(FOLDER / "authority.pem"))
    with ImapServer(tls="other-name") as server:
        assert "certificate" in str(await Reader(server.url).refused())


async def test_addresses_are_guarded_like_those_of_the_web(server: ImapServer) -> None:
    """Private ones only where they were opened, our own port never, and nothing past a proxy."""
    closed = Http.model_validate({"timeout": "2s"})
    error = await Reader(server.url, http=closed).refused()
    assert isinstance(error, Forbidden)
    assert f'http: {{allow: ["127.0.0.1:{server.port}"]}}' in str(error)
    for host in ("localhost", "[::1]", "127.1", "169.254.169.254", "[::ffff:127.0.0.1]"):
        assert isinstance(await Reader(f"imaps://me@{host}:{server.port}/", http=closed).refused(), Forbidden), host
    mail = Reader(server.url)
    mail.fetcher = MailFetcher(mail.fetcher._http, [server.port])
    assert "the service itself" in str(await mail.refused())
    assert "proxy" in str(await Reader(server.url, proxy="http://127.0.0.1:9").refused())
    assert server.said == []


async def test_a_server_that_is_not_there_is_unreachable() -> None:
    """As a feed's."""
    with ImapServer() as server:
        url = server.url
    assert isinstance(await Reader(url).refused(), Unreachable)


@pytest.mark.parametrize(
    ("command", "answer"),
    [
        ("", b""),
        ("CAPABILITY", b"* X\r\n" * 1000),
        ("EXAMINE", b"* 1 FETCH (BODY[] {4000000000}\r\n" + b"x" * 10_000),
        ("UID", b"* SEARCH " + b"1 " * 1000 + b"\r\n"),
        ("UID", b"* 1 FETCH (UID 1 BODY[] {99999999999999999999}\r\n"),
        ("UID", b"x" * 100_000),
        ("EXAMINE", b"* OK [UIDVALIDITY " + b"9" * 5000 + b"] x\r\n"),
    ],
    ids=["silent", "endless", "huge", "many", "number", "line", "validity"],
)
async def test_a_hostile_server_is_left(server: ImapServer, command: str, answer: bytes) -> None:
    """In the time of a request, and with no more memory than one may take."""
    server.inbox.add(message("m1"))
    server.hostile[command] = answer
    mail = Reader(server.url, http=Http.model_validate({"allow": ["127.0.0.0/8"], "timeout": "1s"}))
    error = await asyncio.wait_for(mail.refused(), 20)
    assert isinstance(error, Unreachable | TooLarge), error


async def test_control_characters_reach_no_server(server: ImapServer) -> None:
    """A folder or a password with a line break would be a command of its own."""
    assert isinstance(await Reader(server.url.replace("INBOX", "a%0d%0ab")).refused(), Forbidden)
    assert isinstance(await Reader(server.url, password="a\r\nb").refused(), Forbidden)
    assert server.said == []


def test_names_of_folders_areencoded_folder() -> None:
    """RFC 3501, 5.1.3."""
    assert encoded_folder("INBOX") == '"INBOX"'
    assert encoded_folder("Entwürfe") == '"Entw&APw-rfe"'
    assert encoded_folder("A&B") == '"A&-B"'
    assert encoded_folder('a"b\\c') == '"a\\"b\\\\c"'
    assert encoded_folder("台北") == '"&U,BTFw-"'


# --- Maildir -------------------------------------------------------------------------------------


class Maildir:
    """A Maildir as a delivery agent fills it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        for part in ("new", "cur", "tmp"):
            (root / part).mkdir(parents=True)

    def deliver(self, name: str, data: bytes) -> None:
        (self.root / "tmp" / name).write_bytes(data)
        (self.root / "tmp" / name).rename(self.root / "new" / name)

    def state(self) -> list[tuple[str, bytes, int]]:
        files = sorted(path for path in self.root.rglob("*") if path.is_file())
        return [(str(path), path.read_bytes(), path.stat().st_mtime_ns) for path in files]


async def test_a_maildir_is_read_and_left_as_it_is(tmp_path: Path) -> None:
    """New messages in `new` and `cur`; one that a reader of mail has moved is the same one."""
    folder = Maildir(tmp_path / "mail")
    folder.deliver("1.a.host", message("m1"))
    folder.deliver("2.b.host", message("m2"))
    before = folder.state()
    mail = Reader(f"maildir:{folder.root}")
    assert await mail.poll() == [("1.a.host", message("m1")), ("2.b.host", message("m2"))]
    assert await mail.poll() is None
    assert folder.state() == before
    (folder.root / "new" / "1.a.host").rename(folder.root / "cur" / "1.a.host:2,S")
    folder.deliver("3.c.host", message("m3"))
    found = await mail.poll()
    assert found is not None
    assert {name for name, _ in found} == {"1.a.host", "2.b.host", "3.c.host"}
    assert await mail.poll() is None


async def test_a_maildir_leads_nowhere_else(tmp_path: Path) -> None:
    """Links and special files are no messages, and a folder that is none is named."""
    folder = Maildir(tmp_path / "mail")
    (folder.root / "new" / "link").symlink_to("/etc/passwd")
    os.mkfifo(folder.root / "new" / "pipe")
    (folder.root / "new" / "folder").mkdir()
    folder.deliver("1.a.host", message("m1"))
    assert await Reader(f"maildir:{folder.root}").poll() == [("1.a.host", message("m1"))]
    assert "is not a Maildir" in str(await Reader(f"maildir:{tmp_path}").refused())
    assert "no such folder" in str(await Reader(f"maildir:{tmp_path / 'x'}").refused())


async def test_a_message_that_cannot_be_read_is_not_passed_over() -> None:
    """The poll fails and names it; once it can be read, nothing is missing."""
    with tempfile.TemporaryDirectory() as root:
        Path(root).chmod(0o755)
        folder = Maildir(Path(root) / "mail")
        mail = Reader(f"maildir:{folder.root}")
        assert await mail.poll() == []  # which also loads what nobody may load
        folder.deliver("1.a.host", message("m1"))
        folder.deliver("2.b.host", message("m2"))
        locked = folder.root / "new" / "1.a.host"
        locked.chmod(0)
        with unprivileged():
            error = await mail.refused()
        assert "1.a.host cannot be read: Permission denied" in str(error)
        locked.chmod(0o644)  # which makes it the younger one
        assert await mail.poll() == [("2.b.host", message("m2")), ("1.a.host", message("m1"))]


@contextmanager
def unprivileged() -> Iterator[None]:
    """Root, whom no permission keeps out, becomes nobody."""
    was_root = os.geteuid() == 0
    if was_root:
        os.seteuid(65_534)
    try:
        yield
    finally:
        if was_root:
            os.seteuid(0)


# --- a real server -------------------------------------------------------------------------------


@pytest.fixture
def dovecot(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[int, Path]]:
    """Dovecot over a Maildir: its port, and the folder."""
    if not Path(DOVECOT).exists():
        pytest.skip("Dovecot is not installed")
    from tests.support.receivers import free_port

    monkeypatch.setenv("SSL_CERT_FILE", str(FOLDER / "authority.pem"))
    port, home = free_port(), Path(tempfile.mkdtemp(prefix="dovecot", dir="/tmp"))
    home.chmod(0o755)
    mailbox = Maildir(home / "mail")
    me = pwd.getpwuid(os.getuid()).pw_name
    internal, login = ("dovecot", "dovenull") if me == "root" else (me, me)
    owner = pwd.getpwnam("nobody" if me == "root" else me)  # it never serves mail as root
    for part in (mailbox.root, *mailbox.root.iterdir()):
        os.chown(part, owner.pw_uid, owner.pw_gid)
    (home / "dovecot.conf").write_text(
        f"""base_dir = {home}/run
state_dir = {home}/state
log_path = {home}/log
protocols = imap
ssl = yes
ssl_cert = <{FOLDER}/good.pem
ssl_key = <{FOLDER}/good.pem
default_internal_user = {internal}
default_login_user = {login}
mail_location = maildir:{home}/mail
first_valid_uid = 1
first_valid_gid = 1
passdb {{
  driver = static
  args = password=secret-word
}}
userdb {{
  driver = static
  args = uid={owner.pw_uid} gid={owner.pw_gid} home={home}/mail
}}
service imap-login {{
  chroot =
  inet_listener imap {{
    port = 0
  }}
  inet_listener imaps {{
    address = 127.0.0.1
    port = {port}
  }}
}}
service anvil {{
  chroot =
}}
"""
    )
    with subprocess.Popen([DOVECOT, "-F", "-c", str(home / "dovecot.conf")], stderr=subprocess.PIPE) as process:
        from tests.support.harness import wait_for

        wait_for(lambda: _listens(port), 20)
        yield port, home / "mail"
        process.terminate()
    shutil.rmtree(home, ignore_errors=True)


def _listens(port: int) -> bool:
    import socket

    with socket.socket() as sock:
        return sock.connect_ex(("127.0.0.1", port)) == 0


async def test_dovecot_is_read_and_left_as_it_is(dovecot: tuple[int, Path]) -> None:
    """The same with a real server: what it stores of the messages is afterwards what it was before."""
    port, folder = dovecot

    def deliver(name: str, data: bytes) -> None:
        (folder / "tmp" / name).write_bytes(data)
        (folder / "tmp" / name).rename(folder / "new" / name)

    for n in (1, 2, 3):
        deliver(f"{n}.x.host", message(f"m{n}", sender="a@other.example" if n == 2 else "a@treasury.example"))
    mail = Reader(f"imaps://me@127.0.0.1:{port}/", password="secret-word", senders="*@treasury.example")
    found = await mail.poll()
    assert found is not None
    assert [data for _, data in found] == [message(f"m{n}", sender="a@treasury.example") for n in (1, 3)]
    assert await mail.poll() is None
    deliver("4.x.host", message("m4"))
    again = await mail.poll()
    assert again is not None
    assert [data for _, data in again] == [message("m4")]
    files = [path.name for path in (*folder.glob("cur/*"), *folder.glob("new/*"))]
    assert len(files) == 4
    assert not any(":2," in name and name.rpartition(":2,")[2] for name in files)  # no flag was set
    assert isinstance(await Reader(f"imaps://me@127.0.0.1:{port}/", password="x").refused(), BadStatus)
