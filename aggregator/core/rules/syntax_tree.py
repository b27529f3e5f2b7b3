"""The tree that a rule is: what a person wrote, however they wrote it.

Lists stay names here (`ListRef`); they are filled in when the rule is compiled.
"""

from dataclasses import dataclass

FIELDS = ("title", "summary", "content", "author", "category", "link", "feed", "lang")
NEAR_WORDS = 10


@dataclass(frozen=True, slots=True)
class Term:
    """A word, phrase, designator or `pre*`; `exact`: its capitals count."""

    text: str
    exact: bool = False


@dataclass(frozen=True, slots=True)
class SloppyPhrase:
    """A phrase with at most `extra` other words inside it."""

    text: str
    extra: int


@dataclass(frozen=True, slots=True)
class ListRef:
    """Any term of a named list."""

    name: str


@dataclass(frozen=True, slots=True)
class Regex:
    """An RE2 pattern."""

    pattern: str


@dataclass(frozen=True, slots=True)
class And:
    """All of them."""

    children: tuple["Node", ...]


@dataclass(frozen=True, slots=True)
class Or:
    """At least one of them."""

    children: tuple["Node", ...]


@dataclass(frozen=True, slots=True)
class Not:
    """Not this."""

    child: "Node"


@dataclass(frozen=True, slots=True)
class Near:
    """Each of them, in one field, with at most `within` words between neighbours."""

    children: tuple["Node", ...]
    within: int = NEAR_WORDS
    ordered: bool = False


@dataclass(frozen=True, slots=True)
class FieldScope:
    """This, in one field."""

    field: str
    child: "Node"


Node = Term | SloppyPhrase | ListRef | Regex | And | Or | Not | Near | FieldScope
