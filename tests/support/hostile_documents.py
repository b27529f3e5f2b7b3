"""Documents and servers made to harm: the tests assert the outcome of each, `benchmarks.hostile` measures its cost.

REFUSED, SURVIVED and HEAVY are documents (made when they are wanted: some have megabytes), ANSWERS are whole
answers of a server with the error that they owe. SURVIVED cost something, but an entry is found in them; HEAVY may
cost a worker its life.
"""

import asyncio
import gzip
import zlib
from collections.abc import Callable
from itertools import count

import brotli

from aggregator.core.errors import BadStatus, FetchError, Forbidden, TooLarge, Unreachable
from tests.support.loopback import FEED, Answer, Play, answer, drip, flood, redirect, silence

OK = b"HTTP/1.1 200 OK\r\n"
# 10 GB of zeros would take 100 frames of these; nobody asks for zstd, so nobody unpacks it.
ZSTD_BOMB = bytes.fromhex("28b52ffda000000800540000100000010000") * 8
GOOD = b"<rss version='2.0'><channel><title>Good</title><item><title>fine</title></item></channel></rss>"


def rss(inside: bytes) -> bytes:
    """An entry with this inside."""
    return b"<rss version='2.0'><channel><item>" + inside + b"</item></channel></rss>"


def doctype(entities: str, use: str) -> bytes:
    """A feed with a document type."""
    return (
        f"<?xml version='1.0'?><!DOCTYPE rss [{entities}]><rss><channel><title>{use}</title></channel></rss>".encode()
    )


def laughs() -> bytes:
    """A billion of them."""
    steps = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 10))
    return doctype('<!ENTITY l0 "lol">' + steps, "&l9;")


REFUSED: dict[str, Callable[[], bytes]] = {
    "attributes": lambda: rss(b"<title " + b" ".join(b"a%d='1'" % n for n in range(200_000)) + b">x</title>"),
    "attributes in broken markup": lambda: rss(b"&<b " + b" ".join(b"a%d='1'" % n for n in range(50_000)) + b">"),
    "depth": lambda: rss(b"<a>" * 20_000 + b"</a>" * 20_000),
    "depth without end": lambda: b"<rss><channel><item>" + b"<a>" * 50_000,
    "elements": lambda: rss(b"<a/>" * 1_100_000),
    "billion laughs": laughs,
    "quadratic blow-up": lambda: doctype('<!ENTITY a "' + "a" * 50_000 + '">', "&a;" * 20_000),
    "external entity": lambda: doctype('<!ENTITY a SYSTEM "file:///etc/passwd">', "&a;"),
    "external parameter": lambda: doctype('<!ENTITY % a SYSTEM "http://127.0.0.1/"> %a;', "x"),
}
SURVIVED: dict[str, Callable[[], bytes]] = {
    "newlines before the root": lambda: b"<?xml version='1.0'?>" + b"\n" * 200_000 + b"<!DOCTYPE rss>" + GOOD,
    "newlines before a broken root": lambda: b"<!-- x -->" + b"\n" * 200_000 + GOOD.replace(b"Good", b"G & B &x"),
    "unclosed comments": lambda: GOOD.replace(b"</rss>", b"<b>" + b"<!-- " * 40_000),
    "unclosed sections": lambda: GOOD.replace(b"</rss>", b"<b>" + b"<![CDATA[" * 20_000),
    "a declaration of encodings": lambda: b"<?xml version='1.0' " + b"encoding='" * 9_000 + b"?>" + GOOD,
    "one text of 9 MB": lambda: rss(b"<title>t</title><description>" + b"a " * 4_500_000 + b"</description>"),
    "unclosed tags in text": lambda: rss(b"<description>" + b"&lt;a " * 100_000 + b"</description>"),
    "NUL and controls": lambda: rss(b"<title>a\0\x01\x1b\x7fb</title>"),
    "lone surrogates": lambda: rss(b"<title>a\xed\xa0\x80b</title>"),
    "ampersands": lambda: rss(b"<title>" + b"&" * 300_000 + b"</title>"),
    "namespaces": lambda: rss(b"".join(b"<x:a xmlns:x='urn:%d'/>" % n for n in range(20_000))),
}
ATOM = b"<feed xmlns='http://www.w3.org/2005/Atom'>"
HEAVY: dict[str, Callable[[], bytes]] = {
    "90,000 entries": lambda: rss(b"</item><item>".join(b"<guid>%d</guid>" % n for n in range(90_000))),
    "90,000 broken entries": lambda: rss(b"&x " + b"</item><item>".join(b"<guid>%d</guid>" % n for n in range(90_000))),
    "200,000 entries with bases": lambda: (
        ATOM + b"<entry xml:base='a/'><link href='../b'/></entry>" * 200_000 + b"</feed>"
    ),
    "400,000 links": lambda: ATOM + b"<entry>" + b"<link href='/a'/>" * 400_000 + b"</entry></feed>",
    "200,000 entries in JSON": lambda: (
        b'{"version":"https://jsonfeed.org/version/1","items":['
        + b'{"id":"1","content_html":"<p>x"},' * 200_000
        + b"{}]}"
    ),
    "depth in JSON": lambda: b'{"version":"https://jsonfeed.org/version/1","items":' + b"[" * 2_000_000,
    "a quote that never ends": lambda: rss(b"<title a='" + b"<" * 990_000),
    "9 MB of blanks in a tag": lambda: rss(b"<a" + b" " * 9_000_000),
    "half a million broken paragraphs": lambda: rss(
        b"&x <description>" + b"&lt;p&gt;x&lt;/p&gt;" * 500_000 + b"</description>"
    ),
    "a million entities": lambda: rss(b"&x <title>" + b"&eacute;" * 1_200_000 + b"</title>"),
    "feeds in UTF-16, end to end": lambda: rss(b"<title>x</title>").decode().encode("utf-16") * 20_000,
}


