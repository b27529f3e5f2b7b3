"""Hostile text from feeds, in every field, on every page, in a real browser: none of it runs."""

from datetime import timedelta

from msgspec.structs import replace

from aggregator.core.model import (
    Attempt,
    Delivery,
    DeliveryState,
    Fingerprint,
    Health,
    HostLimit,
    Note,
    Notice,
    Silence,
    Span,
    Story,
    Validators,
    View,
)
from aggregator.core.results import FeedCandidate
from tests.browser.conftest import Opener, Site
from tests.support.sample_data import detail_of

SAMPLES = 3  # that the guide shows of a rule
RUN = "window.ran=(window.ran||0)+1"

DANGEROUS = r"""
[...document.querySelectorAll("*")].filter(
  (one) => one.tagName !== "LINK" && one.getAttributeNames().some((name) => name.startsWith("on") ||
    (["href", "src", "action", "formaction"].includes(name) &&
      /^\s*(javascript|data|vbscript):/i.test(one.getAttribute(name)))
  )).map((one) => one.outerHTML)
"""

PAYLOADS = (
    f"<script>{RUN}</script>",
    f"<ScRiPt>{RUN}</sCrIpT>",
    f"<script >{RUN}</script >",
    f"</script><script>{RUN}</script>",
    f"</title><script>{RUN}</script>",
    f"</textarea><script>{RUN}</script>",
    f"</style><script>{RUN}</script>",
    f"--><script>{RUN}</script><!--",
    f"]]><script>{RUN}</script>",
    f"<img src=x onerror={RUN}>",
    f'"><img src=x onerror="{RUN}">',
    f"'><img src=x onerror='{RUN}'>",
    f"<img src=x onerror={RUN}//",
    f"<img/src=x/onerror={RUN}>",
    f"<img src=x\tonerror\n={RUN}>",
    f"<svg onload={RUN}>",
    f"<svg/onload={RUN}>",
    f"<svg><script>{RUN}</script></svg>",
    f"<svg><animate onbegin={RUN} attributeName=x dur=1s>",
    f"<svg><set onbegin={RUN} attributeName=x>",
    f"<svg><a xlink:href='javascript:{RUN}'><text>x</text></a></svg>",
    f"<math href='javascript:{RUN}'>x</math>",
    f"<math><mtext><table><mglyph><style><img src=x onerror={RUN}></style></table></mtext></math>",
    f"<noscript><p title='</noscript><img src=x onerror={RUN}>'>",
    f"<body onload={RUN}>",
    f"<details open ontoggle={RUN}>x</details>",
    f"<video src=x onerror={RUN}></video>",
    f"<audio src=x onerror={RUN}></audio>",
    f"<input autofocus onfocus={RUN}>",
    f"<select autofocus onfocus={RUN}></select>",
    f"<textarea autofocus onfocus={RUN}>",
    f"<marquee onstart={RUN}>x</marquee>",
    f"<iframe srcdoc='<script>parent.{RUN}</script>'></iframe>",
    f"<iframe src='javascript:parent.{RUN}'></iframe>",
    f"<object data='data:text/html,<script>parent.{RUN}</script>'></object>",
    f"<embed src='javascript:{RUN}'>",
    f"<base href='javascript:{RUN}//'>",
    f"<meta http-equiv=refresh content='0;url=javascript:{RUN}'>",
    f"<link rel=stylesheet href='data:text/css,*{{x:expression({RUN})}}'>",
    f"<form action='javascript:{RUN}'><button>x</button></form>",
    f"<a href='javascript:{RUN}'>x</a>",
    f"javascript:{RUN}",
    f" jAvAsCrIpT:{RUN}",
    f"java\tscript:{RUN}",
    f"\x01javascript:{RUN}",
    f"data:text/html,<script>{RUN}</script>",
    f"vbscript:{RUN}",
    f'" onmouseover="{RUN}" x="',
    f"' autofocus onfocus='{RUN}' x='",
    f"` onmouseover={RUN} `",
    f"{{{{constructor.constructor('{RUN}')()}}}}",
    "{{ 7 * 7 }}{% raw %}",
    f"${{{RUN}}}",
    f"&lt;script&gt;{RUN}&lt;/script&gt;",
    f"&#60;img src=x onerror={RUN}&#62;",
    f"\u003cimg src=x onerror={RUN}\u003e",
    f"＜script＞{RUN}＜/script＞",
    f"+ADw-script+AD4-{RUN}+ADw-/script+AD4-",
    f"<\x00script>{RUN}</script>",
    f"\u202e<img src=x onerror={RUN}>\u2066",
    f"<plaintext><script>{RUN}</script>",
    f"<template><img src=x onerror={RUN}></template>",
    f"\n\nid: x\nevent: hit\ndata: <img src=x onerror={RUN}>\n\n",
)


