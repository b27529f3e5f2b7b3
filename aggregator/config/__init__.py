"""The configuration: YAML files in, checked values out; edits that preserve comments and layout."""

from aggregator.config.edit import (
    AddedFeed,
    EditableText,
    add_feed,
    add_feeds,
    remove_feed,
    rule_files,
    save_file,
    with_rule_text,
)
from aggregator.config.json_schema import build_schema
from aggregator.config.lenient import load_valid
from aggregator.config.loader import (
    DATABASE,
    Loaded,
    SourcePosition,
    channel_errors,
    feed_errors,
    load,
    rule_test_errors,
)
from aggregator.config.opml import TWICE, WATCHED, OpmlOutline, from_opml, split_known, to_opml
from aggregator.config.scope import restrict
from aggregator.config.source import digest, state_directory
from aggregator.config.starter import write_starter
from aggregator.config.stored import (
    ConfigTexts,
    FeedReader,
    as_texts,
    feed_options,
    load_texts,
    read_texts,
)

__all__ = [
    "DATABASE",
    "TWICE",
    "WATCHED",
    "AddedFeed",
    "ConfigTexts",
    "EditableText",
    "FeedReader",
    "Loaded",
    "OpmlOutline",
    "SourcePosition",
    "add_feed",
    "add_feeds",
    "as_texts",
    "build_schema",
    "channel_errors",
    "digest",
    "feed_errors",
    "feed_options",
    "from_opml",
    "load",
    "load_texts",
    "load_valid",
    "read_texts",
    "remove_feed",
    "restrict",
    "rule_files",
    "rule_test_errors",
    "save_file",
    "split_known",
    "state_directory",
    "to_opml",
    "with_rule_text",
    "write_starter",
]
