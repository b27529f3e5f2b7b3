"""A fast reader of well-formed feeds; whatever it does not support goes to feedparser instead."""
