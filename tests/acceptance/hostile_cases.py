"""Everything hostile that once stopped, starved or misled the service, as cases for `supervisor.trial`.

Each case starts its peers on the stack it is given and says what it adds to the configuration. The short form
runs in tests/acceptance/test_supervised.py, all of it with `python -m benchmarks.supervised`.
"""

import asyncio
import base64
import os
import socket
import sqlite3
import threading
import time
import urllib.parse
from collections.abc import Callable
from contextlib import ExitStack, closing, suppress
from html import escape
from typing import Any

from tests.acceptance.supervisor import Arena, Attack, Case, get, kill_one_worker, peers, workers_of
from tests.support.harness import wait_for
from tests.support.hostile_documents import ANSWERS, HEAVY, REFUSED, SURVIVED, gzip_bomb
from tests.support.loopback import Play, answer, flood, redirect
from tests.support.receivers import postbox

WATCH = "  - {id: watch, any: [S-400], notify: [desk]}\n"


def feed(*items: str, head: str = "") -> bytes:
    """An RSS document of items that are given as they stand inside `<item>`."""
    body = "".join(f"<item>{item}</item>" for item in items)
    return (
        "<?xml version='1.0' encoding='utf-8'?><rss version='2.0' xmlns:atom='http://www.w3.org/2005/Atom'>"
        f"<channel><title>Hostile</title>{head}{body}</channel></rss>"
    ).encode()


def item(key: object, title: str, text: str = "", more: str = "") -> str:
    """What stands inside an `<item>`; `more` is markup."""
    said = f"<title>{escape(title)}</title><description>{escape(text)}</description>"
    return f"<guid isPermaLink='false'>{key}</guid>{said}{more}"


def served(stack: ExitStack, *answers: Any, culprit: str = "", **more: Any) -> Attack:
    """One hostile feed that gives these answers, the last one for ever."""
    site = peers(stack).site()
    url = site.script("/feed", *answers)
    return Attack(feeds=[("hostile", url)], culprit=culprit, rules=WATCH, **more)


def document(body: bytes, culprit: str = "", **more: Any) -> Case:
    """A case of one document, first polled with a harmless one so that its entries are new."""
    calm = answer(200, feed(item("zero", "nothing of note")), Content_Type="application/rss+xml")
    return lambda stack: served(
        stack, calm, answer(200, body, Content_Type="application/rss+xml"), culprit=culprit, **more
    )


def titles_of(arena: Arena, like: str = "%") -> int:
    """How many entries of the hostile feed are stored."""
    with closing(sqlite3.connect(f"file:{arena.database()}?mode=ro", uri=True)) as database:
        query = "SELECT count(*) FROM entries WHERE feed = 'hostile' AND title LIKE ?"
        return int(database.execute(query, (like,)).fetchone()[0])


def stored(number: int, like: str = "%") -> Callable[[Arena], str]:
    """A check: at least so many entries of the hostile feed are stored."""

    def check(arena: Arena) -> str:
        found = titles_of(arena, like)
        return "" if found >= number else f"{found} of {number} entries are stored"

    return check


# --- behind the parser ---------------------------------------------------------------------------


def many_matches(number: int = 4500) -> Case:
    """1: an ordinary feed, every entry of which matches one rule."""
    places = ("Ankara", "Delhi", "Belgrade", "Minsk", "Astana", "Cairo", "Riyadh", "Hanoi", "Algiers", "Doha")
    verbs = ("delivers", "sells", "promises", "cancels", "tests", "parades", "repairs", "moves", "loses", "hides")
    items = [
        item(
            n,
            f"{places[n % 10]} {verbs[n // 10 % 10]} S-400 battery {n} near {places[n // 100 % 10]}",
            f"Officials in {places[n // 7 % 10]} said on day {n} that the system number {n * 7919 % 10007} moved.",
        )
        for n in range(number)
    ]
    return document(feed(*items), collapse=True, check=stored(number))


def blank_title() -> Case:
    """2: a watched word, 300,000 no-break spaces, sixty letters."""
    return document(feed(item("one", "S-400" + "\u00a0" * 300_000 + "x" * 60)), check=stored(2))


def huge_title() -> Case:
    """21: a title of a megabyte is cut before it is stored."""

    def check(arena: Arena) -> str:
        with closing(sqlite3.connect(f"file:{arena.database()}?mode=ro", uri=True)) as database:
            longest = database.execute("SELECT max(length(title)) FROM entries").fetchone()[0]
        return "" if longest <= 10_000 else f"a title of {longest:,} characters is stored"

    return document(feed(item("one", "S-400 " + "x" * 2**20)), check=check)


def last_day() -> Case:
    """20: one of 600 items is dated at the end of time."""
    dated = [item(n, f"S-400 plain {n}") for n in range(599)]
    dated.append(item("last", "S-400 late", more="<pubDate>9999-12-31T23:59:59-23:59</pubDate>"))
    return document(feed(*dated), check=stored(600))


