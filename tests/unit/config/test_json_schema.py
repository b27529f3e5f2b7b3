"""The JSON Schema and the starter: the output of `aggregator schema` and `aggregator init`."""

import json
from pathlib import Path

import pytest

from aggregator.config import build_schema, load, write_starter
from aggregator.config.json_schema import documented_keys
from aggregator.core.errors import AggregatorError


def test_the_schema_speaks_the_yaml_and_not_the_code() -> None:
    """Keys as written in the files, durations as text, defaults that could be written."""
    found = build_schema()
    polling = found["$defs"]["Polling"]
    assert found["$schema"].endswith("2020-12/schema")
    assert polling["properties"]["every"] | {"description": ""} == {
        "default": "15m",
        "description": "",
        "examples": ["15m", "6h", "7d"],
        "pattern": r"^(\d+(\.\d+)?\s*(ms|s|m|h|d|w)\s*)+$|^0$",
        "type": "string",
    }
    assert polling["additionalProperties"] is False
    assert not [key for _, key in documented_keys() if key.endswith(("_s", "_bytes", "in_"))]
    json.dumps(found)


def test_every_key_is_described() -> None:
    """An editor shows a sentence for each key."""
    nested = {"polling", "http", "stories", "health", "retention", "web", "metrics", "logging"}
    parts = build_schema()["$defs"]
    bare = [
        (s, k) for s, k in documented_keys() if not parts[s]["properties"][k].get("description") and k not in nested
    ]
    assert bare == []


def test_the_starter_loads_and_is_never_written_over(tmp_path: Path) -> None:
    """`init` gives a working folder once."""
    folder = tmp_path / "config"
    names = [file.name for file in write_starter(folder)]
    assert names == ["channels.yaml", "feeds.yaml", "rules.yaml", "schema.json", "settings.yaml"]
    found = load(folder, {})
    assert (len(found.config.feeds), found.warnings) == (3, ())
    (folder / "feeds.yaml").write_text("mine")
    with pytest.raises(AggregatorError, match=r"already exists; nothing was written"):
        write_starter(folder)
    assert (folder / "feeds.yaml").read_text() == "mine"
