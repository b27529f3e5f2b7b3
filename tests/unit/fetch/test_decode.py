"""Content-Encoding as servers write it, over bytes as they send them, cut anywhere."""

import gzip
import random
import zlib
from collections.abc import Callable
from contextlib import suppress
from itertools import product

import brotli
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aggregator.core.errors import TooLarge, Unreachable
from aggregator.fetch.decode import WAIT_BYTES, DecodedBody

FEED = b"<?xml version='1.0'?><rss><channel><title>S-400</title></channel></rss>" * 3
SHORT = b"<a/>"
PACKERS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "x-gzip": gzip.compress,
    "deflate": zlib.compress,
    "br": brotli.compress,
}
MEANINGLESS = [
    "", "identity", "none", "utf-8", "UTF-8", "aws-chunked", "8bit", "binary", "text/xml", "charset=utf-8", "chunked",
    "application/rss+xml", "null", ", ,", "identity, aws-chunked", "x-unheard-of",
]  # fmt: skip
DOCUMENTS = [
    FEED,
    SHORT,
    b"\xef\xbb\xbf" + FEED,
    b"\n " + FEED,
    b'{"version": "x"}' * 9,
    "<rss>Турция</rss>".encode("cp1251") * 9,
]
DOCUMENTS += ["<rss>x</rss>".encode("utf-16"), "<rss>x</rss>".encode("utf-16-le"), b""]


def decoded(encoding: str, raw: bytes, step: int = 10**9, most: int = 10**7) -> bytes:
    """The body, fed in pieces of `step` bytes."""
    body = DecodedBody(encoding, max_bytes=most, host="h", url="http://h/")
    for start in range(0, len(raw), step):
        body.feed(raw[start : start + step])
    return body.finish()


def unpacked(encoding: str, raw: bytes, known: bytes, step: int = 16_384) -> DecodedBody:
    """The body as an exchange takes it that knows what came last time; all of it was received and unpacked."""
    body = DecodedBody(encoding, max_bytes=10**7, host="h", url="http://h/", known=known)
    for start in range(0, len(raw), step):
        body.feed(raw[start : start + step])
    assert max(body.end(), default=0) <= 10**7
    return body


@pytest.mark.parametrize("size", [10, 40_000, 65_536, 65_537, 200_000])
@pytest.mark.parametrize("encoding", ["gzip", "br", "deflate"])
def test_a_packed_body_that_is_known_is_not_unpacked(encoding: str, size: int) -> None:
    """What came before is recognised as it came, if it is not large; anything else reads as if nothing were known."""
    document, other = (FEED + bytes(random.Random(seed).choices(range(32, 127), k=size)) for seed in (1, 2))
    packed = PACKERS[encoding](document)
    first = unpacked(encoding, packed, b"")
    assert (first.unchanged, first.finish()) == (False, document)
    again = unpacked(encoding, packed, first.digest)
    assert (again.unchanged, again.finish()) == ((True, b"") if len(packed) <= WAIT_BYTES else (False, document))
    assert again.digest == first.digest
    for step in (1000, 16_384, 10**9):
        changed = unpacked(encoding, PACKERS[encoding](other), first.digest, step)
        assert (changed.unchanged, changed.finish()) == (False, other)
    assert changed.digest != first.digest
    assert not unpacked(f"{encoding}, {encoding}", packed, first.digest).unchanged  # the same bytes mean something else
    cut = unpacked(encoding, packed[:-5], first.digest)
    with pytest.raises(Unreachable, match="truncated"):
        cut.finish()


def test_a_plain_body_is_never_left_out() -> None:
    """What is not packed has no digest of its own: the document's hash is as quick."""
    body = unpacked("", FEED, b"x" * 16)
    assert (body.digest, body.unchanged, body.finish()) == (b"", False, FEED)


def test_an_unknown_bomb_is_refused_at_the_end() -> None:
    """Whatever waited is unpacked under the same caps."""
    body = DecodedBody("gzip", max_bytes=10**6, host="h", url="http://h/", known=b"x" * 16)
    body.feed(gzip.compress(bytes(10**7)))
    with pytest.raises(TooLarge):
        list(body.end())
    assert not body.unchanged


@pytest.mark.parametrize("encoding", MEANINGLESS)
@pytest.mark.parametrize("document", DOCUMENTS)
def test_labels_that_name_no_coding_mean_nothing(encoding: str, document: bytes) -> None:
    """The body is taken as it is, or unpacked if it is gzip."""
    assert decoded(encoding, document) == document
    assert decoded(encoding, gzip.compress(document)) == document


