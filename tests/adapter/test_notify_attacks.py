"""Hostile words in every format: no mention, no markup, no lying link, no injected line; nothing lost either."""

import io
import re
from collections.abc import Callable
from datetime import UTC, datetime
from email import message_from_bytes
from email.policy import SMTP
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import yaml
from markdown_it import MarkdownIt
from msgspec.structs import replace

from aggregator.core.model import Alert, AlertKind, Entry, Hit, HitDetail, Span
from aggregator.notify.console import print_alert
from aggregator.notify.render import AlertContent, build_content, chat, mail, text
from aggregator.notify.render.sanitize import clean, web_address

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
CORPUS = yaml.safe_load((Path(__file__).parent.parent / "data" / "attacks" / "words.yaml").read_text("utf-8"))
ATTACKS = [attack for family in CORPUS.values() for attack in family] + ["A" * 6000, "*_`<@ " * 900, "&" * 3000]
SHORT = [attack for attack in ATTACKS if len(attack) < 200]
TRICKS = re.compile("[\u00ad\u061c\u180e\u200b\u200e\u200f\u202a-\u202e\u2061-\u206f\ufeff\U000e0000-\U000e0fff]")
CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029]")
CHATS = {
    "telegram": (chat.TELEGRAM, 4096, chat.visible_utf16),
    "matrix": (chat.MATRIX, 30_000, chat.utf8),
    "slack": (chat.SLACK, 30_000, chat.utf16),
    "discord": (chat.DISCORD, 2000, chat.utf16),
    "google": (chat.GOOGLE_CHAT, 4000, chat.utf16),
    "markdown": (chat.MARKDOWN, 1000, chat.utf8),
    "plain": (chat.PLAIN, 2048, chat.utf8),
}


def parts(name: str, content: AlertContent) -> tuple[str, ...]:
    """The messages of an alert for a chat."""
    dialect, limit, measure = CHATS[name]
    return chat.render(content, dialect, limit, title=True, measure=measure)


def written(name: str) -> Callable[[AlertContent], str]:
    return lambda content: "\n\n".join(parts(name, content))


HTML_RENDERERS: dict[str, Callable[[AlertContent], str]] = {
    "mail": mail.render,
    "telegram": written("telegram"),
    "matrix": written("matrix"),
}
RENDERERS: dict[str, Callable[[AlertContent], str]] = {
    **HTML_RENDERERS,
    **{name: written(name) for name in CHATS},
    "text": text.render,
    "push": lambda content: text.short(content, 300),
    "short": lambda content: text.short(content, 300, title=False, words=chat.neutral, link=chat.bare_url),
}
# Signs that look alike, as one: what was made harmless reads as it was.
READS = str.maketrans(
    {
        **dict(zip("∶․∗＿∼ˋǀ‹›＃＼［］（）＆｛", ":.*_~`|<>#\\[]()&{", strict=True)),
        **dict.fromkeys("+=–", "-"),
    }
)


def alert(attack: str, count: int = 1) -> Alert:
    """An alert with the attack in every field that a feed controls."""
    detail = []
    for number in range(count):
        entry = Entry(feed="f", key=str(number), title=attack, summary=attack, link=attack, seen_at=NOW)
        spans = tuple(
            Span(field=f, start=0, end=min(3, len(attack)), text=attack[:3], term="x") for f in ("title", "summary")
        )
        hit = Hit(
            id=str(number),
            rule="r",
            feed="f",
            entry_key=str(number),
            spans=spans,
            snippet=f"{attack} {number}",
            created_at=NOW,
        )
        detail.append(HitDetail(hit=hit, entry=entry, feed_title=attack, rule_title="Rule", also_in=(attack,) * 5))
    kind = AlertKind.HIT if count == 1 else AlertKind.DIGEST
    return Alert(id="0123456789abcdef", kind=kind, title=attack, hits=tuple(detail), why=attack, created_at=NOW)


