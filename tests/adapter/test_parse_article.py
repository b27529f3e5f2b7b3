"""Articles out of pages, in a worker that may die."""

import time
from collections.abc import AsyncIterator

import pytest

from aggregator.core.errors import ParseError
from aggregator.core.model import Fetched
from aggregator.parse import open_reader
from aggregator.ports import ArticleReader
from tests.support.pdf import simple_pdf

pytest.importorskip("trafilatura")
pytestmark = pytest.mark.anyio

WORDS = "The delegation left the building at noon and said nothing about the S-400 to those who waited outside. "
PARAGRAPHS = "".join(f"<p>{place} {WORDS}</p>" for place in ("In Ankara:", "In Oslo:", "In Riga:", "In Bern:"))
NAVIGATION = "<nav><ul>" + "<li><a href='/x'>Sport and weather</a></li>" * 20 + "</ul></nav>"
PAGE = f"<!doctype html><html><head><title>Noon</title></head><body>{NAVIGATION}<article>{PARAGRAPHS}</article></body>"


@pytest.fixture
def anyio_backend() -> str:
    """The application speaks asyncio."""
    return "asyncio"


@pytest.fixture
async def reader() -> AsyncIterator[ArticleReader]:
    """One worker."""
    async with open_reader(1, wall_s=20) as opened:
        yield opened


def page(body: bytes | str, content_type: str = "text/html") -> Fetched:
    data = body if isinstance(body, bytes) else body.encode()
    return Fetched(url="https://news.example/1", status=200, body=data, content_type=content_type)


async def test_the_article_without_what_surrounds_it(reader: ArticleReader) -> None:
    """Paragraphs come as plain text, menus do not."""
    text = await reader.article(page(PAGE))
    assert text.count("S-400") == 4
    assert "<p>" not in text
    assert "Sport and weather" not in text


async def test_the_encoding_that_http_names(reader: ArticleReader) -> None:
    """The header outranks the page's own word."""
    russian = PAGE.replace("noon", "полдень").replace("<head>", "<head><meta charset='utf-8'>")
    text = await reader.article(page(russian.encode("windows-1251"), "text/html; charset=windows-1251"))
    assert "полдень" in text


@pytest.mark.parametrize(
    ("body", "found"),
    [
        (b"", "binary"),
        (b"%PDF-1.7 \x00\x01", "binary"),
        (b'{"a": 1}', "binary"),
        (b"<html><body></body></html>", "empty"),
        (b"<html>" + b"<b>" * 300_000, "hostile"),
    ],
)
async def test_what_is_no_article(reader: ArticleReader, body: bytes, found: str) -> None:
    """Refused in words, and the next page is read all the same."""
    with pytest.raises(ParseError) as caught:
        await reader.article(page(body))
    assert caught.value.found == found
    assert "S-400" in await reader.article(page(PAGE))


@pytest.mark.parametrize(
    "body",
    [
        b"<html><body>" + b"<div>" * 190_000,
        b"<html><body><p " + b"a=1 " * 500_000 + b">x</p></body></html>",
        b"<html><body><p>" + b"x" * 8_000_000 + b"</p></body></html>",
        b"<html><body><!--" + b"-" * 5_000_000,
        b"<html><body>" + b"\n" * 5_000_000 + b"</body></html>",
        b"<html><body>" + b"<table><tr><td>" * 60_000,
    ],
    ids=["deep", "attributes", "one word", "comment", "newlines", "tables"],
)
async def test_hostile_pages_end(body: bytes) -> None:
    """A text, a refusal, or a killed worker: but within the limits, and the next page is read."""
    began = time.monotonic()
    async with open_reader(1, wall_s=8, cpu_s=6) as reader:
        try:
            await reader.article(page(body))
        except ParseError as error:
            print(error)
        assert "S-400" in await reader.article(page(PAGE))
    assert time.monotonic() - began < 40


async def test_the_text_of_a_pdf_file(reader: ArticleReader) -> None:
    """By its first bytes, whatever the header says; one without text says so, and a broken one is refused."""
    pytest.importorskip("pypdf")
    assert await reader.article(page(simple_pdf("S-400 in the annex"), "application/pdf")) == "S-400 in the annex"
    for body, why in ((simple_pdf(""), "no text"), (b"%PDF-1.7 nonsense", "cannot be read")):
        with pytest.raises(ParseError, match=why):
            await reader.article(page(body, "text/html"))


async def test_hostile_pdf_files_end_in_an_error(reader: ArticleReader) -> None:
    """Pages that refer to themselves, endless objects, a stream that grows: none of them costs more than itself."""
    pytest.importorskip("pypdf")
    loop = simple_pdf("x").replace(b"/Kids [3 0 R]", b"/Kids [2 0 R]")
    bomb = simple_pdf("x").replace(b"/Length", b"/Filter [/ASCIIHexDecode /ASCIIHexDecode] /Length")
    for body in (loop, bomb, b"%PDF-1.4\n" + b"[" * 100_000, b"%PDF-1.4\n" + b"1 0 obj << /A " * 50_000):
        with pytest.raises(ParseError):
            await reader.article(page(body, "application/pdf"))
    assert "S-400" in await reader.article(page(PAGE))