def gzip_bomb(megabytes: int = 1000) -> bytes:
    """So many megabytes of zeros; made in no time, as the deflate blocks are all alike."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    block = packer.compress(bytes(2**20)) + packer.flush(zlib.Z_FULL_FLUSH)
    return gzip.compress(b"")[:10] + block * megabytes


def endless_redirects() -> Play:
    """Leads on to another address, each time."""
    pages = count()

    async def play(writer: asyncio.StreamWriter) -> None:
        writer.write(redirect(302, f"/?{next(pages)}"))
        await writer.drain()

    return play


async def slow_handshake(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """A server that says its half of a TLS handshake a byte at a time, for ever."""
    writer.write(b"\x16\x03\x03\x3f\xff\x02\x00\x3f\xfb\x03\x03")
    try:
        while True:
            writer.write(b"\0")
            await writer.drain()
            await asyncio.sleep(0.05)
    except ConnectionError:
        return
    finally:
        writer.close()


def nested_gzip(layers: int) -> bytes:
    body = b"\0" * 10**6
    for _ in range(layers):
        body = gzip.compress(body)
    return body


def endless_gzip() -> bytes:
    """A member that decodes to 64 MiB of varied text, 40 times expanded."""
    block = b"".join(f"{n * 2654435761 % 2**32:x} ".encode() * 40 for n in range(40_000))
    return gzip.compress(block * 5, 6)


ANSWERS: dict[str, tuple[Answer, type[FetchError], str]] = {
    "nothing": (b"", Unreachable, "closed without a response"),
    "half a head": (OK + b"ETag: a", Unreachable, "closed without a response"),
    "not HTTP": (b"SSH-2.0-OpenSSH\r\n\r\n", Unreachable, "not valid HTTP"),
    "HTTP/2": (b"HTTP/2 200\r\n\r\n", Unreachable, "not valid HTTP"),
    "silence": (silence, Unreachable, "no complete response after 1 s"),
    "slow head": (drip(OK + b"A: "), Unreachable, "no complete response"),
    "slow headers": (drip(OK, b"A: b\r\n"), Unreachable, "no complete response"),
    "slow body": (drip(OK + b"Content-Length: 99\r\n\r\n"), Unreachable, "no complete response"),
    "slow chunks": (drip(OK + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\na\r\n"), Unreachable, "no complete"),
    "endless chunk extension": (
        flood(OK + b"Transfer-Encoding: chunked\r\n\r\n1;", b"a" * 9999),
        Unreachable,  # libcurl drops an extension as it comes, in no memory, and does not count it
        "no complete response",
    ),
    "header flood": (flood(OK, b"X-A: b\r\n"), TooLarge, "headers are too large"),
    "one endless header": (flood(OK + b"X-A: ", b"a" * 9999), TooLarge, "headers are too large"),
    "endless header name": (flood(OK, b"A" * 9999), TooLarge, "headers are too large"),
    "endless status": (flood(b"HTTP/1.1 200 ", b"a" * 9999), TooLarge, "headers are too large"),
    "endless interim answers": (flood(b"", b"HTTP/1.1 103 Hints\r\n\r\n"), Unreachable, "incomplete response"),
    "endless body": (flood(OK + b"\r\n", b"a" * 65_536), TooLarge, "larger than 10 MiB"),
    "endless chunks": (
        flood(OK + b"Transfer-Encoding: chunked\r\n\r\n", b"8000\r\n" + b"a" * 0x8000 + b"\r\n"),
        TooLarge,
        ".",
    ),
    "announced too large": (answer(200, b"", Content_Length="999999999"), TooLarge, "larger than 10 MiB"),
    "gzip bomb": (answer(200, gzip_bomb(), Content_Encoding="gzip"), TooLarge, "."),
    "br bomb": (answer(200, brotli.compress(bytes(10**8), quality=1), Content_Encoding="br"), TooLarge, "."),
    "deflate bomb": (answer(200, zlib.compress(b"\0" * 10**8), Content_Encoding="deflate"), TooLarge, "."),
    "big, honest gzip": (answer(200, endless_gzip(), Content_Encoding="gzip"), TooLarge, "larger than 10 MiB"),
    "one text of 12 MB": (
        answer(200, rss(b"a " * 6_000_000)),
        TooLarge,
        "larger than 10 MiB",
    ),
    "gzip of rubbish": (answer(200, b"\x1f\x8b" + b"\xff" * 99, Content_Encoding="gzip"), Unreachable, "corrupt"),
    "br of rubbish": (answer(200, b"\xff" * 99, Content_Encoding="br"), Unreachable, "corrupt"),
    "gzip in gzip": (answer(200, nested_gzip(2), Content_Encoding="gzip, gzip"), TooLarge, "bomb"),
    "zstd bomb": (answer(200, ZSTD_BOMB, Content_Encoding="zstd"), Unreachable, "unsupported Content-Encoding"),
    "too short": (OK + b"Content-Length: 9999\r\n\r\n" + FEED, Unreachable, "incomplete response"),
    "two lengths": (OK + b"Content-Length: 3\r\nContent-Length: 5\r\n\r\nabcde", Unreachable, "not valid HTTP"),
    "length and chunks": (OK + b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", Unreachable, "."),
    "negative length": (OK + b"Content-Length: -1\r\n\r\n", Unreachable, "not valid HTTP"),
    "NUL in a header": (OK + b"ETag: a\0b\r\n\r\n", Unreachable, "not valid HTTP"),
    "upgrade": (b"HTTP/1.1 101 X\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n", Unreachable, "."),
    "redirect to itself": (redirect(302, "/"), BadStatus, "redirect loop"),
    "redirects without end": (endless_redirects(), BadStatus, "more than 5 redirects"),
    "redirect to nowhere": (answer(302), BadStatus, "redirect without Location"),
    "redirect to a file": (redirect(302, "file:///etc/passwd"), Forbidden, "file: is not supported"),
    "redirect to metadata": (redirect(302, "http://169.254.169.254/latest"), Forbidden, "not a public address"),
    "redirect with a bad port": (redirect(302, "http://a.example:99999/"), Forbidden, "."),
    "redirect to an odd host": (redirect(302, "http://[::1"), Forbidden, "."),
    "no content": (answer(204), BadStatus, "HTTP 204"),
    "part of a document": (answer(206, FEED), BadStatus, "HTTP 206"),
    "unmodified without a question": (answer(304), BadStatus, "304"),
    "status 999": (answer(999), BadStatus, "HTTP 999"),
}
