"""The configuration: YAML files in, checked values out; edits that keep what people wrote."""

from aggregator.config.edit import (
    Added,
    Text,
    add_feed,
    add_feeds,
    remove_feed,
    replace_rule_text,
    rule_files,
    rule_text,
    save_file,
    with_rule_text,
)
from aggregator.config.json_schema import schema
from aggregator.config.lenient import load_sound
from aggregator.config.loader import Loaded, Place, channel_errors, load, rule_test_errors
from aggregator.config.opml import TWICE, WATCHED, Subscription, from_opml, sift, to_opml
from aggregator.config.scope import restrict
from aggregator.config.source import digest
from aggregator.config.starter import write_starter

__all__ = [
    "TWICE",
    "WATCHED",
    "Added",
    "Loaded",
    "Place",
    "Subscription",
    "Text",
    "add_feed",
    "add_feeds",
    "channel_errors",
    "digest",
    "from_opml",
    "load",
    "load_sound",
    "remove_feed",
    "replace_rule_text",
    "restrict",
    "rule_files",
    "rule_test_errors",
    "rule_text",
    "save_file",
    "schema",
    "sift",
    "to_opml",
    "with_rule_text",
    "write_starter",
]
