"""Names that people gave, for the pages and the API."""

from aggregator.core.naming import named, titles

__all__ = ["named", "titles"]
