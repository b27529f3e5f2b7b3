"""Mails to a real mail server on loopback: what arrives, and what a person learns when it does not."""

import socket
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from typing import Any

import pytest
from msgspec.structs import replace

from aggregator.app.clock import SystemClock
from aggregator.core.errors import DeliveryError
from aggregator.core.model import Receipt
from aggregator.core.settings import Channel
from aggregator.notify import check_channels, open_notifier, recipients
from benchmarks.alert_samples import alerts
from tests.support.certificates import server_context
from tests.support.receivers import postbox

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    """The application speaks asyncio."""
    return "asyncio"


def channel(port: int, **fields: Any) -> Channel:
    """A mail channel without TLS, unless the fields say otherwise."""
    settings = {"service": "mailto", "host": "127.0.0.1", "from": "aggregator@example.org", "to": ["desk@example.org"]}
    return Channel(name="desk", port=str(port), timeout="5s", **{**settings, **fields})


async def send(to: Channel, kind: str = "instant", recipient: str = "") -> Receipt:
    return await open_notifier(SystemClock()).send(to, alerts()[kind], recipient=recipient)


async def failure(to: Channel, recipient: str = "") -> DeliveryError:
    with pytest.raises(DeliveryError) as caught:
        await send(to, recipient=recipient)
    return caught.value


async def test_a_mail_has_text_html_and_a_stable_name() -> None:
    """Both parts carry the sentence and the link; the Message-ID is that of the delivery, each time."""
    with postbox() as box:
        receipt = await send(channel(box.port))
        await send(channel(box.port))
    first, again = box.mails
    assert first["Message-ID"] == again["Message-ID"] == "<1f0c77aa90b2d4e6f811@example.org>"
    assert first["Subject"] == "Putin and Erdogan discuss S-400 deliveries despite CAATSA threat"
    assert (first["From"], first["To"]) == ("aggregator@example.org", "desk@example.org")
    assert first["Auto-Submitted"] == "auto-generated"
    plain, html = (first.get_body((kind,)) for kind in ("plain", "html"))
    assert plain is not None
    assert html is not None
    for part in (plain.get_content(), html.get_content()):
        assert "https://tass.example/politics/1892" in part
        assert "Washington warned Ankara" in part
    assert "<mark" in html.get_content()
    assert "accepted (250)" in receipt.detail


async def test_the_mails_about_a_story_are_one_thread() -> None:
    """All refer to their story, updates answer it; a mail about nothing of the kind refers to nothing."""
    story = replace(alerts()["instant"], thread="5f1c")
    with postbox() as box:
        notifier = open_notifier(SystemClock())
        for one in (story, replace(story, id="2", update=True, title=f"Update to: {story.title}"), alerts()["instant"]):
            await notifier.send(channel(box.port), one, recipient="")
    first, update, other = box.mails
    assert (first["References"], first["In-Reply-To"]) == ("<story-5f1c@example.org>", None)
    assert update["References"] == update["In-Reply-To"] == "<story-5f1c@example.org>"
    assert update["Subject"].startswith("Update to: ")
    assert (other["References"], other["In-Reply-To"]) == (None, None)


async def test_an_update_of_what_a_digest_reported_answers_the_digest() -> None:
    """The digest's Message-ID is kept; what an edited database holds instead is no header."""
    digest, story = alerts()["digest"], replace(alerts()["instant"], thread="5f1c", update=True)
    with postbox() as box:
        notifier = open_notifier(SystemClock())
        receipt = await notifier.send(channel(box.port), digest, recipient="")
        for known in (receipt.message_id, "<a@b>\r\nBcc: eve@example.org", ""):
            await notifier.send(channel(box.port), replace(story, reply_to=known), recipient="")
    first, update, *others = box.mails
    assert receipt.message_id == first["Message-ID"]
    assert update["In-Reply-To"] == first["Message-ID"]
    assert update["References"].split() == ["<story-5f1c@example.org>", first["Message-ID"]]
    assert [(one["References"], one["Bcc"]) for one in others] == [("<story-5f1c@example.org>", None)] * 2


