"""Payloads for each service when a feed attacks it: service × attack × payload, as a Markdown table.

    python -m benchmarks.alert_payloads > payloads.md

Alerts go through the notifier that production uses, down to an adapter of requests that keeps each request and
sends none. A payload is attacked in the headline, the sentence that matched and the feed's title.
"""

import asyncio
import json
import re
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl

import requests
from msgspec.structs import replace
from pydantic import SecretStr
from requests.adapters import HTTPAdapter

from aggregator.core.model import Alert
from aggregator.core.settings import Channel
from aggregator.notify import open_notifier, recipients
from benchmarks.alert_samples import NOW, alerts

HEX = "0123456789abcdef" * 4
WORD = "atk"
EVIL = "http://evil.example/x"
LINK = "https://news.example.org/world/1"


@dataclass(frozen=True)
class Attack:
    """Words of a feed, the syntax that they are written in, and what must not leave as it is."""

    name: str
    text: str
    syntax: str
    live: str


def _literal(name: str, text: str, syntax: str) -> Attack:
    return Attack(name, text, syntax, re.escape(text))


ATTACKS = (
    *(_literal(f"mention {word}", word, "mention") for word in ("@everyone", "@here", "@all", "@room", "@channel")),
    _literal("mention zulip", "@**all**", "mention"),
    _literal("mention fediverse", "@victim@social.example", "mention"),
    _literal("mention slack", "<!channel>", "slack"),
    _literal("mention slack user", "<@U012AB3CD>", "slack"),
    _literal("mention discord", "<@&123456789012345678>", "markdown"),
    _literal("mention google", "<users/all>", "slack"),
    _literal("mention lark", '<at user_id="all">Everyone</at>', "html"),
    _literal("mention qq", "[CQ:at,qq=all]", "markdown"),
    _literal("mention at", "[at:all]", "markdown"),
    _literal("mention kook", "(met)all(met)", "markdown"),
    Attack("address", EVIL, "link", re.escape(EVIL)),
    Attack("www", "www.evil.example", "link", r"www\.evil"),
    _literal("link markdown", f"[{WORD}]({EVIL})", "markdown"),
    Attack("link markdown without scheme", f"[{WORD}](//evil.example)", "markdown", r"(?<!\\)\]\(//evil"),
    Attack("link reference", f"[{WORD}][1] [1]: {EVIL}", "markdown", r"(?<!\\)\]\[1|(?<!\\)\]: ?http"),
    Attack("image", f"![{WORD}]({EVIL}.png)", "markdown", rf"!\[{WORD}\]\(http"),
    _literal("link slack", f"<{EVIL}|{WORD}>", "slack"),
    _literal("link angle", f"<{EVIL}>", "markdown"),
    _literal("link html", f'<a href="{EVIL}">{WORD}</a>', "html"),
    Attack("bold", f"**{WORD}**", "markdown", rf"(?<!\\)\*(?<!\\\*)\*{WORD}"),
    Attack("star", f"*{WORD}*", "markdown", rf"(?<![\\*])\*{WORD}\*(?!\*)"),
    Attack("underscore", f"__{WORD}__", "markdown", rf"(?<!\\)_{WORD}"),
    Attack("strike", f"~~{WORD}~~", "markdown", rf"(?<!\\)~{WORD}"),
    Attack("code", f"`{WORD}`", "markdown", rf"(?<!\\)`{WORD}"),
    Attack("spoiler", f"||{WORD}||", "markdown", rf"(?<!\\)\|{WORD}"),
    Attack("heading", f"# {WORD}", "markdown", rf"(?m)^# {WORD}"),
    Attack("quotation", f"> {WORD}", "markdown", rf"(?m)^> {WORD}"),
    Attack("list", f"- {WORD}", "markdown", rf"(?m)^- {WORD}"),
    _literal("html", f"<b>{WORD}</b>", "html"),
    _literal("script", f"<script>{WORD}</script>", "html"),
    _literal("entity", f"&lt;b&gt;{WORD}", "entity"),
    Attack("control", f"{WORD}\x00\x07\x1b[31m\x9b31m\r\nBcc: {WORD}", "any", r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]"),
    Attack(
        "right to left", f"{WORD}\u202e\u2066gnp.exe\u2069\u200f", "any", "[\u202a-\u202e\u2066-\u2069\u200e\u200f]"
    ),
    Attack("hidden", f"@\u200beveryone {WORD}\u00ad\ufeff", "any", "[\u200b\u00ad\ufeff]"),
    Attack("hidden mention", f"@\u200beveryone {WORD}", "mention", "@everyone"),
)


@dataclass(frozen=True)
class Service:
    """A service with the syntaxes that it reads in what it is sent; its `answers` to what its plugin asks.

    `plain` are fields that it shows as text, a subject or a preview, whatever it reads elsewhere.
    """

    name: str
    url: str
    reads: frozenset[str]
    answers: Mapping[str, Any]
    format: str | None = None
    plain: frozenset[str] = frozenset()


