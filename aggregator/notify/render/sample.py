"""Sample alerts for testing an operator's template."""

from aggregator.notify.render.content import AlertContent, RuleGroup, StoryItem
from aggregator.notify.render.sanitize import TextRun


def sample_contents() -> tuple[AlertContent, ...]:
    """Return an alert with everything in it, a digest, and a notice."""
    piece = StoryItem(
        title=(TextRun("Ankara receives "), TextRun("S-400", marked=True)),
        sentence=(TextRun("The "), TextRun("S-400", marked=True), TextRun(" batteries arrived.")),
        feed="Example News",
        when="Mon 2 Mar 09:14",
        link="https://example.org/news/1",
        host="example.org",
        also="Other News",
        rules=("S-400 and Turkey",),
    )
    group = RuleGroup(rule="S-400 and Turkey", hits=2, pieces=(piece,))
    sources = (("Example News", 2),)
    alert = AlertContent(subject="Ankara receives S-400", groups=(group,), hits=1, sources=sources, short_id="1f0c77aa")
    digest = AlertContent(subject="2 alerts", label="digest", groups=(group, group), hits=4, more=2, is_digest=True)
    return alert, digest, AlertContent(subject="Test alert", label="test", body="It works.", short_id="1f0c77aa")
