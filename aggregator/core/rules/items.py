"""Items of `any:`, `all:`, `none:`, `near:` and lists: how each is read, and the spellings that find it."""

import re
from collections.abc import Iterable
from functools import lru_cache
from typing import NamedTuple

from aggregator.core.rules import foreign_syntax
from aggregator.core.rules.atoms import Atom, BadTerm, atom, inflected, respelled
from aggregator.core.rules.lexer import LIST_NAME
from aggregator.core.rules.syntax_tree import ListRef, Term
from aggregator.core.rules.transliteration import code_spellings, name_spellings
from aggregator.core.text.fold import narrow, without_invisible
from aggregator.core.text.inflection import CYRILLIC, inflections
from aggregator.core.text.tokens import glued

MAX_TERM = 500  # code points of one term
MAX_INFLECTED = 6  # spellings of one name in Cyrillic whose case endings are found

_LISTED = re.compile(rf"\${LIST_NAME}")


def usable_terms(texts: Iterable[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Divide texts that come from elsewhere into terms that can be matched and those that cannot."""
    good: list[str] = []
    bad: list[str] = []
    for text in texts:
        term = item(text)
        try:
            if isinstance(term, ListRef) or len(text) > MAX_TERM or foreign_syntax.advise_term(term.text):
                raise BadTerm("not a term")
            spellings_of(term.text, term.exact)
        except BadTerm:
            bad.append(text)
        else:
            good.append(text)
    return tuple(good), tuple(bad)


def item(text: str) -> Term | ListRef:
    """Parse an item of any:, all:, none:, near: or a list: a term, "phrase", pre*, $list, 'exact'c or 'name'i."""
    body = item_body(text)
    signs = narrow(body)
    if _LISTED.fullmatch(signs):
        return ListRef(signs[1:])
    if len(body) > 3 and signs.startswith("'") and signs.endswith("'c"):
        return Term(body[1:-2], exact=True)
    if len(body) > 3 and signs.startswith("'") and signs.endswith("'i"):
        return Term(body[1:-2], inflect=True)
    if len(body) > 2 and signs[0] == signs[-1] == '"' and '"' not in signs[1:-1]:
        return Term(body[1:-1])
    return Term(body)


def item_body(text: str) -> str:
    """Strip invisible characters from an item and collapse its blanks."""
    return " ".join(without_invisible(text).split())


@lru_cache(maxsize=1 << 17)
def spellings_of(text: str, exact: bool = False, translit: bool = False) -> tuple[Atom, ...]:
    """Return the atoms that find a term: itself, and its spellings in other scripts. Raises BadTerm."""
    written = atom(text, exact)
    atoms = dict.fromkeys([written])
    if (compound := glued(text)) != text:
        atoms[atom(compound, exact)] = None
    if written.code:
        atoms.update(dict.fromkeys(respelled(written, spelled) for spelled in code_spellings(text)))
    if translit and not written.code and not exact:
        stem = text.removesuffix("*")
        atoms.update(dict.fromkeys(atom(spelled + text[len(stem) :]) for spelled in name_spellings(stem)))
    return tuple(atoms)


class Spelling(NamedTuple):
    """A term as a rule has it, and how it is respelled: the same in other scripts, and a name's case endings."""

    text: str
    exact: bool = False
    translit: bool = False
    inflect: bool = False

    def check(self) -> None:
        """Check what a person wrote, and the spellings that may be wrong although that is right. Raises BadTerm."""
        written = atom(self.text, self.exact)
        if not written.code or written.prefix or self.translit or self.inflect:
            self.atoms()

    def atoms(self) -> tuple[Atom, ...]:
        """Return the atoms that find the term, as written first. Raises BadTerm."""
        atoms = spellings_of(self.text, self.exact, self.translit or self.inflect)
        return (*atoms, *inflected_forms(self.text, atoms)) if self.inflect else atoms


@lru_cache(maxsize=1 << 14)
def inflected_forms(text: str, spelled: tuple[Atom, ...]) -> tuple[Atom, ...]:
    """Return the atoms of a name's case endings: of the name as written, and of its first spellings in Cyrillic."""
    cyrillic = [other.term for other in spelled[1:] if CYRILLIC.search(other.term)][:MAX_INFLECTED]
    forms = (form for name in (text, *cyrillic) for form in inflections(name))
    return tuple(dict.fromkeys(inflected(form.text, text, form.langs) for form in forms))
