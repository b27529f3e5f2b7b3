"""What comes through a reference is shown by nothing: every key of the schema, every kind of reference."""

import os
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args, get_origin

import pytest
from pydantic import BaseModel, SecretStr

from aggregator.config import Loaded, channel_errors, load
from aggregator.core.errors import ConfigErrors
from aggregator.core.settings import Channel, Config, Feed, Section, Settings
from aggregator.notify import check_channels
from tests.unit.config.config_files import loaded, refused, written

LINES = ("root:x:0:0:superuser:/root:/bin/sh", "daemon:x:1:1:servant:/usr/sbin", "zq7", "Ünïcode-Zeile-42")
BODY = "\n".join(LINES)
PIECES = ("root:x", "superuser", "servant", "daemon", "zq7", "Zeile", "zeile")
REFERENCES = ("${file:passwd}", "${SECRET}", "before ${SECRET} behind", "https://${SECRET}.example/${file:passwd}")


def keys(model: type[BaseModel], path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Every key of a section with its path, also of the sections inside it."""
    for name, field in model.model_fields.items():
        here = (*path, field.alias or name)
        inner = [one for one in _kinds(field.annotation) if isinstance(one, type) and issubclass(one, Section)]
        if inner:
            for one in inner:
                yield from keys(one, here)
        yield here


def _kinds(annotation: Any) -> Iterator[Any]:
    yield annotation
    for below in get_args(annotation) if get_origin(annotation) else ():
        yield from _kinds(below)


def nested(path: tuple[str, ...], value: str) -> str:
    """`{a: {b: "value"}}`, a mapping of YAML."""
    for key in reversed(path):
        value = f"{{{key}: {value}}}"
    return value


MISSING = "rules: [{id: a, any: [x], feeds: {tags: [rot, daemn], ids: [daemn]}, notify: daemn}]"
FEED = "feeds: [{{url: 'https://a.example/f', {}}}]"
PLACES = [
    *((f"settings: {nested(path, '%s')}", path) for path in keys(Settings)),
    *((FEED.format(nested(path, "%s")[1:-1]), path) for path in keys(Feed) if path != ("url",)),
    *((f"channels: {{x: {nested(path, '%s')}}}", path) for path in keys(Channel) if path != ("name",)),
    ("feeds: [{url: %s}]", ("url",)),
    ("feeds: [%s]", ()),
    ("feeds: %s", ()),
    ("channels: {x: {service: slack, token_a: %s, token_b: %s, token_c: %s}}", ("token_a",)),
    ("channels: {x: {service: mailtos, host: %s, port: %s, user: %s}}", ("port",)),
    ("channels: {x: {service: webhook, url: %s, headers: {A: %s}}}", ("url",)),
    ("channels: {x: {service: console, fallback: %s}}", ("fallback",)),
    ("channels: {x: %s}", ()),
    ("channels: %s", ()),
    ("feeds: [{url: %s, id: a}, {url: %s, id: b}]", ("url", "twice")),
    ("feeds: [{url: 'https://a.example', id: %s}, {url: 'https://b.example', id: %s}]", ("id", "twice")),
    (f"{{feeds: [{{url: 'https://a.example', tags: [%s]}}], {MISSING}}}", ("tags",)),
    ("settings: %s", ()),
    ("settings: {web: {listen: '0.0.0.0:80', password: %s, token: '1'}}", ("password",)),
]


def everything_said(folder: Path, text: str) -> str:
    """All that the loader and the channels say of a configuration, also in their reprs."""
    file = written(folder, text)
    try:
        found = load(file, {"SECRET": BODY})
    except ConfigErrors as errors:
        return f"{''.join(traceback.format_exception(errors))} {errors.errors!r}"
    said = channel_errors(found, check_channels(found.config.channels.values()))
    return f"{said!r} {found.warnings!r} {[str(one) for one in (*said, *found.warnings)]}"


@pytest.mark.parametrize("reference", REFERENCES)
def test_no_message_quotes_what_a_reference_stands_for(tmp_path: Path, reference: str) -> None:
    """Neither the file nor the variable, nor one line of it, whatever key it stands at."""
    (tmp_path / "passwd").write_text(BODY + "\n")
    quoted = f'"{reference}"'
    assert len(PLACES) > 60
    leaks = []
    for text, path in PLACES:
        for value in (quoted, f"[{quoted}]", f"{{a: {quoted}}}"):
            said = everything_said(tmp_path, text.replace("%s", value))
            leaks += [(path, value, piece, said) for piece in PIECES if piece in said]
    assert leaks == []


def test_short_values_are_not_quoted_either(tmp_path: Path) -> None:
    """Masking leaves out texts of fewer than four characters; the type does not."""
    for text, rest in (
        ('settings: {time_zone_of: {}, polling: {every: "${S}"}}', "is not a duration"),
        ('channels: {c: {service: console, time_zone: "${S}"}}', "is not a time zone"),
        ('settings: {logging: {level: "${S}"}}', "is not one of debug, info, warning, error"),
    ):
        (error,) = (one for one in refused(tmp_path, text, S="qx7") if "unknown key" not in one)
        assert f"'***' {rest}" in error
        assert "qx7" not in error


def test_a_resolved_value_cannot_be_formatted(tmp_path: Path) -> None:
    """Fields of a service and keys that hold secrets stay hidden until somebody asks for the text."""
    found: Loaded = loaded(
        tmp_path,
        'channels: {c: {service: slack, token_a: "${S}", targets: ["#${S}"]}}\n'
        'feeds: [{url: "https://a.example/", headers: {K: "x ${S}"}}]\n',
        S="hush-hush",
    )
    values = [found.config.channels["c"].fields["token_a"], found.config.feeds[0].headers["K"]]
    for value in (*values, *found.config.channels["c"].fields["targets"]):
        assert isinstance(value, SecretStr)
        assert not any("hush" in shown for shown in (str(value), repr(value), f"{value}", "%s" % value, f"{[value]}"))  # noqa: UP031
    assert "hush" not in repr(found)
    assert "hush" not in found.config.channels["c"].model_dump_json()


def test_plain_keys_take_references_too(tmp_path: Path) -> None:
    """A time zone, an address, a list and a switch from the environment are what they say."""
    found = loaded(
        tmp_path,
        """
        feeds: [{url: "https://a.example/${K}", tags: ["${T}", x], enabled: "${NO}", every: "${E}"}]
        settings: {default_channels: ["${C}"], web: {listen: "${L}"}}
        """,
        K="abcd", T="t", NO="false", E="5m", C="console", L="127.0.0.1:9",
    ).config  # fmt: skip
    feed = found.feeds[0]
    assert (feed.url, feed.tags, feed.enabled, feed.every_s) == ("https://a.example/abcd", ("t", "x"), False, 300.0)
    assert (found.settings.default_channels, found.settings.web.listen) == (("console",), "127.0.0.1:9")


def test_channels_named_by_reference_must_exist(tmp_path: Path) -> None:
    """The name is compared, and quoted as it is written."""
    (error,) = refused(tmp_path, 'settings: {default_channels: ["${C}"]}\n', C="nowhere")
    assert error == "1:31: no channel named '${C}' (known: console)"


@pytest.mark.parametrize(
    "name",
    [
        "/proc/self/environ",
        "/proc/version",
        "/proc/self/root/etc/hostname",
        "/tmp/../proc/self/environ",
        "/sys/kernel/uevent_seqnum",
        "/dev/zero",
        "/dev/stdin",
        "//proc/self/environ",
        "link",
        "folder/environ",
        "fifo",
        ".",
    ],
)
def test_states_and_devices_are_never_read(tmp_path: Path, name: str) -> None:
    """Nothing below /proc, /sys and /dev, by whatever way, and nothing that is no ordinary file."""
    (tmp_path / "link").symlink_to("/proc/self/environ")
    (tmp_path / "folder").symlink_to("/proc/self")
    os.mkfifo(tmp_path / "fifo")
    (error,) = refused(tmp_path, f'settings: {{web: {{token: "${{file:{name}}}"}}}}\n')
    assert f"{name!r} is no" in error
    assert "PATH=" not in error


def test_files_through_links_are_read(tmp_path: Path) -> None:
    """Secrets of Kubernetes are links to links; those stay readable."""
    (tmp_path / "..data").mkdir()
    (tmp_path / "..data" / "key").write_text("well hidden\n")
    (tmp_path / "key").symlink_to("..data/key")
    found = loaded(tmp_path, 'settings: {web: {token: "${file:key}"}}\n')
    assert found.config.settings.web.token == SecretStr("well hidden")


def test_every_line_of_a_secret_is_masked(tmp_path: Path) -> None:
    """A library that quotes one line of a key file shows nothing."""
    (tmp_path / "key").write_text("-----BEGIN KEY-----\nMIIEvQIBADANBg\n}\n-----END KEY-----\n")
    found = loaded(tmp_path, 'settings: {web: {token: "${file:key}"}}\n')
    assert "MIIEvQIBADANBg" in found.secrets
    assert "}" not in found.secrets


def test_config_is_walked_whole() -> None:
    """A section that is new at the top is walked by these tests as well."""
    assert set(Config.model_fields) == {"feeds", "channels", "rules", "lists", "settings"}