async def test_letters_beyond_ascii_arrive() -> None:
    """Cyrillic, Norwegian and Turkish letters survive subject, text and HTML."""
    with postbox() as box:
        await send(channel(box.port), "digest")
    body = box.mails[0].get_body(("html",))
    assert body is not None
    assert "Россия и Индия договорились" in body.get_content()
    assert "Hürriyet" in body.get_content()


async def test_urgent_mail_says_so() -> None:
    """High priority sets Importance; a possible repeat is in the subject."""
    with postbox() as box:
        await send(channel(box.port), "urgent")
    assert box.mails[0]["Importance"] == "high"
    assert box.mails[0]["Subject"].startswith("[possible repeat] ")


async def test_text_only_where_wished() -> None:
    """`format: text` sends no HTML."""
    with postbox() as box:
        await send(channel(box.port, format="text"))
    assert box.mails[0].get_content_type() == "text/plain"


async def test_each_recipient_is_a_delivery_of_its_own() -> None:
    """One bad address of three is refused alone; the others have their mail, once each."""
    people = ["ann@example.org", "bad@example.org", "bob@example.org"]
    with postbox() as box:
        box.refuse["bad@example.org"] = "550 5.1.1 no such user"
        to = channel(box.port, to=people)
        assert recipients(to) == tuple(people)
        await send(to, recipient="ann@example.org")
        error = await failure(to, recipient="bad@example.org")
        await send(to, recipient="bob@example.org")
    assert box.recipients == [["ann@example.org"], ["bob@example.org"]]
    assert (error.transient, error.unknown) == (False, False)
    assert "550 5.1.1 no such user" in str(error)


async def test_a_recipient_that_left_the_channel() -> None:
    """A row of somebody who is no longer listed is refused, not sent to the others."""
    with postbox() as box:
        error = await failure(channel(box.port), recipient="gone@example.org")
    assert not box.mails
    assert "no longer a recipient" in str(error)


@pytest.mark.parametrize(
    "fields",
    [
        {"to": ["Ann@Example.ORG", "bob@example.org"]},
        {"to": ["Ann <ann@example.org>", "bob@example.org"]},
        {"to": "bob@example.org, ann@example.org"},
        {"to": ["bob@example.org"], "cc": ["ann@example.org"]},
        {"to": ["bob@example.org", "eve@example.org"], "bcc": "Ann <ann@example.org>"},
        {"to": ["ann@example.org"], "cc": ["bob@example.org"]},
    ],
)
async def test_somebody_who_is_written_otherwise_now(fields: dict[str, Any]) -> None:
    """A row that waited for Ann goes to Ann, however her address is written since, and to nobody else."""
    with postbox() as box:
        await send(channel(box.port, **fields), recipient="ann@example.org")
    assert [[one.lower() for one in to] for to in box.recipients] in (
        [["ann@example.org"]],
        [["ann@example.org", "bob@example.org"]] if fields["to"] == ["ann@example.org"] else [],
    )


@pytest.mark.parametrize("copied", ["cc", "bcc"])
async def test_one_who_is_refused_keeps_the_mail_from_nobody_else(copied: str) -> None:
    """A copy to somebody who is refused is left out, and said; who is refused for now gets a mail of their own."""
    with postbox() as box:
        to = channel(box.port, to=["ann@example.org"], **{copied: ["bad@example.org", "bob@example.org"]})
        box.refuse["bad@example.org"] = "550 5.1.1 no such user"
        receipt = await send(to)
        assert box.recipients == [["ann@example.org", "bob@example.org"]]
        assert receipt.detail == "ann@example.org: accepted (250), but not for bad@example.org: 550 5.1.1 no such user"
        box.refuse["bob@example.org"] = "450 4.2.0 greylisted"
        receipt = await send(to)
        assert box.recipients[1:] == [["ann@example.org"]]
        assert receipt.put_off == (("bob@example.org", "450 4.2.0 greylisted"),)
        box.refuse["ann@example.org"] = "550 5.1.1 no such user"
        error = await failure(to)
        assert (error.transient, "550 5.1.1 no such user" in str(error)) == (False, True)
        box.refuse = dict.fromkeys(("ann@example.org", "bob@example.org", "bad@example.org"), "450 4.2.0 greylisted")
        error = await failure(to)
        assert (error.transient, "450 4.2.0 greylisted" in str(error)) == (True, True)
    assert len(box.mails) == 2