def changing() -> Case:
    """28: 5,000 entries that are all new at every poll."""
    turn = iter(range(10**9))

    async def play(writer: asyncio.StreamWriter) -> None:
        n = next(turn)
        body = feed(*(item(f"{n}-{k}", f"entry {n} {k}", "word " * 60) for k in range(5000)))
        writer.write(answer(200, body, Content_Type="application/rss+xml"))
        await writer.drain()

    return lambda stack: served(stack, play, culprit="hostile")


TITLES = [
    "S-400 =?utf-8?q?one=0D=0ABcc:_x@y.example?=",
    "S-400 =?utf-8?b?" + base64.b64encode(b"\r\nX-I: y\r\n\r\nbody").decode() + "?=",
    "S-400 =?utf-8?q?=00?= nul",
    "S-400 =?utf-8?q?=E2=80=AE?= override",
    "S-400 \u202eoverride \u2066isolate",
    "S-400 \x9b31m and \x1b]0;x\x07".replace("\x1b", "&#27;"),
]


def mailed_titles() -> Case:
    """5: encoded words in titles reach a mail's header."""

    def case(stack: ExitStack) -> Attack:
        box = stack.enter_context(postbox())
        channels = (
            f"  mail: {{service: mailto, host: 127.0.0.1, port: '{box.port}', from: a@example.org, "
            "to: [desk@example.org], timeout: 3s}\n"
        )

        def check(arena: Arena) -> str:
            known = {"bcc", "x-i"}
            for mail in box.mails:
                odd = known & {name.lower() for name in mail}
                subject = str(mail["Subject"])
                if odd or any(char in subject for char in "\u202e\u2066\0\r\n\x9b"):
                    return f"a mail has {odd or 'a raw control character'}: {subject!r}"
            return "" if box.mails else "no mail came"

        made = document(feed(*(item(n, title) for n, title in enumerate(TITLES))), check=check)(stack)
        made.channels, made.rules = channels, "  - {id: watch, any: [S-400], notify: [mail]}\n"
        return made

    return case


# --- fetching and parsing ------------------------------------------------------------------------


def bad_redirect(host: str) -> Case:
    """9: a redirect to a host name that no encoding of names accepts; it must earn a longer pause."""

    def case(stack: ExitStack) -> Attack:
        site = peers(stack).site()
        url = site.script("/feed", redirect(302, f"http://{host}/feed"))

        def check(arena: Arena) -> str:
            asked = len(site.heard("/feed"))
            return "" if asked <= 6 else f"asked {asked} times although it never answered"

        return Attack(feeds=[("hostile", url)], culprit="hostile", check=check)

    return case


def bad_hub() -> Case:
    """10: a hub at an impossible address."""
    links = "".join(
        f"<atom:link rel='hub' href='http://{host}/hub'/>" for host in ("a..example", "x" * 64 + ".example")
    )

    return document(feed(item("one", "S-400 seen"), head=links), check=stored(1))


