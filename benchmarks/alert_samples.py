"""Alerts as people see them: an instant alert and a digest in every format, written to files.

python -m benchmarks.alert_samples DIRECTORY
"""

import io
import json
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

from msgspec.structs import replace
from rich.console import Console

from aggregator.core.model import Alert, AlertKind, Entry, Hit, HitDetail, Notice, Span
from aggregator.notify.console import print_alert
from aggregator.notify.render import build_content, chat, mail, text
from aggregator.notify.webhook import document

NOW = datetime(2026, 3, 2, 8, 14, tzinfo=UTC)
TERMS = ("S-400", "S‑400", "С-400", "CAATSA", "Leopard", "sanctions", "CVE-2026-21877")
NEWS = (
    (
        "s400-turkey", "S-400 and Turkey", "TASS", "https://tass.example/politics/1892",
        "Putin and Erdogan discuss S-400 deliveries despite CAATSA threat",
        (
            "The S‑400 deal went ahead, the Kremlin said, although Washington warned Ankara of CAATSA sanctions if"
            " a second regiment were to be delivered."
        ),
        ("Defense News", "Nordisk sikkerhetsblogg", "Hürriyet", "BBC World"),
    ),
    (
        "s400-turkey", "S-400 and Turkey", "Известия", "https://izvestia.example/2026/3/2/c400",
        "Россия и Индия договорились о поставках еще двух полков систем С-400",
        "По его словам, график поставок С-400 согласован на встрече министров обороны двух стран в понедельник.",
        (),
    ),
    (
        "norway-procurement", "Norwegian procurement", "Regjeringen", "https://www.regjeringen.example/no/aktuelt/stridsvogner",
        "Norway orders 54 Leopard 2A8 tanks",
        "Norway will buy 54 Leopard 2A8 main battle tanks from Germany, with an option for a further 18.",
        ("Janes",),
    ),
    (
        "caatsa", "CAATSA and secondary sanctions", "U.S. Treasury", "https://ofac.example/recent-actions/20260302",
        "Treasury designates shipping network under CAATSA section 228",
        (
            "The Office of Foreign Assets Control today imposed sanctions on nine vessels and their managers"
            " pursuant to CAATSA section 228."
        ),
        ("Reuters", "Lloyd's List"),
    ),
    (
        "vpn-flaws", "VPN appliances", "CERT-EE", "https://cert.example/advisories/21877",
        "Critical flaw in VPN appliance exploited in the wild",
        "The flaw, tracked as CVE-2026-21877 and rated 9.8, has been exploited since at least 11 January.",
        (),
    ),
)  # fmt: skip


def detail(number: int) -> HitDetail:
    """One of the samples as a stored hit."""
    rule, rule_title, feed, link, title, sentence, also = NEWS[number]
    at = NOW - timedelta(minutes=17 * number)
    entry = Entry(
        feed=feed.lower(), key=str(number), title=title, summary=sentence, link=link, published_at=at, seen_at=NOW
    )
    spans = tuple(
        Span(field=field, start=start, end=start + len(term), text=term, term=term)
        for field, text in (("title", title), ("summary", sentence))
        for term in TERMS
        if (start := text.find(term)) >= 0
    )
    hit = Hit(
        id=f"h{number}", rule=rule, feed=entry.feed, entry_key=entry.key, spans=spans, snippet=sentence,
        story=f"s{number}", created_at=NOW,
    )  # fmt: skip
    return HitDetail(hit=hit, entry=entry, feed_title=feed, rule_title=rule_title, also_in=also)


def alerts() -> dict[str, Alert]:
    """An instant alert, an urgent one that may be a repeat, a digest, and a notice."""
    first = detail(0)
    instant = Alert(
        id="1f0c77aa90b2d4e6f811", kind=AlertKind.HIT, title=first.entry.title, hits=(first,), time_zone="Europe/Oslo",
        page="https://aggregator.example.org/alerts/1f0c77aa90b2d4e6f811", created_at=NOW,
    )  # fmt: skip
    again = replace(detail(1), hit=replace(detail(1).hit, id="h9", feed="tass", entry_key="9"), feed_title="TASS")
    digest = replace(
        instant, kind=AlertKind.DIGEST, title="6 alerts", hits=(*(detail(i) for i in range(5)), again), more=37
    )
    notice = Notice(title="Feed janes is failing", body="No answer since 05:10.\nThe last five polls timed out.")
    return {
        "instant": instant,
        "urgent": replace(instant, priority="high", repeat=True, why="5 of 5 hits from 4 of 3 feeds in 6 h"),
        "digest": digest,
        "notice": replace(instant, kind=AlertKind.HEALTH, title=notice.title, hits=(), notice=notice, page=None),
    }


def main(arguments: list[str]) -> int:
    """Write every sample in every format."""
    folder = Path(arguments[0] if arguments else "artefacts/samples")
    folder.mkdir(parents=True, exist_ok=True)
    for name, alert in alerts().items():
        alert_content = build_content(alert)
        formats = {
            "mail.html": mail.render(alert_content),
            "mail.txt": text.render(alert_content),
            "push.txt": text.short(alert_content, 300),
            "slack.txt": "\n\n".join(chat.render(alert_content, chat.SLACK, 30_000, title=True)),
            "discord.md": "\n\n".join(chat.render(alert_content, chat.DISCORD, 2000, title=True)),
            "telegram.html": "\n\n".join(chat.render(alert_content, chat.TELEGRAM, 4096, title=True)),
            "matrix.html": "\n\n".join(chat.render(alert_content, chat.MATRIX, 30_000, title=True)),
            "markdown.md": "\n\n".join(chat.render(alert_content, chat.MARKDOWN, 30_000, title=True)),
            "webhook.json": json.dumps(
                document(alert, alert_content, text.render(alert_content)), indent=2, ensure_ascii=False
            ),
        }
        for ending, content in formats.items():
            (folder / f"{name}.{ending}").write_text(content, encoding="utf-8")
    terminal = Console(record=True, width=110, force_terminal=True, file=io.StringIO(), highlight=False)
    for alert in alerts().values():
        print_alert(terminal, build_content(alert))
    terminal.save_svg(str(folder / "console.svg"), title="aggregator run")
    print(folder)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