@pytest.mark.parametrize(
    ("to", "cc", "refused", "at_first"),
    [
        ("ann@example.org", ["bob@example.org"], "ann@example.org", ["bob@example.org"]),
        ("ann@example.org", ["bob@example.org"], "bob@example.org", ["ann@example.org"]),
        ("ann@example.org, eve@example.org", ["bob@example.org"], "eve@example.org",
         ["ann@example.org", "bob@example.org"]),
        ("ann@example.org", ["bob@bücher.example"], "bob@xn--bcher-kva.example", ["ann@example.org"]),
    ],
)  # fmt: skip
async def test_one_who_is_refused_for_now_gets_it_later(
    to: str, cc: list[str], refused: str, at_first: list[str]
) -> None:
    """The others have it at once, and the row of the one who waits reaches nobody else."""
    with postbox() as box:
        box.refuse[refused] = "452 4.5.3 too many recipients"
        desk = channel(box.port, to=to, cc=cc)
        (name,) = recipients(desk)
        receipt = await send(desk, recipient=name)
        box.refuse.clear()
        ((waiting, words),) = receipt.put_off
        assert (await send(desk, recipient=waiting)).put_off == ()
    assert box.recipients == [at_first, [refused]]
    assert words == "452 4.5.3 too many recipients"


async def test_the_sender_has_a_name() -> None:
    """It is written with the address; the hints name no key that a channel cannot have."""
    with postbox() as box:
        await send(channel(box.port, **{"from": "Watch Desk <desk@example.org>"}))
    assert box.mails[0]["From"] == "Watch Desk <desk@example.org>"
    (problem,) = check_channels([channel(25, from_name="Watch Desk")])
    assert problem.hint == "write from: Alerts <alerts@example.org>"
    (problem,) = check_channels([channel(25, nam="Watch Desk")])
    assert "name" not in (problem.hint or "").replace(",", "").split()


@pytest.mark.parametrize(
    ("fields", "path", "named"),
    [
        ({"cc": ["bob"]}, "cc", "bob"),
        ({"cc": "eve@example.org, bob"}, "cc", "bob"),
        ({"bcc": ["bob@"]}, "bcc", "bob@"),
        ({"reply": "nobody"}, "reply", "nobody"),
        ({"to": "ann@example.org; bob"}, "to", "bob"),
        ({"to": "ann@example.org bob"}, "to", "bob"),
        ({"to": ["bob"], "cc": ["eve@example.org"]}, "to", "bob"),
        ({"to": ["ann@example.org", "bob@"], "cc": ["eve@example.org"]}, "to", "bob@"),
        ({"to": ["Example, Ann <ann@example.org>"]}, "to", "Example"),
    ],
)
def test_a_recipient_who_has_no_address(fields: dict[str, Any], path: str, named: str) -> None:
    """Whoever would never get a mail is named by the check, in whichever list they stand, however it is written."""
    problems = check_channels([channel(25, **fields)])
    assert [(one.path, one.message) for one in problems] == [(("desk", path), f"{named!r} is not a mail address")]


@pytest.mark.parametrize("to", [[], "", " ", [""]])
def test_a_list_of_nobody(to: Any) -> None:
    """An empty list is no way to say: to the sender."""
    (problem,) = check_channels([channel(25, to=to)])
    assert (problem.path, problem.message) == (("desk", "to"), "the mails have no recipient")


def test_lists_of_addresses_in_every_form() -> None:
    """Commas, semicolons, blanks and names before the addresses; a comma in a quoted name divides nothing."""
    written = '"Example, Ann" <ann@example.org>; bob@example.org eve@example.org,Данные <данные@example.org>'
    to = channel(25, to=written, cc=["ann@bücher.example"])
    assert check_channels([to]) == ()
    assert recipients(channel(25, to=written)) == (
        '"Example, Ann" <ann@example.org>', "bob@example.org", "eve@example.org", "Данные <данные@example.org>",
    )  # fmt: skip