def held_back(hosts: int = 100, size: int = 10 * 2**20 - 1000) -> Case:
    """14: documents of 10 MiB from many hosts, the last bytes of which are held back."""
    piece = b"<!-- " + b"a" * 65_000 + b" -->\n"

    async def play(writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/rss+xml\r\nContent-Length: %d\r\n\r\n" % size)
        sent = 0
        while sent < size - 1000:
            writer.write(piece[: size - 1000 - sent])
            sent += len(piece)
            await writer.drain()
        await asyncio.sleep(600)

    def case(stack: ExitStack) -> Attack:
        party = peers(stack)
        feeds = [(f"hostile-{n}", party.site(f"127.9.1.{n}").script("/feed", play)) for n in range(1, hosts + 1)]
        return Attack(
            feeds=feeds,
            culprit="hostile-",
            settings="  polling: {every: 1s, min_interval: 1s, per_host: 8, concurrency: 128}\n",
        )

    return case


def crowd(number: int = 200) -> Case:
    """15: many feeds at once whose documents take a parser its whole time."""

    def case(stack: ExitStack) -> Attack:
        party = peers(stack)
        heavy = answer(200, HEAVY["90,000 broken entries"](), Content_Type="application/xml")
        feeds = [(f"hostile-{n}", party.site(f"127.9.2.{n}").script("/feed", heavy)) for n in range(1, number + 1)]
        return Attack(feeds=feeds, culprit="hostile-")

    return case


def killed_worker() -> Case:
    """B: an idle parse worker is killed, as the kernel does when memory is short."""

    def act(arena: Arena) -> None:
        wait_for(lambda: workers_of(arena.service), 20, "a parse worker")
        time.sleep(0.5)
        for _ in range(3):
            kill_one_worker(arena.service)
            time.sleep(2)

    return lambda _: Attack(act=act)


def one_of(documents: dict[str, Callable[[], bytes]], name: str) -> Case:
    """A document of the hostile corpus."""
    return lambda stack: served(stack, answer(200, documents[name](), Content_Type="application/xml"))


def one_answer(name: str) -> Case:
    """An answer of the hostile corpus, as a feed."""
    return lambda stack: served(stack, ANSWERS[name][0], culprit="hostile")


# --- receivers -----------------------------------------------------------------------------------

TEN = feed(*(item(n, f"S-400 number {n} {os.urandom(8).hex()}") for n in range(10)))


def receiver_that(play: bytes | Play, *, accepts: bool = False) -> Case:
    """3: a receiver that answers an alert so; one that `accepts` it with its status did what it should."""

    def case(stack: ExitStack) -> Attack:
        site = peers(stack).site("127.9.0.2")
        url = site.script("/hook", play)
        made = document(TEN)(stack)
        made.channels = f'  hostile-channel: {{service: webhook, url: "{url}", timeout: 5s}}\n'
        made.rules = "  - {id: watch, any: [S-400], notify: [hostile-channel]}\n"
        made.culprit = "" if accepts else "hostile-channel"
        return made

    return case


def endless_smtp(greeting: bytes = b"") -> Case:
    """4: a mail server whose answer to EHLO never ends."""

    async def converse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 hello\r\n")
        await reader.readline()
        while True:
            writer.write(greeting or b"250-MORE\r\n" * 5_000)
            await writer.drain()

    def case(stack: ExitStack) -> Attack:
        port = peers(stack).raw(converse, "127.0.0.1")
        made = document(TEN)(stack)
        made.channels = (
            f"  hostile-channel: {{service: mailto, host: 127.0.0.1, port: '{port}', from: a@example.org, "
            "to: [desk@example.org], timeout: 5s}\n"
        )
        made.rules = "  - {id: watch, any: [S-400], notify: [hostile-channel]}\n"
        made.culprit = "hostile-channel"
        return made

    return case


def slow_receiver(number: int = 100, seconds: float = 1.0) -> Case:
    """A: a receiver that takes a second for each alert, many of which are due."""

    async def play(writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(seconds)
        writer.write(answer(200, b"ok"))

    def case(stack: ExitStack) -> Attack:
        site = peers(stack).site("127.9.0.2")
        url = site.script("/hook", play)
        items = [item(n, f"S-400 number {n} {os.urandom(8).hex()}") for n in range(number)]
        made = document(feed(*items))(stack)
        made.channels = f'  slow: {{service: webhook, url: "{url}", timeout: 5s}}\n'
        made.rules = "  - {id: watch, any: [S-400], notify: [slow]}\n"
        made.settings = "  polling: {every: 1s, min_interval: 1s, per_host: 8, flood_limit: 10000}\n"

        def check(arena: Arena) -> str:
            times = [asked.at for asked in site.asked]
            now = time.monotonic()  # what a loop's clock is
            if not times:
                return "no alert reached the slow receiver"
            if len(times) < number and now - times[-1] > 15:
                return f"nothing was sent for {now - times[-1]:.0f} s, {len(times)} of {number} arrived"
            return ""

        made.check = check
        return made

    return case


# --- the page ------------------------------------------------------------------------------------


def half_heads(number: int = 600) -> Case:
    """16: connections that send half a request head and wait."""

    held: list[socket.socket] = []

    def act(arena: Arena) -> None:
        for _ in range(number):
            with suppress(OSError):
                one = socket.create_connection(("127.0.0.1", arena.port), timeout=5)
                one.sendall(b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX-")
                held.append(one)

    return lambda _: Attack(act=act)


def heavy_search() -> Case:
    """17: a search for 180 words over long entries, twenty times at once."""
    words = [f"word{n:03d}" for n in range(400)]
    text = " ".join(words[n * 7919 % 400] for n in range(10_000))
    items = [item(n, f"long {n}", f"{n} {text}") for n in range(100)]
    query = urllib.parse.quote(" OR ".join(f"absent{n} {words[n]}" for n in range(180)))

    def act(arena: Arena) -> None:
        wait_for(lambda: titles_of(arena) >= 100, 60, "the long entries")
        for _ in range(20):
            threading.Thread(target=get, args=(arena.port, f"/search?q={query}", 60), daemon=True).start()

    return document(feed(*items), act=act)


def shown_titles() -> Case:
    """11, 12: control characters and overrides in an HTML page that stands where a feed was."""
    page = "<html><head><title>\x1b]0;owned\x07 \x9b31m \u202e evil</title></head><body>moved</body></html>".encode()
    return lambda stack: served(stack, answer(200, page, Content_Type="text/html"), culprit="hostile")


def moved_inside() -> Case:
    """13: a foreign feed redirects to a private host, links there, and names it as its hub."""

    def case(stack: ExitStack) -> Attack:
        party = peers(stack)
        inside, outside = party.site("127.9.0.9"), party.site("127.9.0.1")
        secret = inside.script("/feed", answer(200, feed(item("secret", "S-400 secret")), Content_Type="text/xml"))
        hub = inside.script("/admin/delete", answer(200, b"gone"))
        links = f"<atom:link rel='hub' href='{hub}'/><atom:link rel='self' href='{secret}'/>"
        document_ = answer(200, feed(item("one", "S-400 seen"), head=links), Content_Type="application/rss+xml")
        feeds = [
            ("hostile", outside.script("/feed", document_)),
            ("hostile-moved", outside.script("/moved", redirect(302, secret))),
        ]

        def check(arena: Arena) -> str:
            paths = [asked.target for asked in inside.asked]
            return f"the private host was asked for {paths[:5]}" if paths else ""

        return Attack(
            feeds=feeds, culprit="hostile-moved", rules=WATCH, allow='"127.0.0.0/24", "127.9.0.1"', check=check
        )

    return case


def endless_lease() -> Case:
    """22: a hub that grants a lease of thirty years and pushes nothing: polls go on finding what is new."""
    turn = iter(range(10**9))

    def case(stack: ExitStack) -> Attack:
        party = peers(stack)
        site = party.site()
        hub = site.script("/hub", answer(202, b""))

        async def play(writer: asyncio.StreamWriter) -> None:
            n = next(turn)
            items = [item(k, f"S-400 number {k}") for k in range(n + 1)]
            head = f"<atom:link rel='hub' href='{hub}'/><atom:link rel='self' href='{url}'/>"
            writer.write(answer(200, feed(*items, head=head), Content_Type="application/rss+xml"))
            await writer.drain()

        url = site.script("/feed", play)

        def act(arena: Arena) -> None:
            """What the hub's confirmation would have left behind."""
            wait_for(lambda: titles_of(arena) >= 1, 30, "the first entries")
            with closing(sqlite3.connect(arena.database(), timeout=10)) as database, database:
                until = "(CAST(strftime('%s', 'now') AS INTEGER) + 946080000) * 1000000"
                database.execute(f"UPDATE feeds SET hub_until = {until} WHERE id = 'hostile'")

        return Attack(feeds=[("hostile", url)], rules=WATCH, act=act, check=stored(4))

    return case


CASES: dict[str, Case] = {
    "0 nobody hostile": lambda _: Attack(),
    "1 4,500 matching entries": many_matches(),
    "2 title of no-break spaces": blank_title(),
    "3 endless body of a 500": receiver_that(flood(b"HTTP/1.1 500 X\r\n\r\n", b"a" * 65_536)),
    "3 gzip bomb in a 500": receiver_that(answer(500, gzip_bomb(3000), Content_Encoding="gzip")),
    "3 endless header": receiver_that(flood(b"HTTP/1.1 500 X\r\nX-A: ", b"a" * 65_536)),
    "3 endless body of a 200": receiver_that(flood(b"HTTP/1.1 200 X\r\n\r\n", b"a" * 65_536), accepts=True),
    "4 endless EHLO": endless_smtp(),
    "4 endless EHLO line": endless_smtp(b"a" * 65_536),
    "5 encoded words by mail": mailed_titles(),
    "9 redirect to a..example": bad_redirect("a..example"),
    "9 redirect to a long label": bad_redirect("x" * 64 + ".example"),
    "10 hub at a..example": bad_hub(),
    "11 controls in a page's title": shown_titles(),
    "13 led to a private host": moved_inside(),
    "14 100 documents held back": held_back(),
    "15 200 heavy feeds": crowd(),
    "16 600 half requests": half_heads(),
    "17 heavy search": heavy_search(),
    "20 item at the end of time": last_day(),
    "21 title of 1 MiB": huge_title(),
    "22 lease of thirty years": endless_lease(),
    "28 5,000 new entries a poll": changing(),
    "A receiver of 1 s an alert": slow_receiver(),
    "B killed parse workers": killed_worker(),
    **{f"refused: {name}": one_of(REFUSED, name) for name in REFUSED},
    **{f"survived: {name}": one_of(SURVIVED, name) for name in SURVIVED},
    **{f"heavy: {name}": one_of(HEAVY, name) for name in HEAVY},
    **{f"answer: {name}": one_answer(name) for name in ANSWERS},
}
DRIPPING = ("silence", "slow head", "slow headers", "slow body", "slow chunks")  # named after three deadlines of 5 s
SECONDS = {
    "A receiver of 1 s an alert": 60.0,
    "1 4,500 matching entries": 45.0,
    "15 200 heavy feeds": 40.0,
    **{f"answer: {name}": 28.0 for name in DRIPPING},
}