class Tags(HTMLParser):
    """What a reader of HTML makes of a message."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.links: list[tuple[str, str]] = []
        self.words: list[str] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag == "a":
            self.links.append((dict(attrs).get("href") or "", ""))

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    def handle_comment(self, data: str) -> None:
        self.tags.append(("comment", {}))


def test_the_corpus_is_large() -> None:
    """At least sixty attacks are tried on each format."""
    assert len(ATTACKS) >= 60


@pytest.mark.parametrize("name", RENDERERS)
def test_no_hidden_or_control_signs(name: str) -> None:
    """No format carries signs that hide, reverse or control; only ours, behind @, is invisible."""
    for attack in ATTACKS:
        rendered = RENDERERS[name](build_content(alert(attack)))
        assert not TRICKS.search(rendered), attack
        assert not CONTROL.search(rendered), attack
        assert "\u2060" not in rendered.replace("@\u2060", ""), attack
        rendered.encode()


@pytest.mark.parametrize("name", [name for name in RENDERERS if name not in ("mail", "text", "push")])
def test_nobody_is_mentioned(name: str) -> None:
    """No @ of a stranger stands directly before a name in a chat."""
    for attack in ATTACKS:
        rendered = RENDERERS[name](build_content(alert(attack)))
        outside_links = re.sub(r"<https?://[^>]*>|\(https?://[^)]*\)|href=\"[^\"]*\"", "", rendered)
        assert not re.search(r"@(?!\u2060)", outside_links), attack


@pytest.mark.parametrize("name", CHATS)
def test_limits_hold(name: str) -> None:
    """Single alerts and digests of 200 stories stay within what the service takes."""
    _, limit, measure = CHATS[name]
    for attack, count in (*((attack, 1) for attack in ATTACKS), *((attack, 200) for attack in ATTACKS[::10])):
        for part in parts(name, build_content(alert(attack, count))):
            assert measure(part) <= limit, attack


@pytest.mark.parametrize("count", [1, 200])
def test_the_short_form_fits(count: int) -> None:
    """A push message or SMS is as long as it may be, whatever the feed says."""
    for attack in ATTACKS:
        for name in ("push", "short"):
            assert len(RENDERERS[name](build_content(alert(attack, count)))) <= 300, attack


ALLOWED = {
    "mail": {
        "html", "head", "meta", "title", "body", "div", "table", "tr", "td", "h1", "h2", "p", "span", "a", "mark",
        "blockquote", "br",
    },
    "telegram": {"b", "a", "blockquote"},
    "matrix": {"strong", "a", "blockquote", "br"},
}  # fmt: skip


@pytest.mark.parametrize("name", HTML_RENDERERS)
def test_html_holds_only_our_tags(name: str) -> None:
    """A stranger's markup is text: only our tags and attributes, and as many as a harmless title makes."""
    harmless = [
        tag for tag, _ in Tags(HTML_RENDERERS[name](build_content(alert("A harmless title of some length")))).tags
    ]
    for attack in ATTACKS:
        found = Tags(HTML_RENDERERS[name](build_content(alert(attack)))).tags
        assert {tag for tag, _ in found} <= ALLOWED[name], attack
        names = {attribute for _, attributes in found for attribute in attributes}
        assert not {n for n in names if n.startswith("on") or n in ("src", "srcset", "action")}, attack
        assert len([t for t, _ in found if t != "a"]) <= len(harmless) + 6, attack


@pytest.mark.parametrize("name", HTML_RENDERERS)
def test_html_links_lead_where_they_say(name: str) -> None:
    """Each link is http(s) without a user name, and its host is what is shown."""
    for attack in ATTACKS:
        html = HTML_RENDERERS[name](build_content(alert(attack)))
        for url, shown in re.findall(r'<a href="([^"]*)"[^>]*>([^<]*)</a>', html):
            parts = urlsplit(url)
            assert parts.scheme in ("http", "https"), attack
            assert parts.username is None, attack
            if shown:
                assert shown == (parts.hostname or "").removeprefix("www."), attack


@pytest.mark.parametrize("name", HTML_RENDERERS)
def test_html_keeps_the_words(name: str) -> None:
    """What is neutralised can still be read: the cleaned words are in the message."""
    for attack in SHORT:
        words = " ".join(
            "".join(Tags(HTML_RENDERERS[name](build_content(alert(attack)))).words).replace("\u2060", "").split()
        )
        assert clean(attack).translate(READS) in words.translate(READS), attack


def test_slack_knows_only_our_angle_brackets() -> None:
    """Every <…> in a Slack message is a link of ours that shows its host; no raw formatting is left."""
    for attack in ATTACKS:
        rendered = RENDERERS["slack"](build_content(alert(attack)))
        for inner in re.findall(r"<([^>]*)>", rendered):
            url, _, shown = inner.partition("|")
            assert shown == (urlsplit(url).hostname or "").removeprefix("www."), attack
        for sign in "_~`":
            assert sign not in re.sub(r"<[^>]*>", "", rendered), attack