def _service(
    name: str,
    url: str,
    reads: str = "mention link markdown slack html",
    *,
    format: str | None = None,
    plain: str = "",
    **answers: Any,
) -> Service:
    return Service(name, url, frozenset(reads.split()), answers, format, frozenset(plain.split()))


PHONE = ""  # shows text as text
PDS = {"id": "#atproto_pds", "type": "AtprotoPersonalDataServer", "serviceEndpoint": "https://pds.example"}
BLUESKY: dict[str, Any] = {
    "resolveHandle": {"did": "did:plc:1"},
    "did:plc:1": {"id": "did:plc:1", "alsoKnownAs": ["at://ann.example.org"], "service": [PDS]},
    "createSession": {"accessJwt": "a", "refreshJwt": "r", "did": "did:plc:1"},
}
SERVICES = (
    _service("Discord", f"discord://1234567890/{'a' * 64}", "mention link markdown"),
    _service("Guilded", f"guilded://1234567890/{'a' * 64}", "mention link markdown"),
    _service("Slack", "slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ/#ops", "mention link slack", raw="ok"),
    _service("Telegram", "tgram://123456789:AAEhBOweik6ad9r_QXMENQjcrGbqCr4K-bc/4242", "mention link html"),
    _service("Matrix", "matrixs://user:pass@matrix.example/!room:matrix.example?discovery=no", "mention link html",
             plain="body",
             login={"access_token": "t", "user_id": "@u:matrix.example", "home_server": "matrix.example"}),
    _service("Mattermost", "mmosts://mm.example/abcdefghijklmnop"),
    _service("Rocket.Chat", f"rockets://{'a' * 24}/{'b' * 44}@rocket.example/#ops"),
    _service("Zulip", f"zulip://bot@example/{'a' * 32}/ops"),
    _service("Nextcloud Talk", "nctalks://user:pass@cloud.example/room1"),
    _service("Nextcloud", "nclouds://user:pass@cloud.example/ann"),
    _service("Lark", f"lark://{HEX[:36]}"),
    _service("Feishu", f"feishu://{HEX[:36]}"),
    _service("DingTalk", f"dingtalk://{HEX}"),
    _service("DingTalk in Markdown", f"dingtalk://{HEX}", format="markdown", plain="title"),
    _service("WeCom Bot", "wecombot://botkey-0123-4567"),
    _service("Signal", "signals://signal.example/+15551230000/+15551239999"),
    _service("Ryver", f"ryver://ops/{'a' * 15}"),
    _service("Google Chat", "gchat://workspace/webhookkey/webhooktoken"),
    _service("Teams (Workflows)", f"workflows://prod.example/{'a' * 32}/{'b' * 43}"),
    _service("Webex", f"wxteams://{'a' * 80}"),
    _service("Pushover", f"pover://{'u' * 30}@{'t' * 30}", PHONE),
    _service("Gotify", "gotifys://gotify.example/token12345", PHONE),
    _service("ntfy", "ntfys://ntfy.example/topic", PHONE),
    _service("Mastodon", "mastodons://token@social.example", "mention link"),
    _service("Misskey", "misskeys://token@misskey.example"),
    _service("Bluesky", "bluesky://ann.example.org@abcd-efgh-ijkl-mnop", "mention link", **BLUESKY),
    _service("Line", f"line://{'a' * 40}/U123"),
    _service("Twist", "twist://password:ann@example.org/1234:5678",
             login={"token": "t", "default_workspace": 1234, "id": 1}, get=[]),
    _service("Synology Chat", "synologys://chat.example/token123", success=True),
    _service("PushDeer", "pushdeers://deer.example/pushkey123"),
    _service("Bark", "barks://bark.example/devicekey", PHONE),
    _service("Prowl", f"prowl://{'a' * 40}", PHONE),
    _service("Join", f"join://{'a' * 32}", PHONE),
    _service("Pushbullet", f"pbul://{'a' * 32}", PHONE),
    _service("Flock", f"flock://{'a' * 24}"),
    _service("Zoom", f"zoom://{'a' * 24}/{'b' * 24}"),
    _service("Revolt", f"revolt://{'a' * 64}/channel1"),
    _service("GroupMe", f"groupme://{'a' * 26}"),
    _service("KOOK", f"kook://{'a' * 20}/1234567890123456"),
    _service("OneBot (QQ)", "onebots://bot.example/@123456"),
    _service("WxPusher", f"wxpusher://AT_{'a' * 20}/UID_{'b' * 20}", code=1000),
    _service("PushPlus", f"pushplus://{'a' * 32}", "mention link html", code=200),
    _service("ServerChan", f"schan://{'a' * 32}"),
    _service("Home Assistant", "hassios://home.example/longlivedtoken"),
    _service("Chanify", f"chanify://{'a' * 32}"),
    _service("BulkSMS", "bulksms://user:pass@/+15551230000", PHONE),
    _service("Mailgun", f"mailgun://ann@example.org/{'a' * 32}-{'b' * 8}-{'c' * 8}/bob@example.org", "html",
             plain="subject"),
    _service("SendGrid", f"sendgrid://{'a' * 32}:ann@example.org/bob@example.org", "html", plain="subject"),
)  # fmt: skip