@pytest.mark.parametrize("encoding", [*PACKERS, "zstd", "compress", "gzip, br", "br, gzip, deflate"])
@pytest.mark.parametrize("document", DOCUMENTS)
def test_a_plain_body_that_claims_a_coding(encoding: str, document: bytes) -> None:
    """Caches unpack and forget to say so."""
    assert decoded(encoding, document) == document


@pytest.mark.parametrize(("first", "second"), list(product(PACKERS, repeat=2)))
def test_codings_are_undone_one_after_the_other(first: str, second: str) -> None:
    """In the order of RFC 9110, 8.4: the last that is named was applied last."""
    packed = PACKERS[second](PACKERS[first](FEED))
    assert decoded(f"{first}, {second}", packed) == FEED
    assert decoded(f"identity, {first}, aws-chunked, {second.upper()}", packed) == FEED


@pytest.mark.parametrize("size", [60_000, 100_000, 300_000])
@pytest.mark.parametrize("encoding", PACKERS)
def test_a_body_that_comes_at_once_is_unpacked_to_its_end(encoding: str, size: int) -> None:
    """However much the last piece of it expands to; brotli keeps output to itself and says nothing of it."""
    chance = random.Random(size)
    words = [bytes(chance.choices(range(32, 127), k=20)) for _ in range(100)]
    for document in (
        FEED + bytes(chance.choices(range(32, 127), k=size)),
        FEED + b"".join(chance.choices(words, k=size)),
    ):
        for step in (16_384, 10**9):
            assert decoded(encoding, PACKERS[encoding](document), step) == document


@pytest.mark.parametrize("level", [1, 6, 9])
@pytest.mark.parametrize("encoding", ["gzip", "x-gzip"])
def test_deflate_that_is_called_gzip(encoding: str, level: int) -> None:
    """Its wrapper is known by its first two bytes, too; in any pieces."""
    packed = zlib.compress(FEED, level)
    assert decoded(encoding, packed) == decoded(encoding, packed, step=1) == FEED


@pytest.mark.parametrize("encoding", PACKERS)
def test_packed_once_more_than_is_said(encoding: str) -> None:
    """Gzip is known by its own first bytes."""
    assert decoded(encoding, PACKERS[encoding](gzip.compress(FEED))) == FEED
    assert decoded(encoding, gzip.compress(FEED)) == FEED


@given(
    st.sampled_from([*PACKERS, ""]),
    st.integers(1, 100),
    st.binary(max_size=200),
    st.sampled_from([FEED, SHORT, b""]),
)
def test_it_does_not_matter_where_it_is_cut(encoding: str, step: int, noise: bytes, document: bytes) -> None:
    """Pieces of any length give the same document."""
    document += noise if document else b""
    packed = PACKERS[encoding](document) if encoding in PACKERS else document
    assert decoded(encoding, packed, step) == document


@given(st.sampled_from([*PACKERS, "zstd", "gzip, gzip", "x"]), st.binary(max_size=300), st.integers(1, 80))
def test_no_body_is_dangerous(encoding: str, raw: bytes, step: int) -> None:
    """It is decoded, or refused as the errors of a fetch have it."""
    with suppress(Unreachable):
        assert isinstance(decoded(encoding, raw, step), bytes)


def test_a_coding_that_is_not_ours_is_refused() -> None:
    """Nobody asked for it, and nobody here unpacks it."""
    with pytest.raises(Unreachable, match="unsupported Content-Encoding"):
        decoded("zstd", bytes.fromhex("28b52ffd") + bytes(100))


@pytest.mark.parametrize("encoding", ["gzip", "gzip, gzip", "br, gzip", "", "gzip, gzip, gzip, gzip"])
def test_every_layer_has_the_caps(encoding: str) -> None:
    """A bomb in a bomb is cut off at whichever layer it goes off."""
    bomb = b"\0" * 40_000_000
    for name in encoding.split(", ")[::-1] if encoding else ["gzip"]:
        bomb = PACKERS[name](bomb)
    with pytest.raises((TooLarge, Unreachable), match=r"bomb|larger than|compressed more than 3 times"):
        decoded(encoding, bomb, 4096)


def test_a_layer_that_gives_nothing_has_the_caps_as_well() -> None:
    """Ten megabytes of empty archives unpack to no document at all."""
    hollow = gzip.compress(gzip.compress(b"") * 1_500_000)
    with pytest.raises(TooLarge):
        decoded("gzip, gzip", hollow)


@pytest.mark.parametrize("encoding", PACKERS)
def test_half_a_body_is_none(encoding: str) -> None:
    """What was cut short is a failure, at any layer."""
    packed = PACKERS[encoding](FEED)
    with pytest.raises(Unreachable, match=r"truncated|corrupt"):
        decoded(encoding, packed[:-8])
    with pytest.raises(Unreachable, match=r"truncated|corrupt"):
        decoded("", gzip.compress(FEED)[:-9])