def test_discord_and_markdown_escape_everything() -> None:
    """Each sign with a meaning is escaped in a stranger's words, or replaced where no escape can be relied on."""
    for attack in ATTACKS:
        words = re.sub(r"\\\\", "", chat.DISCORD.words(clean(attack)))
        assert not re.search(rf"(?<!\\)[{re.escape('*_`[]<>~|')}]", words), attack
        assert not set("*_`<>#|~\\") & set(chat.neutral(clean(attack))), attack


def test_markdown_reads_back_as_the_words() -> None:
    """A CommonMark reader finds one paragraph of plain words in what we made of an attack."""
    reader = MarkdownIt("commonmark", {"html": True})
    for attack in ATTACKS:
        cleaned = clean(attack)
        if not cleaned:
            continue
        html = reader.render(chat.MARKDOWN.words(cleaned)).strip()
        assert {tag for tag, _ in Tags(html).tags} == {"p"}, attack
        assert "".join(Tags(html).words).replace("\u2060", "").strip().translate(READS) == cleaned.translate(READS), (
            attack
        )


def test_lines_cannot_be_injected() -> None:
    """Whatever a title holds, a text alert has the lines of a harmless one, at most."""
    harmless = text.render(build_content(alert("A title https://example.org"))).count("\n")
    for attack in ATTACKS:
        assert text.render(build_content(alert(attack))).count("\n") <= harmless + 2, attack


def test_mail_headers_cannot_be_injected() -> None:
    """A title with line breaks makes no header; the message parses back to the headers we set."""
    from aggregator.notify.formats import RenderedMessage
    from aggregator.notify.smtp import SmtpService

    service = SmtpService(host="example.org", from_addr="a@example.org", targets=["b@example.org"])
    for attack in ATTACKS:
        made = alert(attack)
        content = build_content(made)
        message = RenderedMessage(
            title=content.subject, body=text.render(content), html=mail.render(content), format="text"
        )
        service.mail = service.mail_of(made, message)
        parsed = message_from_bytes(service.compose(), policy=SMTP)
        assert set(parsed.keys()) == {
            "Subject", "From", "To", "Message-ID", "Date", "Auto-Submitted", "List-Id", "MIME-Version", "Content-Type",
        }, attack  # fmt: skip
        assert parsed["To"] == "b@example.org"
        assert not parsed.defects, attack


def test_the_terminal_obeys_only_us() -> None:
    """No escape sequence and no console markup of a stranger reaches a terminal."""
    from rich.console import Console

    for attack in ATTACKS:
        stream = io.StringIO()
        print_alert(Console(file=stream, width=200, highlight=False), build_content(alert(attack)))
        assert "\x1b" not in stream.getvalue(), attack
    assert "[bold red]" in _shown("[bold red]console[/]")


def _shown(attack: str) -> str:
    from rich.console import Console

    stream = io.StringIO()
    print_alert(Console(file=stream, width=200, highlight=False), build_content(alert(attack)))
    return stream.getvalue()


@pytest.mark.parametrize(
    ("given", "safe"),
    [
        ("https://example.org/a?b=c&d=e#f", "https://example.org/a?b=c&d=e#f"),
        ("https://bank.example@evil.example/login", "https://evil.example/login"),
        ("javascript:alert(1)", None),
        (" JaVaScRiPt:alert(1)", None),
        ("//evil.example/", None),
        ("https://evil.example/\"><script>", "https://evil.example/%22%3E%3Cscript%3E"),
        ("https://bаnk.example/x", "https://xn--bnk-6cd.example/x"),
        ("https://[::1]:8080/x", "https://[::1]:8080/x"),
        ("https://example.org/русский", "https://example.org/%D1%80%D1%83%D1%81%D1%81%D0%BA%D0%B8%D0%B9"),
        ("https:///nohost", None),
        (None, None),
    ],
)  # fmt: skip
def test_addresses(given: str | None, safe: str | None) -> None:
    """Only web addresses are linked, without what could deceive or break out."""
    assert web_address(given) == safe


def test_attacks_in_notices() -> None:
    """The body of a notice keeps its lines and loses its tricks."""
    from aggregator.core.model import Notice

    for attack in ATTACKS:
        notice = replace(alert(attack), hits=(), notice=Notice(title=attack, body=f"{attack}\nsecond line"))
        for name, render in RENDERERS.items():
            rendered = render(build_content(notice))
            assert not TRICKS.search(rendered), (name, attack)
            if name in CHATS:
                _, limit, measure = CHATS[name]
                assert all(measure(part) <= limit for part in parts(name, build_content(notice))), (name, attack)
