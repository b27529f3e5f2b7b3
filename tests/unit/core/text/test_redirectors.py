"""Links through services that count clicks: where they lead, as far as they say it themselves."""

from base64 import urlsafe_b64encode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aggregator.core.text.redirectors import destination

PAGE = "https://paper.example/a?id=7"
QUOTED = "https%3A%2F%2Fpaper.example%2Fa%3Fid%3D7"
CODE = urlsafe_b64encode(PAGE.encode()).decode().rstrip("=")
ARTICLE = urlsafe_b64encode(b"\x08\x13\x22" + bytes([len(PAGE)]) + PAGE.encode() + b"\xd2\x01\x00").decode().rstrip("=")


@pytest.mark.parametrize(
    "link",
    [
        f"https://www.google.com/url?rct=j&sa=t&url={QUOTED}&ct=ga&usg=x",
        f"https://www.google.co.uk/url?q={QUOTED}",
        f"http://news.google.com/news/url?sa=t&fd=R&url={QUOTED}",
        f"https://news.google.com/rss/articles/{ARTICLE}?oc=5",
        f"http://www.bing.com/news/apiclick.aspx?ref=FexRss&aid=&url={QUOTED}&c=1",
        f"https://www.bing.com/ck/a?!&&p=1&u=a1{CODE}&ntb=1",
        f"https://l.facebook.com/l.php?u={QUOTED}&h=AT0",
        f"https://t.umblr.com/redirect?z={QUOTED}&t=x",
        f"https://vk.com/away.php?to={QUOTED}",
        f"https://duckduckgo.com/l/?uddg={QUOTED}",
        f"https://links-1.govdelivery.com/CL0/{QUOTED}/1/0100018f-0000/x=300",
        f"https://abc.r.us-east-1.awstrack.me/L0/{QUOTED}/1/0100018f/y=20",
        f"https://urldefense.com/v3/__{PAGE}__;!!abc!def$",
        "https://www.google.com/amp/s/paper.example/a?id=7",
        "https://paper-example.cdn.ampproject.org/c/s/paper.example/a?id=7",
        f"https://r.search.yahoo.com/_ylt=A/RV=2/RE=1/RO=10/RU={QUOTED}/RK=2/RS=x-",
        f"https://eur02.safelinks.protection.outlook.com/?url={QUOTED}&data=05",
        f"https://href.li/?{PAGE}",
        f"https://www.google.com/url?url=https%3A%2F%2Fl.facebook.com%2Fl.php%3Fu%3D{QUOTED.replace('%', '%25')}",
        PAGE,
    ],
)
def test_the_page_behind_a_redirector(link: str) -> None:
    """Every service names the page in its own way, one of them behind another too."""
    assert destination(link) == PAGE


@pytest.mark.parametrize(
    "link",
    [
        "https://www.google.com/url?url=javascript:alert(1)",
        "https://www.google.com/search?q=https://paper.example/",
        "https://news.google.com/rss/articles/CBMiQVVfeXFMTVBLNXl0Z0FfZ1hVb2NhZGV3?oc=5",
        "https://google.example/url?url=https://paper.example/",
        "https://paper.example/share?url=https://other.example/",
        "https://www.bing.com/ck/a?u=a1%%%",
        "https://[::1",
    ],
)
def test_what_is_left_alone(link: str) -> None:
    """A link that says nothing about its destination, or lies about it, stays as it is."""
    assert destination(link) == link


@given(st.text(max_size=80))
def test_no_link_is_dangerous(tail: str) -> None:
    """Whatever stands in a redirector's link, the answer is itself or another web address."""
    link = f"https://www.google.com/url?url={tail}"
    assert destination(link) == link or destination(link).lower().startswith(("http://", "https://"))
