"""Short names: each a pure rewrite to an address."""

import pytest

from aggregator.core.short_names import SERVICES, BadShortName, expand, near_miss

CASES = {
    "youtube:UC16niRr50-MSBwiO3YDb3RA": "https://www.youtube.com/feeds/videos.xml?channel_id=UC16niRr50-MSBwiO3YDb3RA",
    "youtube:PLrAXtmErZgOeiKm4sgNOknGvNjby9efdf": "https://www.youtube.com/feeds/videos.xml?playlist_id=PLrAXtmErZgOeiKm4sgNOknGvNjby9efdf",
    "youtube:NATO": "https://www.youtube.com/feeds/videos.xml?user=NATO",
    "telegram:@durov": "https://t.me/s/durov",
    "mastodon:@user@social.example": "https://social.example/@user.rss",
    " @user@social.example ": "https://social.example/@user.rss",
    "mastodon:#osint@social.example": "https://social.example/tags/osint.rss",
    "bluesky:nato.int": "https://bsky.app/profile/nato.int/rss",
    "bluesky:someone": "https://bsky.app/profile/someone.bsky.social/rss",
    "reddit:CredibleDefense": "https://www.reddit.com/r/CredibleDefense/.rss",
    "reddit:u/someone": "https://www.reddit.com/user/someone/.rss",
    "github:owner/name": "https://github.com/owner/name/releases.atom",
    "github:owner/name/commits": "https://github.com/owner/name/commits.atom",
    "github:owner": "https://github.com/owner.atom",
    "google-news: S-400": "https://news.google.com/rss/search?q=S-400&hl=en-US&gl=US&ceid=US%3Aen",
    'google-news: "S-400" OR CAATSA | hl=de | when=1d': "https://news.google.com/rss/search?q=%22S-400%22+OR+CAATSA+when%3A1d&hl=de&gl=DE&ceid=DE%3Ade",
    "google-news: ПВО | hl=uk": "https://news.google.com/rss/search?q=%D0%9F%D0%92%D0%9E&hl=uk&gl=UA&ceid=UA%3Auk",
    "gdelt: S-400 | timespan=6h": "https://api.gdeltproject.org/api/v2/doc/doc?query=S-400&mode=artlist&format=json&sort=datedesc&maxrecords=75&timespan=6h",
    "arxiv:cs.CR": "https://rss.arxiv.org/atom/cs.CR",
    "arxiv:quant-ph": "https://rss.arxiv.org/atom/quant-ph",
    "arxiv:hypersonic glide": "https://export.arxiv.org/api/query?search_query=all%3A%22hypersonic%22+AND+all%3A%22glide%22&sortBy=submittedDate&sortOrder=descending&max_results=50",
    "blogspot:Name": "https://name.blogspot.com/feeds/posts/default",
}


@pytest.mark.parametrize(("name", "address"), CASES.items())
def test_a_short_name_is_an_address(name: str, address: str) -> None:
    """The same address always, without asking anybody."""
    assert expand(name) == address


def test_federal_register_is_asked_for_what_its_reader_reads() -> None:
    """Query, agency and the fields of the answer."""
    found = expand("federal-register: export controls | agency=industry-and-security-bureau") or ""
    assert found.startswith(
        "https://www.federalregister.gov/api/v1/documents.json?conditions%5Bterm%5D=export+controls"
    )
    assert "agencies%5D%5B%5D=industry-and-security-bureau" in found
    assert "fields%5B%5D=publication_date" in found


@pytest.mark.parametrize("service", SERVICES)
def test_every_service_has_a_case(service: str) -> None:
    """Its example is a short name of its own."""
    assert any(name.startswith(f"{service}:") for name in (*CASES, "federal-register:"))
    if "…" not in SERVICES[service].example:
        assert expand(SERVICES[service].example)


@pytest.mark.parametrize(
    "text", ["https://example.org/", "example.org", "imaps://a@b/c", "telegram://x", "nothing:x", ""]
)
def test_what_is_no_short_name_is_left_alone(text: str) -> None:
    """Addresses with another scheme, and names of no service."""
    assert expand(text) is None


@pytest.mark.parametrize(
    "text",
    [
        "telegram:", "telegram:../../etc", "telegram:a/b", "mastodon:user", "github:a/b/c/d", "reddit:r/a b",
        "youtube:@handle", "blogspot:a.example/x", "google-news: x | hl", "bluesky:a b", "mastodon:@u@host/path",
    ],
)  # fmt: skip
def test_what_a_service_cannot_have_is_refused(text: str) -> None:
    """A value never leads to another host or path than the service's own."""
    with pytest.raises(BadShortName, match=";"):
        expand(text)


def test_a_misspelt_service_is_recognised() -> None:
    """For the hint."""
    assert near_miss("telegramm:x") == "telegram"
    assert near_miss("https://example.org") is None
