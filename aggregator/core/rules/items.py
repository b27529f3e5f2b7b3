"""Items of `any:`, `all:`, `none:`, `near:` and lists: how each is read, and the spellings that find it."""

import re
from collections.abc import Iterable, Sequence
from functools import lru_cache
from itertools import chain
from typing import NamedTuple

from aggregator.core.rules import foreign_syntax
from aggregator.core.rules.atoms import Atom, BadTerm, atom, inflected, prefixed, respelled
from aggregator.core.rules.lexer import LIST_NAME
from aggregator.core.rules.syntax_tree import ListRef, Term
from aggregator.core.rules.transliteration import code_spellings, name_spellings
from aggregator.core.text.fold import narrow, without_invisible
from aggregator.core.text.inflection import CYRILLIC, inflections
from aggregator.core.text.tokens import glued

MAX_TERM = 500  # code points of one term
MAX_INFLECTED = 6  # spellings of one name in Cyrillic whose case endings are found

_NUMBER = re.compile(r"[0-9]+")
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
    atoms.update(dict.fromkeys(prefixed(written)))
    if written.code:
        atoms.update(dict.fromkeys(renumbered(written) or spelled_out(written)))
    if translit and not written.code and not exact:
        stem = text.removesuffix("*")
        atoms.update(dict.fromkeys(atom(spelled + text[len(stem) :]) for spelled in name_spellings(stem)))
    return tuple(atoms)


def forget_spellings() -> None:
    """Forget the spellings that no clause holds: a thousand designators have 20,000 of them, which take 10 MB."""
    for remembered in (spellings_of, inflected_forms, _unnumbered, atom):
        remembered.cache_clear()


def spelled_out(written: Atom) -> list[Atom]:
    """Return the atoms of a designator's spellings in other scripts."""
    return [respelled(written, spelled) for spelled in code_spellings(written.term)]


def renumbered(written: Atom) -> list[Atom]:
    """Return the same, from those of the designator with 0 for its numbers; nothing if that would not be the same.

    Thousands of designators differ in their numbers only, and to spell their letters is most of the work.
    """
    numbers = _NUMBER.findall(written.term)
    if written.cased is not None or sum(map(str.isdecimal, written.term)) != sum(map(len, numbers)):
        return []
    model, others = _unnumbered(_NUMBER.sub("0", written.term))
    if model is None or _gaps(written) != _gaps(model) or written.tokens != _with_numbers(model, numbers):
        return []
    found = list[Atom]()
    for other in others:
        around, tokens = other.term.split("0"), _with_numbers(other, numbers)
        if tokens is None or len(around) != len(numbers) + 1:
            return []
        term = "".join(chain.from_iterable(zip(around, (*numbers, ""), strict=True)))
        found.append(
            Atom(
                term=term,
                tokens=tokens,
                separators=other.separators,
                lead=other.lead,
                trail=other.trail,
                prefix=other.prefix,
                code=other.code,
            )
        )
    return found


@lru_cache(maxsize=1 << 12)
def _unnumbered(text: str) -> tuple[Atom | None, tuple[Atom, ...]]:
    """Return the atom of a designator whose numbers are 0, and those of its spellings; None if it is none."""
    try:
        model = atom(text)
        return (model, tuple(spelled_out(model))) if model.code else (None, ())
    except BadTerm:  # what is wrong is said of the term as it is written
        return None, ()


def _with_numbers(model: Atom, numbers: Sequence[str]) -> tuple[str, ...] | None:
    """Return the tokens of an atom with these numbers for its zeros; None if those are not as many."""
    if model.tokens.count("0") != len(numbers):
        return None
    following = iter(numbers)
    return tuple([next(following) if word == "0" else word for word in model.tokens])


def _gaps(of: Atom) -> tuple[object, ...]:
    """Return all of an atom but its words."""
    return of.separators, of.lead, of.trail, of.prefix, of.code


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