@dataclass(frozen=True)
class Sent:
    """One request as it left."""

    method: str
    url: str
    headers: Mapping[str, str]
    body: bytes

    def document(self) -> Any:
        """Its body as JSON or form fields; None where it is neither."""
        text = self.body.decode("utf-8", "replace")
        try:
            return json.loads(text)
        except ValueError:
            pass
        fields = parse_qsl(text)
        return dict(fields) if fields else None

    def texts(self, without: frozenset[str] = frozenset()) -> list[str]:
        """Every text in it: headers, query, and the values of the body but those of fields named like these."""
        document = self.document()
        inner = list(_strings(document, without)) if document is not None else [self.body.decode("utf-8", "replace")]
        return [*self.headers.values(), *(value for _, value in parse_qsl(self.url.partition("?")[2])), *inner]


def _strings(value: Any, without: frozenset[str]) -> Iterator[str]:
    """The texts in a document; a text that is a document itself is read on."""
    if isinstance(value, str):
        if value[:1] in "{[" and value[-1:] in "}]":
            try:
                yield from _strings(json.loads(value), without)
            except ValueError:
                yield value
        else:
            yield value
    elif isinstance(value, Mapping):
        for name, inner in value.items():
            if name not in without:
                yield from _strings(inner, without)
    elif isinstance(value, list):
        for inner in value:
            yield from _strings(inner, without)


@contextmanager
def recording(answers: Mapping[str, Any]) -> Iterator[list[Sent]]:
    """Keep every request that requests would send while the block runs, and answer each with success."""
    sent: list[Sent] = []

    def send(_self: HTTPAdapter, request: requests.PreparedRequest, **_options: Any) -> requests.Response:
        body = request.body.encode() if isinstance(request.body, str) else request.body
        body = body if isinstance(body, bytes) else b""
        sent.append(
            Sent(
                str(request.method),
                str(request.url),
                {name: str(value) for name, value in request.headers.items()},
                body,
            )
        )
        called = str(request.url).partition("?")[0].rstrip("/").rpartition("/")[2].rpartition(".")[2]
        accepted = {"ok": True, "success": True, "id": "1", "room_id": "!room", "event_id": "$1"}
        own = {name: value for name, value in answers.items() if not isinstance(value, dict | list)}
        said = answers.get(called) or {**accepted, **own}
        response = requests.Response()
        response.status_code, response.request, response.url = 200, request, str(request.url)
        response._content = str(answers.get("raw") or json.dumps(said)).encode()
        response._content_consumed = True
        response.headers["Content-Type"] = "application/json"
        return response

    real = HTTPAdapter.send
    setattr(HTTPAdapter, "send", send)  # noqa: B010 -- a type checker sees no method to assign to
    try:
        yield sent
    finally:
        setattr(HTTPAdapter, "send", real)  # noqa: B010


def attacked(text: str) -> Alert:
    """An alert whose feed says this in its headline, the sentence that matched and its own title."""
    alert = alerts()["instant"]
    first = alert.hits[0]
    entry = replace(first.entry, title=text, summary=f"{text} and more", link=LINK)
    hit = replace(first.hit, snippet=entry.summary, spans=())
    detail = replace(first, entry=entry, hit=hit, feed_title=text, also_in=(text,))
    return replace(alert, title=text, hits=(detail,), page=None)


class _Clock:
    def now(self) -> Any:
        return NOW


async def send(service: Service, alert: Alert) -> list[Sent]:
    """What leaves for a service, through what production calls."""
    channel = Channel(name="attacked", url=(SecretStr(service.url),), format=service.format)
    notifier = open_notifier(_Clock())
    with recording(service.answers) as sent:
        for recipient in recipients(channel):
            await notifier.send(channel, alert, recipient=recipient)
    return sent


def live(service: Service, attack: Attack, sent: list[Sent]) -> list[str]:
    """The texts in which an attack still works at a service."""
    if attack.syntax not in (*service.reads, "any"):
        return []
    pattern = re.compile(attack.live)
    shown = frozenset() if attack.syntax == "any" else service.plain
    texts = [text for request in sent for text in request.texts(shown)]
    return [text for text in texts if pattern.search(text)]


async def _table() -> list[str]:
    lines = ["| service | attack | inert | what left |", "|---|---|---|---|"]
    for service in SERVICES:
        for attack in ATTACKS:
            sent = await send(service, attacked(attack.text))
            found = live(service, attack, sent)
            marked = [text for one in sent for text in one.texts() if LINK in text or "S-400 and Turkey" in text]
            shown = json.dumps((found or marked or [""])[0], ensure_ascii=False)[:160].replace("|", "\\|")
            lines.append(f"| {service.name} | {attack.name} | {'**no**' if found else 'yes'} | `{shown}` |")
    return lines


def main() -> int:
    """Print the table; the number of attacks that still work is on stderr."""
    lines = asyncio.run(_table())
    print("\n".join(lines))
    bad = sum("**no**" in line for line in lines)
    print(f"{len(SERVICES)} services, {len(ATTACKS)} attacks, {bad} live", file=sys.stderr)
    return bool(bad)


if __name__ == "__main__":
    sys.exit(main())
