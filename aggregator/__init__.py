"""Watches feeds, matches rules, and tells people; see ARCHITECTURE.md."""

__version__ = "0.2.0"

# The name to install by: `aggregator`, the name of the command and the import, is another project on the index.
DISTRIBUTION = "aggregator-watch"