@pytest.mark.parametrize("sender", ["", "Desk", "a@b@c"])
def test_a_mail_without_a_sender(sender: str) -> None:
    """The check says which key is missing, in our words."""
    to = Channel(
        name="desk", service="mailto", host="127.0.0.1", to=["ann@example.org"], **{"from": sender} if sender else {}
    )
    (problem,) = check_channels([to])
    assert problem.path == ("desk", "from")
    assert problem.message == f"from: {'this is not a mail address' if sender else 'the mails have no sender'}"
    assert problem.hint == "write from: alerts@example.org, an address that the mail server accepts"


@pytest.mark.parametrize(
    ("answer", "transient"),
    [
        ("451 4.3.0 try later", True),
        ("421 4.7.0 too many", True),
        ("554 5.7.1 spam", False),
        ("552 5.3.4 too big", False),
    ],
)
async def test_answers_to_data(answer: str, transient: bool) -> None:
    """4xx is tried again, 5xx is final; both keep the server's words."""
    with postbox() as box:
        box.at_data = answer
        error = await failure(channel(box.port))
    assert (error.transient, error.unknown) == (transient, False)
    assert answer in str(error)


async def test_a_server_that_is_down() -> None:
    """Connection refused is temporary, and certainly nothing was sent."""
    with postbox() as box:
        port = box.port
    error = await failure(channel(port))
    assert (error.transient, error.unknown) == (True, False)
    assert "Connection refused" in str(error)


async def test_dying_before_data() -> None:
    """A connection that breaks before the message began leaves no doubt."""
    with postbox() as box:
        box.dies = "early"
        error = await failure(channel(box.port))
    assert (error.transient, error.unknown) == (True, False)


async def test_dying_after_the_final_dot() -> None:
    """A server that took the message and died without an answer: it may have arrived."""
    with postbox() as box:
        box.dies = "before the answer"
        error = await failure(channel(box.port))
        assert len(box.mails) == 1
    assert error.unknown


async def test_dying_in_the_middle_of_data() -> None:
    """A server that died while it was told the message: we cannot know, so we say so."""
    with script(b"220 hi\r\n", b"250 ok\r\n", b"250 ok\r\n", b"250 ok\r\n", b"354 go\r\n", b"") as port:
        error = await failure(channel(port))
    assert error.unknown


async def test_a_server_that_never_speaks() -> None:
    """Silence ends at the deadline; nothing was written, so nothing may have arrived."""
    with script(None) as port:
        error = await failure(channel(port).model_copy(update={"timeout_s": 0.6}))
    assert (error.transient, error.unknown) == (True, False)


async def test_login_over_tls() -> None:
    """STARTTLS and a password with every difficult sign, given as fields."""
    with postbox(tls=server_context(), password="p@ss/#%;:w?rd") as box:
        login = {"service": "mailtos", "user": "me@example.org", "password": "p@ss/#%;:w?rd", "verify": "no"}
        await send(channel(box.port, **login))
        assert len(box.mails) == 1
        wrong = await failure(channel(box.port, **{**login, "password": "hunter2-secret"}))
    assert not wrong.transient
    assert "535" in str(wrong)
    assert "hunter2-secret" not in str(wrong)


async def test_a_certificate_that_nobody_signed() -> None:
    """Without `verify: no` a self-signed certificate is not accepted, and the reason is told."""
    with postbox(tls=server_context()) as box:
        error = await failure(channel(box.port, service="mailtos"))
    assert not box.mails
    assert "certificate" in str(error)


@contextmanager
def script(*lines: bytes | None) -> Iterator[int]:
    """A server that says its lines in turn and hangs up; None: says nothing at all."""
    server = socket.create_server(("127.0.0.1", 0))
    done = threading.Event()

    def serve() -> None:
        connection, _ = server.accept()
        with connection:
            for line in lines:
                if line is None:
                    done.wait(5)
                    return
                connection.sendall(line)
                connection.recv(1024)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield server.getsockname()[1]
    finally:
        done.set()
        thread.join(5)
        server.close()


async def test_a_server_without_login_is_named_at_once() -> None:
    """A user and password that nobody asks for are a mistake that no further attempt mends."""
    with postbox() as box:
        error = await failure(channel(box.port, user="me", password="secret-words"))
    assert not error.transient
    assert not error.unknown
    assert "offers no login (AUTH); remove user and password" in str(error)
    assert box.mails == []


