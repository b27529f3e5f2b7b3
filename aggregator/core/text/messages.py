"""The mark on texts of tables that a page translates when it shows them."""


def gettext_noop(text: str) -> str:
    """Return the text; `scripts/messages` finds it by this name and lists it for translators."""
    return text


def ngettext_noop(one: str, many: str) -> tuple[str, str]:
    """Return both texts, for one and for several; found in the same way."""
    return one, many
