"""What in an address is a secret."""

import html
import json
from urllib.parse import quote, quote_plus

import pytest

from aggregator.core.redaction import Redactor, hide_url_secrets, url_secrets


@pytest.mark.parametrize(
    ("url", "secrets"),
    [
        ("json://127.0.0.1:9/desk", []),
        ("mailto://relay.example.org?to=desk@example.org", []),
        ("mailto://alerts@example.org", [""]),
        ("postgresql://aggregator@db.example.org/aggregator", [""]),
        ("https://hooks.example.org/desk-alerts", []),
        ("ntfy://ntfy.example.org/defence-desk-oslo", []),
        ("json://ann:s3cret@127.0.0.1/desk", ["s3cret"]),
        ("ntfy://tk_AgQdq7mVBoFD37zQVN29RhuMzNIz2@ntfy.example.org/x", ["tk_AgQdq7mVBoFD37zQVN29RhuMzNIz2"]),
        ("mailtos://ann:pa%40ss@smtp.example.org?to=b@example.org", ["pa%40ss"]),
        ("tgram://123456789:AAEabcdefghijklmnop/12315544", ["123456789:AAEabcdefghijklmnop"]),
        ("https://hooks.example.org/services/T000/B000/abcdefghij1234567890", ["abcdefghij1234567890"]),
        ("json://example.org/?apikey=abcd1234&to=x", ["abcd1234"]),
        ("workflows://prod-10.westus.example.com:443/0b8e9a5b5ab89c3049787a5d", ["0b8e9a5b5ab89c3049787a5d"]),
    ],
)
def test_secrets_in_the_address_of_a_channel(url: str, secrets: list[str]) -> None:
    """Passwords, tokens and keys; not hosts, topics and recipients."""
    assert list(url_secrets(url, tokens=True)) == secrets


@pytest.mark.parametrize(
    ("url", "secrets"),
    [
        ("https://example.org/rss/topics/CAAqJggKIiBDQkFTRWdvSUwyMHZNRGRqTVhZU0FtVnVHZ0pWVXlnQVAB", []),
        ("https://www.youtube.com/feeds/videos.xml?channel_id=UCxxxxxxxxxxxxxxxxxx12", []),
        ("https://ann@example.org/feed", [""]),
        ("https://ann:s3cret@example.org/feed", ["s3cret"]),
        ("https://example.org/feed?format=rss&key=abcdef", ["abcdef"]),
        ("https://example.org/feed?access_token=abcdef", ["abcdef"]),
        ("https://example.org/feed?keyword=turkey&author=ann&sort=date", []),
        ("example.org", []),
    ],
)
def test_secrets_in_the_address_of_a_feed(url: str, secrets: list[str]) -> None:
    """What it is called by is public, however long it is."""
    assert list(url_secrets(url)) == secrets


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("poll of http://ann:pw@a.example/?key=12 failed", "poll of http://***@a.example/?key=*** failed"),
        ("https://a.example/f?x=1&access_token=ab&y=2#z", "https://a.example/f?x=1&access_token=***&y=2#z"),
        ('xmlUrl="http://a.example/?a=1&amp;apiKey=ab"', 'xmlUrl="http://a.example/?a=1&amp;apiKey=***"'),
        ("https://a.example/?keyword=turkey&author=ann", "https://a.example/?keyword=turkey&author=ann"),
        ("which key=value was meant?", "which key=value was meant?"),
    ],
)
def test_keys_in_addresses_are_hidden(text: str, shown: str) -> None:
    """Whoever wrote them, and wherever the address stands."""
    assert hide_url_secrets(text) == shown


@pytest.mark.parametrize("secret", ['s3cr&t"Tök+en/x=1', "p@ss w0rd<é>", "it's/a\\secret"])
def test_a_secret_is_cut_out_however_an_answer_quotes_it(secret: str) -> None:
    """Servers repeat what they were sent in JSON, in HTML, in an address; none of the secret is left."""
    cut = Redactor([secret])
    quoted = [secret, quote(secret), quote(secret, safe=""), quote_plus(secret)]
    quoted += [json.dumps(secret)[1:-1], json.dumps(secret, ensure_ascii=False)[1:-1]]
    quoted += [json.dumps(secret)[1:-1].replace("/", r"\/"), repr(secret)[1:-1]]
    quoted += [html.escape(secret), html.escape(secret, quote=False), html.escape(secret).replace("&#x27;", "&#39;")]
    for text in quoted:
        assert cut(f"bad token: {text}!") == "bad token: ***!"
