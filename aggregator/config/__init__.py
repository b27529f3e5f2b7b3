"""The configuration: YAML files in, checked values out; edits that keep what people wrote."""

from aggregator.config.loader import Loaded, Place, load, rule_test_errors
from aggregator.config.source import digest

__all__ = ["Loaded", "Place", "digest", "load", "rule_test_errors"]
