"""Kinds of sources and short names in the configuration."""

from pathlib import Path

import pytest

from tests.unit.config.config_files import loaded, refused


def test_a_text_stands_for_a_feed(tmp_path: Path) -> None:
    """An address or a short name needs no mapping; the id comes from what was written."""
    found = loaded(
        tmp_path,
        """
        feeds:
          - https://example.org/news.xml
          - telegram:durov
          - "google-news: S-400 | hl=no"
          - {url: "github:owner/name", tags: [code]}
        """,
    )
    assert [(feed.id, feed.url, feed.kind) for feed in found.config.feeds] == [
        ("example-org-news-xml", "https://example.org/news.xml", "feed"),
        ("telegram-durov", "https://t.me/s/durov", "feed"),
        (
            "google-news-s-400-hl-no",
            "https://news.google.com/rss/search?q=S-400&hl=no&gl=NO&ceid=NO%3Ano",
            "feed",
        ),
        ("github-owner-name", "https://github.com/owner/name/releases.atom", "feed"),
    ]
    assert found.config.feeds[3].tags == ("code",)


def test_every_kind_is_read(tmp_path: Path) -> None:
    """What a kind needs reaches the reader; the text of a feed's reading is empty, as nothing is to be compared."""
    found = loaded(
        tmp_path,
        """
        feeds:
          - {kind: sitemap, url: "https://a.example/sitemap.xml"}
          - {kind: page, url: "https://a.example/news", select: {entry: article, link: "h2 a@href"}}
          - {kind: watch, url: "https://a.example/list", select: {content: main}, ignore: ["\\\\d+ views"]}
          - {kind: mail, url: "imaps://me@mail.example.org/News", auth: {password: "${P}"}, from: ["*@x.example"]}
          - {kind: mail, url: "maildir:/var/mail/x"}
          - https://a.example/feed
        """,
        P="a password",
    )
    readings = [feed.reading for feed in found.config.feeds]
    assert [reading.kind for reading in readings] == ["sitemap", "page", "watch", "mail", "mail", "feed"]
    assert readings[1].select == (("entry", "article"), ("link", "h2 a@href"))
    assert (readings[2].ignore, readings[3].senders) == (("\\d+ views",), ("*@x.example",))
    assert [reading.text == "" for reading in readings] == [False] * 5 + [True]


@pytest.mark.parametrize(
    ("feed", "expected"),
    [
        ('{kind: page, url: "https://a.example/"}', "a page needs select: {entry: …}"),
        ('{kind: page, url: "https://a.example/", select: {title: h2}}', "a page needs select: {entry: …}"),
        ('{kind: page, url: "https://a.example/", select: {entry: p, content: main}}', "select.content has no meaning"),
        ('{kind: page, url: "https://a.example/", select: {entry: "a@b@c"}}', "'a@b@c' is not a selector"),
        ('{kind: page, url: "https://a.example/", select: {entires: p}}', "did you mean 'entry'?"),
        ('{url: "https://a.example/", select: {entry: p}}', "'select' has no meaning for kind feed"),
        ('{kind: sitemap, url: "https://a.example/", ignore: x}', "'ignore' has no meaning for kind sitemap"),
        ('{url: "https://a.example/", from: x}', "'from' has no meaning for kind feed"),
        ('{kind: watch, url: "https://a.example/", ignore: ["(?=x)"]}', "ignore:"),
        ('{kind: mail, url: "https://a.example/"}', "kind mail reads a mailbox"),
        ('{kind: mail, url: "imaps://me@a.example/"}', "a mailbox needs a password"),
        ('{kind: mail, url: "imap://me@a.example/", auth: {password: x}}', "mail is read over TLS only"),
        ('{kind: mail, url: "imaps://me:secret@a.example/"}', "the address contains a password"),
        ('{kind: mail, url: "maildir:mail"}', "does not name a folder"),
        ('{url: "maildir:/var/mail"}', "the address is one of mail (add kind: mail)"),
        ('{kind: pages, url: "https://a.example/"}', "'pages' is not one of feed, sitemap, page, watch, mail"),
        ("telegramm:durov", "'telegramm:durov' is not a web address (did you mean telegram:?)"),
        ("telegram:a", "'a' is not a name there (write for example telegram:durov)"),
        ("youtube:@name", "is a handle, which YouTube has no feed for"),
        ('"google-news: x | country=no"', "'country=no' is not an option of google-news (it takes gl, hl, when"),
        ("google-news: x", "unknown key 'google-news' (quote a short name: - \"google-news: …\")"),
        ("plain words", "'plain words' is not a web address"),
    ],
)
def test_what_does_not_fit_is_named(tmp_path: Path, feed: str, expected: str) -> None:
    """The error stands at the feed, says what is wrong, and what to write; a password is not quoted."""
    found = refused(tmp_path, f"feeds:\n  - {feed}\n")
    assert any(expected in one for one in found), found
    assert all(one.startswith("2:") for one in found)
    assert "secret" not in "\n".join(found).replace("secret@", "")


def test_one_page_may_be_read_in_two_ways(tmp_path: Path) -> None:
    """The same address twice is an error only where the same is read there."""
    found = loaded(
        tmp_path,
        """
        feeds:
          - {kind: watch, url: "https://a.example/"}
          - {kind: page, url: "https://a.example/", select: {entry: li}}
        """,
    )
    assert len({feed.id for feed in found.config.feeds}) == 2
    twice = refused(tmp_path, "feeds: [telegram:durov, 'https://t.me/s/durov']\n")
    assert "is defined twice" in twice[0]
