"""The configuration: YAML files in, checked values out; edits that preserve comments and layout."""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from aggregator.config.digests import digest, inputs
    from aggregator.config.edit import (
        AddedFeed,
        EditableText,
        add_feed,
        add_feeds,
        change_feeds,
        read_file,
        remove_feed,
        replace_text,
        rule_files,
        save_file,
        with_rule_text,
    )
    from aggregator.config.json_schema import build_schema
    from aggregator.config.lenient import load_valid
    from aggregator.config.lists import overdue_lists
    from aggregator.config.loader import (
        DATABASE,
        Loaded,
        SourcePosition,
        channel_errors,
        feed_errors,
        load,
        rule_test_errors,
        settings_errors,
    )
    from aggregator.config.opml import TWICE, WATCHED, OpmlOutline, from_opml, left_out, split_known, to_opml
    from aggregator.config.plain import plain_values, rules_hold_secret
    from aggregator.config.rule_text import apply_edit, filled, item_of
    from aggregator.config.scope import restrict
    from aggregator.config.source import is_large, state_directory, unread_warnings
    from aggregator.config.starter import write_starter

__all__ = [
    "DATABASE",
    "TWICE",
    "WATCHED",
    "AddedFeed",
    "EditableText",
    "Loaded",
    "OpmlOutline",
    "SourcePosition",
    "add_feed",
    "add_feeds",
    "apply_edit",
    "build_schema",
    "change_feeds",
    "channel_errors",
    "digest",
    "feed_errors",
    "filled",
    "from_opml",
    "inputs",
    "is_large",
    "item_of",
    "left_out",
    "load",
    "load_valid",
    "overdue_lists",
    "plain_values",
    "read_file",
    "remove_feed",
    "replace_text",
    "restrict",
    "rule_files",
    "rule_test_errors",
    "rules_hold_secret",
    "save_file",
    "settings_errors",
    "split_known",
    "state_directory",
    "to_opml",
    "unread_warnings",
    "with_rule_text",
    "write_starter",
]

# What is needed is imported when it is asked for: a pass with nothing to do does not even load the configuration.
_LATER = {
    "AddedFeed": "edit",
    "DATABASE": "loader",
    "Loaded": "loader",
    "SourcePosition": "loader",
    "channel_errors": "loader",
    "feed_errors": "loader",
    "load": "loader",
    "rule_test_errors": "loader",
    "settings_errors": "loader",
    "ConfigTexts": "stored",
    "EditableText": "edit",
    "FeedReader": "stored",
    "OpmlOutline": "opml",
    "TWICE": "opml",
    "WATCHED": "opml",
    "add_feed": "edit",
    "add_feeds": "edit",
    "apply_edit": "rule_text",
    "as_texts": "stored",
    "build_schema": "json_schema",
    "change_feeds": "edit",
    "read_file": "edit",
    "replace_text": "edit",
    "digest": "digests",
    "inputs": "digests",
    "is_large": "source",
    "unread_warnings": "source",
    "state_directory": "source",
    "feed_options": "stored",
    "filled": "rule_text",
    "from_opml": "opml",
    "left_out": "opml",
    "item_of": "rule_text",
    "load_texts": "stored",
    "load_valid": "lenient",
    "overdue_lists": "lists",
    "plain_values": "plain",
    "read_texts": "stored",
    "remove_feed": "edit",
    "restrict": "scope",
    "rule_files": "edit",
    "rules_hold_secret": "plain",
    "save_file": "edit",
    "split_known": "opml",
    "to_opml": "opml",
    "with_rule_text": "edit",
    "write_starter": "starter",
}


def __getattr__(name: str) -> object:
    if name not in _LATER:
        raise AttributeError(name)
    return getattr(import_module(f"{__name__}.{_LATER[name]}"), name)