def poison(site: Site, bad: str, number: int) -> list[str]:
    """Put a payload into every field that comes from outside; gives the pages that show it."""
    tables, now = site.backend.tables, site.backend.clock.now()
    detail = detail_of(number, "janes", bad, bad, now, "caatsa", bad[:60])
    span = Span(field="title", start=0, end=len(bad), text=bad, term=bad)
    tables.entries[number] = replace(
        detail.entry, link=bad, author=bad, content=bad, guid=bad, categories=(bad,), enclosures=(bad,), lang=bad
    )
    hit = replace(detail.hit, id=f"x{number}", spans=(span, replace(span, field="summary")), snippet=bad, reason=bad)
    tables.hits[hit.id] = hit
    tables.hits[f"y{number}"] = replace(hit, id=f"y{number}", rule=bad)
    tables.stories[bad[:60]] = Story(
        id=bad[:60], title=bad, fingerprint=Fingerprint(), feeds=(bad, "janes"), first_at=now, last_at=now
    )
    delivery = Delivery(
        id=f"x{number}", state=DeliveryState.RETRY, created_at=now, due_at=now, attempts=1, last_error=bad,
        notice=Notice(title=bad, body=bad, link=bad), recipient=bad, channel=bad, rules=(bad,), hits=(hit.id,),
        title=bad, reason=bad,
    )  # fmt: skip
    tables.deliveries[delivery.id] = delivery
    tables.attempts[delivery.id, 1] = Attempt(delivery=delivery.id, number=1, started_at=now, outcome=bad, detail=bad)
    row = tables.feeds["janes"]
    row.title = bad
    row.state = replace(
        row.state, title=bad, last_error=bad, url=bad, validators=Validators(url=bad, etag=bad, last_modified=bad)
    )
    tables.hosts["janes.example"] = HostLimit(host=bad, not_before=now + timedelta(hours=1), reason=bad)
    story = next(iter(tables.stories), "")
    tables.triage.labels[story, bad] = True
    tables.triage.notes[number] = Note(id=number, story=story, text=bad, created_at=now)
    tables.triage.views[str(number)] = View(id=str(number), name=bad, query=(("rule", bad),), created_at=now)
    tables.silences[1] = Silence(id=1, story=bad, until_at=now + timedelta(hours=1), reason=bad, created_at=now)
    site.backend.candidates["https://bad"] = (FeedCandidate(url=bad, title=bad, titles=(bad,), existing_id=bad),)
    return [f"/hits/x{number}", f"/alerts/x{number}", f"/silences/add?hit=x{number}"]


def test_nothing_that_a_feed_says_runs(site: Site, open_page: Opener) -> None:
    """More than forty payloads in every field of a feed, an entry, a story and an alert."""
    assert len(PAYLOADS) >= 40
    singles: list[str] = []
    for index, bad in enumerate(PAYLOADS):
        singles += poison(site, bad, 9000 + index)
    page = open_page("/")
    everywhere = [
        "/",
        "/?show=all&facets=1",
        "/views",
        "/stories/story-1",
        "/feeds",
        "/feeds/janes",
        "/alerts",
        "/status",
        "/search?q=CAATSA",
        "/rules/caatsa",
    ]
    for path in [*everywhere, *singles]:
        page.goto(site.address + path, wait_until="load")
        page.mouse.move(400, 300)
        assert page.evaluate("window.ran") is None, path
        assert page.evaluate(DANGEROUS) == [], path
    assert not [words for words in site.complaints if "Content Security Policy" in words]
    assert all(url.startswith((site.address, "data:")) for url in site.asked)


def test_nothing_that_an_address_says_runs(site: Site, open_page: Opener) -> None:
    """The same payloads as questions, filters, names and places to go back to, reflected by our own pages."""
    from urllib.parse import quote

    page = open_page("/")
    for bad in PAYLOADS:
        word = quote(bad, safe="")
        for path in (f"/search?q={word}", f"/{word}?rule={word}&next={word}"):
            page.goto(site.address + path, wait_until="load")
            assert page.evaluate("window.ran") is None, path
    assert not [words for words in site.complaints if "Content Security Policy" in words]


def test_stories_and_previews_are_as_safe(site: Site, open_page: Opener) -> None:
    """A hostile story with its differences, hostile candidates and a hostile rules preview stay text."""
    from urllib.parse import quote

    page = open_page("/")
    for index, bad in enumerate(PAYLOADS):
        poison(site, bad, 9000 + index)
        if "/" not in bad[:60] and "\x00" not in bad[:60]:
            page.goto(f"{site.address}/stories/{quote(bad[:60], safe='')}", wait_until="load")
            assert page.evaluate("window.ran") is None, bad
    page.goto(site.address + "/rules/edit")
    page.get_by_label("Contents of").fill("rules:\n" + "\n".join(f"  # {bad!r}" for bad in PAYLOADS) + "\nx\n")
    page.locator(".changes .sample").first.wait_for()
    assert page.evaluate("window.ran") is None
    page.get_by_label("Contents of").fill("\n".join(f"bad {bad!r}" for bad in PAYLOADS))
    page.locator(".problems li").first.wait_for()
    assert page.evaluate("window.ran") is None
    page.goto(site.address + "/feeds/add")
    page.get_by_label("URL").fill("https://bad")
    page.get_by_role("button", name="Find feeds").click()
    page.locator("article.card").first.wait_for()
    assert page.evaluate("window.ran") is None
    assert not [words for words in site.complaints if "Content Security Policy" in words]


def test_the_guide_is_as_safe(site: Site, open_page: Opener) -> None:
    """What a first look found, and why a feed could not be read, stay text in the guide."""
    tables = site.backend.tables
    page = open_page("/start")
    for start in range(0, len(PAYLOADS), SAMPLES):
        tables.hits.clear()
        for index, bad in enumerate(PAYLOADS[start : start + SAMPLES]):
            poison(site, bad, 9000 + start + index)
        tables.deliveries = {name: one for name, one in tables.deliveries.items() if not one.sent_at}
        row = tables.feeds["janes"]
        row.state = replace(row.state, health=Health.NEW if start % 2 else Health.OK, failures=1)
        page.goto(site.address + "/start", wait_until="load")
        assert page.evaluate("window.ran") is None, start
        assert page.evaluate(DANGEROUS) == [], start
    assert not [words for words in site.complaints if "Content Security Policy" in words]
