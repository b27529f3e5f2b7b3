"""Feed addresses of well-known sites, from the address of a page. Pure."""

import re
from collections.abc import Callable
from urllib.parse import SplitResult, parse_qs, urlsplit

# Tried, in this order, on a site whose page names no feed.
COMMON_PATHS = (
    "/feed",
    "/rss",
    "/feed.xml",
    "/rss.xml",
    "/atom.xml",
    "/index.xml",
    "/feeds/posts/default",
    "/feed.json",
    "/blog/feed",
    "/?feed=rss2",
    "/rss/news.xml",
    "/rss/index.xml",
    "/news/rss",
)
BELOW = ("/feed", "/rss.xml", "/feed.xml", "/atom.xml", "/index.xml", "/rss")
GENERATORS = {  # of <meta name="generator">
    "joomla": "/index.php?format=feed&type=rss",
    "squarespace": "/?format=rss",
    "wix.com": "/blog-feed.xml",
    "spip": "/spip.php?page=backend",
    "shopify": "/blogs/news.atom",
    "discourse": "/latest.rss",
    "plone": "/RSS",
    "liferay": "/rss",
}
GITHUB_WORDS = frozenset(
    {"about", "features", "login", "marketplace", "orgs", "search", "settings", "sponsors", "topics", "trending"}
)
YOUTUBE = "https://www.youtube.com/feeds/videos.xml?"

Finder = Callable[[SplitResult, list[str]], list[str]]


def known_feeds(url: str) -> tuple[str, ...]:
    """Return the feeds of a well-known site, best first; empty for any other."""
    parts = urlsplit(url)
    host = (parts.hostname or "").lower().removeprefix("www.").removeprefix("m.")
    segments = [segment for segment in parts.path.split("/") if segment]
    for suffix, find in FINDERS.items():
        if host == suffix or host.endswith("." + suffix):
            return tuple(find(parts, segments))
    if len(segments) == 1 and re.fullmatch(r"@\w+", segments[0]):
        return (f"{parts.scheme}://{parts.netloc}/{segments[0]}.rss",)  # Mastodon and its kin
    return ()


def common_feeds(url: str) -> tuple[str, ...]:
    """Return addresses that are worth a try on any site."""
    parts = urlsplit(url)
    root = f"{parts.scheme}://{parts.netloc}"
    folder, _, name = parts.path.rpartition("/")
    folder = folder if not name or "." in name else parts.path
    below = [f"{root}{folder}{path}" for path in BELOW] if folder else []
    return (*below, *(root + path for path in COMMON_PATHS))


def generated_feeds(url: str, generator: str) -> tuple[str, ...]:
    """Return where the program that made a site puts its feed, from what the page says of it."""
    parts = urlsplit(url)
    name = generator.lower()
    return tuple(f"{parts.scheme}://{parts.netloc}{path}" for known, path in GENERATORS.items() if known in name)


def _youtube(parts: SplitResult, segments: list[str]) -> list[str]:
    if listed := parse_qs(parts.query).get("list"):
        return [f"{YOUTUBE}playlist_id={listed[0]}"]
    match segments:
        case ["channel", channel, *_]:
            return [f"{YOUTUBE}channel_id={channel}"]
        case ["user", user, *_]:
            return [f"{YOUTUBE}user={user}"]
    return []  # an @handle: the page itself names the channel


def _reddit(_: SplitResult, segments: list[str]) -> list[str]:
    match segments:
        case ["r" | "user" | "u" as kind, name, *_]:
            return [f"https://www.reddit.com/{'user' if kind == 'u' else kind}/{name}/.rss"]
    return ["https://www.reddit.com/.rss"]


def _github(_: SplitResult, segments: list[str]) -> list[str]:
    match segments:
        case [owner, repository, *_] if owner not in GITHUB_WORDS:
            base = f"https://github.com/{owner}/{repository.removesuffix('.git')}"
            return [f"{base}/releases.atom", f"{base}/tags.atom", f"{base}/commits.atom"]
        case [owner] if owner not in GITHUB_WORDS:
            return [f"https://github.com/{owner}.atom"]
    return []


def _medium(parts: SplitResult, segments: list[str]) -> list[str]:
    if (parts.hostname or "").removeprefix("www.") != "medium.com":
        return [f"https://{parts.hostname}/feed"]
    return [f"https://medium.com/feed/{segments[0]}"] if segments else []


def _at(path: str) -> Finder:
    return lambda parts, _: [f"{parts.scheme}://{parts.netloc}{path}"]


FINDERS: dict[str, Finder] = {
    "youtube.com": _youtube,
    "reddit.com": _reddit,
    "github.com": _github,
    "medium.com": _medium,
    "substack.com": _at("/feed"),
    "blogspot.com": _at("/feeds/posts/default"),
    "wordpress.com": _at("/feed/"),
    "tumblr.com": _at("/rss"),
}
