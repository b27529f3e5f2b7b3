"""The syntax tree of a rule, whichever way it was written.

Lists stay names here (`ListRef`); they are filled in when the rule is compiled.
"""

from dataclasses import dataclass

FIELDS = ("title", "summary", "content", "author", "category", "link", "feed", "lang")
NEAR_WORDS = 10


@dataclass(frozen=True, slots=True)
class Term:
    """A word, phrase, designator or `pre*`; `exact`: its capitals count; `inflect`: its case endings are found."""

    text: str
    exact: bool = False
    inflect: bool = False


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
    """Conjunction: all of the children."""

    children: tuple["Node", ...]


@dataclass(frozen=True, slots=True)
class Or:
    """Disjunction: at least one of the children."""

    children: tuple["Node", ...]


@dataclass(frozen=True, slots=True)
class Not:
    """Negation of the child."""

    child: "Node"


@dataclass(frozen=True, slots=True)
class Near:
    """Proximity: each child, in one field, with at most `within` words between neighbours."""

    children: tuple["Node", ...]
    within: int = NEAR_WORDS
    ordered: bool = False


@dataclass(frozen=True, slots=True)
class FieldScope:
    """Restriction of the child to one field."""

    field: str
    child: "Node"


Node = Term | SloppyPhrase | ListRef | Regex | And | Or | Not | Near | FieldScope
