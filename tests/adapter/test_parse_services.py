"""Answers of well-known services that are no feeds."""

import json
from pathlib import Path

from tests.support.read import CONTENT, PUBLISHED, first, links, reading, refusal, titles

PAGES = Path(__file__).parents[1] / "data" / "pages"


def test_a_telegram_preview_is_read_like_a_feed() -> None:
    """Posts with their text, address and time; the name of the channel is the title."""
    found = reading((PAGES / "telegram.html").read_bytes(), None, url="https://t.me/s/airalerts")
    assert (found.title, found.items) == ("Air alerts", 4)
    assert links(found)[0] == "https://t.me/airalerts/100"
    assert first(found)[CONTENT] == "India gets fourth S-400 squadron.\nDetails follow."
    assert first(found)[PUBLISHED] == 1772366400.0


def test_a_channel_without_preview_is_named() -> None:
    """Telegram sends the page of a contact in its place."""
    page = '<html><body><div class="tgme_page"><div class="tgme_page_title">Private</div></div></body></html>'
    assert refusal(page, None).message == "This channel has no public preview on Telegram."


def test_an_answer_of_gdelt() -> None:
    """Articles with the site that carries them; nothing found is an empty feed, from there only."""
    answer = {
        "articles": [
            {
                "url": "https://a.example/x",
                "title": "S-400 delivered",
                "seendate": "20260301T120000Z",
                "domain": "a.example",
                "language": "English",
            },
            "hostile",
            {"url": "javascript:alert(1)", "title": 5, "seendate": []},
        ]
    }
    found = reading(json.dumps(answer), None)
    assert (titles(found)[0], links(found), first(found)[5]) == (
        "S-400 delivered",
        ["https://a.example/x", None],
        "a.example",
    )
    assert first(found)[PUBLISHED] == 1772366400.0
    assert reading("{}", None, url="https://api.gdeltproject.org/api/v2/doc/doc").items == 0
    assert refusal("{}", None).found == "json"


def test_an_answer_of_the_federal_register() -> None:
    """Documents with their agencies and abstracts."""
    answer = {
        "count": 1,
        "results": [
            {
                "title": "Export Controls",
                "abstract": "BIS amends the EAR.",
                "html_url": "https://www.federalregister.gov/d/2026-1",
                "document_number": "2026-1",
                "publication_date": "2026-03-01",
                "type": "Rule",
                "agencies": [{"name": "Bureau of Industry and Security"}, None],
            }
        ],
    }
    found = reading(json.dumps(answer), None)
    guid, link, title, summary, _, author, tags, published, *_ = first(found)
    assert (guid, link, title) == (
        "federal-register:2026-1",
        "https://www.federalregister.gov/d/2026-1",
        "Export Controls",
    )
    assert (summary, author, tags, published) == (
        "BIS amends the EAR.",
        "Bureau of Industry and Security",
        ("Rule",),
        1772323200.0,
    )
    assert reading('{"count": 0}', None, url="https://www.federalregister.gov/api/v1/documents.json").items == 0
