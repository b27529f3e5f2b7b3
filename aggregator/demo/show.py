"""Sets the stage of `aggregator demo`: a folder with a real configuration that watches the publisher."""

from collections.abc import Sequence
from pathlib import Path

from aggregator.core.model import Entry, HitDetail, HitState
from aggregator.core.titles import hit_outcome
from aggregator.demo.news import PUBLISHERS, STARTS_AT

RULES = """\
rules:
  - id: s400
    title: S-400, in every spelling
    any: [S-400]
    deliver: instant
  - id: caatsa-turkey
    title: CAATSA and Turkey
    all: [CAATSA]
    any: [Turkey, Türkiye, Ankara, Turkish, Турция, Анкара]
    priority: high
  - id: exploited
    title: Exploited vulnerabilities
    query: 'CVE* AND (exploited OR "in the wild")'
"""


def stage(folder: Path, publisher: str, listen: str) -> Path:
    """Write the demo's configuration into `folder`; return the path for `--config`."""
    feeds = "".join(
        f"  - {{id: {o.id}, title: {o.title!r}, url: '{publisher}/{o.id}/feed', every: 1s, tags: [demo]}}\n"
        for o in PUBLISHERS
    )
    host = publisher.removeprefix("http://")
    config = folder / "config"
    config.mkdir(parents=True)
    (config / "feeds.yaml").write_text(f"feeds:\n{feeds}", encoding="utf-8")
    (config / "rules.yaml").write_text(RULES, encoding="utf-8")
    (config / "settings.yaml").write_text(
        f"""\
channels:
  console: {{service: console}}
settings:
  database: sqlite:///{folder}/demo.db
  default_channels: [console]
  polling: {{every: 1s, min_interval: 1s, per_host: 8}}
  http: {{allow: ["{host}"]}}
  stories: {{renotify_sources: 3}}
  web: {{listen: "{listen}"}}
  logging: {{level: warning}}
""",
        encoding="utf-8",
    )
    return config


def held_back(hits: Sequence[HitDetail], entries: Sequence[Entry]) -> tuple[tuple[str, str, str], ...]:
    """Return (title, feed, reason) of what was not alerted: hits once per entry, then entries that no rule matches."""
    names = {outlet.id: outlet.title for outlet in PUBLISHERS}
    quiet = [one for one in hits if one.hit.state is not HitState.ALERTED]
    unsent = {one.entry.title: (one.hit.feed, hit_outcome(one.hit)) for one in reversed(quiet)}
    decoys = {item.title: item.decoy for item in STARTS_AT if item.decoy}
    matched = {(one.hit.feed, one.hit.entry_key) for one in hits}
    missed = {
        entry.title: (entry.feed, f"no rule matches: {decoys[entry.title]}")
        for entry in reversed(entries)
        if entry.title in decoys and (entry.feed, entry.key) not in matched
    }
    return tuple((title, names.get(feed, feed), reason) for title, (feed, reason) in (unsent | missed).items())