async def test_a_server_without_encryption_is_named_at_once() -> None:
    """STARTTLS that is not offered will not be offered in an hour."""
    with postbox() as box:
        error = await failure(channel(box.port, service="mailtos", mode="starttls"))
    assert not error.transient
    assert "offers no encryption (STARTTLS)" in str(error)


@contextmanager
def old_server(*extensions: str) -> Iterator[tuple[int, list[bytes]]]:
    """A mail server that keeps what it gets byte for byte, and offers what is named."""
    lines: list[bytes] = []

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            self.wfile.write(b"220 old\r\n")
            inside = False
            while line := self.rfile.readline():
                lines.append(line)
                if inside:
                    inside = line != b".\r\n"
                    answer = b"" if inside else b"250 ok\r\n"
                elif line.upper().startswith(b"EHLO"):
                    named = ("old", *extensions)
                    answer = b"".join(b"250-%s\r\n" % name.encode() for name in named) + b"250 HELP\r\n"
                elif line.upper().startswith(b"DATA"):
                    inside, answer = True, b"354 go on\r\n"
                elif line.upper().startswith(b"QUIT"):
                    self.wfile.write(b"221 bye\r\n")
                    return
                else:
                    answer = b"250 ok\r\n"
                self.wfile.write(answer)

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        try:
            yield server.server_address[1], lines
        finally:
            server.shutdown()


async def test_every_server_can_read_it() -> None:
    """No byte beyond ASCII leaves, and what arrives reads as it was written."""
    with old_server() as (port, lines):
        await send(channel(port), "digest")
    text = b"".join(lines)
    assert text.isascii()
    assert max(map(len, lines)) <= 1000
    message = message_from_bytes(text.partition(b"data\r\n")[2].rpartition(b".\r\n")[0], policy=default)
    assert isinstance(message, EmailMessage)
    for kind in ("plain", "html"):
        part = message.get_body((kind,))
        assert part is not None
        assert "Россия и Индия договорились" in part.get_content()


async def test_a_recipient_beyond_ascii_needs_a_server_that_takes_it() -> None:
    """Where the server takes such addresses the mail goes out; where it does not, a sentence says so."""
    with old_server() as (port, lines):
        error = await failure(channel(port, to=["данные@example.org"]))
    assert not error.transient
    assert "accepts ASCII addresses only (no SMTPUTF8); cannot send to or from данные@example.org" in str(error)
    assert not any(line.startswith(b"data") for line in lines)
    with old_server("8BITMIME", "SMTPUTF8") as (port, lines):
        await send(channel(port, to=["данные@example.org"]))
    said = b"".join(lines).decode()
    assert "rcpt TO:<данные@example.org>" in said
    assert "SMTPUTF8" in said
    assert "To: данные@example.org" in said


async def test_a_domain_beyond_ascii_goes_to_every_server() -> None:
    """A domain has a form in ASCII; only what stands before the @ has none."""
    with old_server() as (port, lines):
        await send(channel(port, to=["ann@bücher.example"]))
    assert b"rcpt TO:<ann@xn--bcher-kva.example>\r\n" in lines


@pytest.mark.parametrize("address", ["ann", "ann@", "@example.org", "данные", "ann@exa mple.org"])
async def test_what_is_no_address_is_an_error_at_check(address: str) -> None:
    """A recipient that nothing can be sent to is named before the first alert, and never counts as reached."""
    to = channel(25, to=[address])
    assert any("is not a mail address" in problem.message for problem in check_channels([to]))


async def test_a_login_beyond_ascii() -> None:
    """Passwords are UTF-8; a mail server that refuses one gives the reason, and it is not tried for three days."""
    login = {"service": "mailtos", "user": "me@example.org", "verify": "no"}
    with postbox(tls=server_context(), password="pässwörd-ключ€") as box:
        await send(channel(box.port, **login, password="pässwörd-ключ€"))
        wrong = await failure(channel(box.port, **login, password="другой пароль"))
    assert len(box.mails) == 1
    assert "535" in str(wrong)
    assert not wrong.transient


def test_a_mail_server_that_cannot_be_named() -> None:
    """The check says so."""
    (problem,) = check_channels([channel(25, host="mail..example")])
    assert problem.message == "'mail..example' is not a host name"
