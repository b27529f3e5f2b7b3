"""Letters on which an operator's template is tried before it has to work."""

from aggregator.notify.render.content import Group, Letter, Piece
from aggregator.notify.render.sanitize import Run


def letters() -> tuple[Letter, ...]:
    """An alert with everything in it, a digest, and a notice."""
    piece = Piece(
        title=(Run("Ankara receives "), Run("S-400", marked=True)),
        sentence=(Run("The "), Run("S-400", marked=True), Run(" batteries arrived.")),
        feed="Example News",
        when="Mon 2 Mar 09:14",
        link="https://example.org/news/1",
        host="example.org",
        also="Other News",
        rules=("S-400 and Turkey",),
    )
    group = Group(rule="S-400 and Turkey", hits=2, pieces=(piece,))
    sources = (("Example News", 2),)
    alert = Letter(subject="Ankara receives S-400", groups=(group,), hits=1, sources=sources, short_id="1f0c77aa")
    digest = Letter(subject="2 alerts", label="digest", groups=(group, group), hits=4, more=2, is_digest=True)
    return alert, digest, Letter(subject="Test alert", label="test", body="It works.", short_id="1f0c77aa")
