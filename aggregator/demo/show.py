"""Sets the stage of `aggregator demo`: a folder with a real configuration that watches the publisher."""

from pathlib import Path

from aggregator.demo.news import PUBLISHERS

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
