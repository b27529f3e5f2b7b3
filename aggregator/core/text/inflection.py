"""Case endings of names: the forms that `inflect: true` finds besides the name itself.

A paradigm is chosen by the last letters of a word, as grammars do (Zaliznyak's for Russian, and the school grammars
of the other languages), and gives one form per case. Forms are spelled out when a rule is loaded, so matching stays
a look-up of whole words, and a name is never found inside another word: `Erdogan` finds Erdoganin and Эрдогана, but
`Roman` does not find Romania.

Apostrophes (`Erdoğan'ın`, `CAATSA's`), the colon of Finnish and the affixes of Arabic, Hebrew and Korean need no
forms: a term is found before and behind them anyway.
"""

import re
import unicodedata
from collections.abc import Iterator, Sequence
from functools import cache, lru_cache
from itertools import product
from typing import NamedTuple

MAX_FORMS = 120  # of one term in one language
MIN_LETTERS = 3  # of a word that is inflected

CYRILLIC = re.compile("[\u0400-\u052f]")
_LATIN = re.compile("[a-z\u00df-\u024f]")
_ALL_CAPITALS = re.compile(r"[^\W\d_]*\d|[^\W\d_a-z\u0430-\u044f]{2,}$")


class Form(NamedTuple):
    """A spelling of a term, and the languages whose texts it is looked for in; empty: in all."""

    text: str
    langs: frozenset[str]


Cases = tuple[tuple[str, ...], ...]
Paradigms = tuple[tuple[re.Pattern[str], int, Cases], ...]


@cache
def _paradigms(table: str) -> Paradigms:
    """Read lines `last letters -removed: genitive|dative|accusative|instrumental|locative`, the first that fits first.

    Several endings of one case are separated by commas; `=` is the bare stem.
    """
    rows = []
    for line in table.strip().splitlines():
        head, _, endings = line.rpartition(":")
        letters, _, removed = head.strip().rpartition(" -")
        cases = tuple(tuple(e.strip().replace("=", "") for e in case.split(",")) for case in endings.split("|"))
        rows.append((re.compile(f"(?:{letters})$"), int(removed), cases))
    return tuple(rows)


# Russian. Surnames in -ов, -ин decline like adjectives in the instrumental; feminine surnames have -ой and -у.
_RUSSIAN = """
(?:ск|цк)ий -2: ого|ому|ого|им|ом
(?:[жшчщ]|ш)ий -2: его|ему|его|им|ем
[гкх]ий -2: ого|ому|ого|им|ом
[нр]ий -2: его|ему|его|им|ем
ый -2: ого|ому|ого|ым|ом
[тнв]ой -2: ого,оя|ому,ою|ого,ой|ым,оем|ом,ое
ая -2: ой|ой|ую|ой,ою|ой
яя -2: ей|ей|юю|ей|ей
[нкв]ое -2: ого|ому|ое|ым,им|ом
ее -2: его|ему|ее|им|ем
[ыи]е -2: ых,их|ым,им|ые,ие|ыми,ими|ых,их
ия -1: и|и|ю|ей,ею|и
я -1: и|е|ю|ей,ею|е
[гкх]а -1: и|е|у|ой,ою|е
[жшчщ]а -1: и|е|у|ей,ой,ею|е
ца -1: ы|е|у|ей,ею|е
а -1: ы|е|у|ой,ою|е
ий -1: я|ю|я|ем|и,е
й -1: я|ю|я|ем|е
ь -1: я,и|ю,и|я|ем,ём,ью|е,и
(?:ов|ев|ёв|ин|ын) -0: а,ой|у,ой|а,у|ым,ом,ой|е,ой
ец -2: ца|цу|ца|цем,цом|це
[жшчщц] -0: а|у|а|ем,ом|е
[бвгдзклмнпрстфх] -0: а|у|а|ом|е
(?:ов|ев|ин|ств)о -1: а|у|о|ом|е
ины -1: =|ам|ы|ами|ах
ы -1: ов|ам|ы|ами|ах
анды -1: ов|ам|ы|ами|ах
"""
_UKRAINIAN = """
ий -2: ого|ому|ого|им|ому,ім
ій -1: я|ю,єві|я|єм|ї,ю
ька -1: ої,и|ій|у|ою|ій
ка -2: ки|ці|ку|кою|ці
га -2: ги|зі|гу|гою|зі
ха -2: хи|сі|ху|хою|сі
[ж]а -1: і|і|у|ею|і
[шчщц]а -1: і|і|у|ею|і
а -1: и,ої|і,ій|у|ою|і,ій
ія -1: ї|ї|ю|єю|ї
я -1: і|і|ю|ею,єю|і
й -1: я|ю,єві|я|єм|ї,ю,єві
їв -2: єва|єву,єву|єва|євом|єві
ів -2: ова,ева,єва|ову,еву,єву|ова,ева|овом,евом,євом|ові,еві,єві
ь -1: я,і|ю,еві,і|я|ем,ю|і,ю
(?:ов|ев|єв|ин|ін|ств)о -1: а|у|о|ом|і
[жшчщц] -0: а,у|у,еві|а|ем|і,у
[бвгґдзклмнпрстфх] -0: а,у|у,ові|а|ом,им|і,ові,у
ни -1: =|ам|и|ами|ах
и -1: ів|ам|и|ами|ах
"""
# Serbian in Cyrillic, for what Russian and Ukrainian do not share with it.
_SERBIAN = """
ска -1: е|ој|у|ом|ој
[бвгдзјклљмнњпрстфхцчџш]а -1: е|и|у|ом|и
[жшчцћђљњј] -0: а|у|а|ем|у
[бвгдзклмнпрстфх] -0: а|у|а|ом|у
"""
_KAZAKH = """
[аеёиоуыэюяіөү] -0: ның,нің|ға,ге|ны,ні|мен|да,де
[лмнңрйу] -0: ның,нің,дың,дің|ға,ге|ды,ді,ны,ні|мен|да,де,нан,нен,дан,ден
[бвгғдзкқпстфхцчш] -0: тың,тің,дың,дің|қа,ке,ға,ге|ты,ті,ды,ді|бен,пен|та,те,да,де,тан,тен,дан,ден
"""
# The tables below are in folded letters: ą is a, ř is r, ı is i.
_POLISH = """
[sc]ki -0: ego|emu|ego|m|m
[bcdfghjklmnprstwz]ow -2: owa|owowi,owu|owa|owem|owie
ska -2: ki,kiej|ce,kiej|ke,ka|ka|ce,kiej
ka -2: ki|ce|ke|ka|ce
ga -2: gi|dze|ge|ga|dze
cha -3: chy|sze|che|cha|sze
ra -1: y|ze|e|a|ze
ta -2: ty|cie|te|ta|cie
da -2: dy|dzie|de|da|dzie
la -1: y,i|e|e|a|e
[cs]za -1: y|y|e|a|y
[ij]a -1: i,=|i|e|a|i
a -1: y|ie|e|a|ie
(?:ow|stw|in)o -1: a|u|o|em|ie
(?:[bdfmnptw]y) -1: ow,=|om|y|ami|ach
[kg] -0: a,u|owi|a|iem|u
ec -2: ca|cowi|ca|cem|cu
[cz] -0: a,u|owi|a|em|u
r -0: a,u|owi|a|em|ze
l -0: a,u|owi|a|em|u,e
d -0: a,u|owi|a|em|zie
t -0: a,u|owi|a|em|cie
[bfhjmnpswvx] -0: a,u|owi|a|em|ie,u
"""
_CZECH = """
(?:sk|ck|n)y -1: eho|emu|eho|ym|em
ec -2: ce|ci,covi|ce|cem|ci
ka -2: ky|ce|ku|kou|ce
ha -2: hy|ze|hu|hou|ze
ga -2: gy|ze|gu|gou|ze
[iy]e -1: e|i|i|i|i
a -1: y|e,i|u|ou|e
(?:sk|k|n|v|l)o -1: a|u|o|em|u,e
[szcrj] -0: e,a,u|i,ovi,u|e,a|em|i,u,ovi
[bdfghklmnptvwx] -0: a,u|ovi,u|a|em|ovi,u,e
"""
_CROATIAN = """
(?:sk|ck)i -1: og,oga|om,omu|og,oga|im|om
ska -1: e|oj|u|om|oj
a -1: e|i|u|om|i
[szcj] -0: a|u|a|em,om|u
[bdfghklmnprtvwx] -0: a|u|a|om|u
"""
_FINNISH = """
nen -3: sen|sta,selle|seen|sella,sessa|sesta,selta,sena,seksi
kki -3: kin|kkia|kkiin|kissa,killa,kille|kista,kilta,kkina,kiksi
tti -3: tin|ttia|ttiin|tissa,tilla,tille|tista,tilta,ttina,tiksi
ppi -3: pin|ppia|ppiin|pissa,pilla,pille|pista,pilta,ppina,piksi
aa -0: n|ta|han|ssa,lla,lle|sta,lta,na,ksi
a -0: n|a|an,han|ssa,lla,lle|sta,lta,na,ksi
o -0: n|a,ta|on,hon|ssa,lla,lle|sta,lta,na,ksi
u -0: n|a,ta|un,hun|ssa,lla,lle|sta,lta,na,ksi
i -0: n|a,ta|in,hin|ssa,lla,lle|sta,lta,na,ksi
e -0: n|a,ta|en,hen,seen|ssa,lla,lle|sta,lta,na,ksi
y -0: n|a,ta|yn,hyn|ssa,lla,lle|sta,lta,na,ksi
[bcdfghjklmnpqrstvwxz] -0: in|ia|iin|issa,illa,ille|ista,ilta,ina,iksi,itta
"""
_ESTONIAN = """
[aeiouy] -0: le|t|sse|s,l,ga|st,lt,ni,ks,na,ta
[bcdfghjklmnpqrstvwxz] -0: i|it,ile|isse|is,il,iga|ist,ilt,ini,iks,ina,ita
"""
_HUNGARIAN = """
[ae] -0: t|nak,nek|val,vel|ban,ben,ra,re|bol,rol,tol,hoz,hez,ig,nal,nel,ert,ba,be,n
[iouy] -0: t|nak,nek|val,vel|ban,ben,ra,re|bol,rol,tol,hoz,hez,ig,nal,nel,ert,ba,be,n
b -0: ot,et,t|nak,nek|bal,bel|ban,ben,ra,re|bol,rol,tol,hoz,hez,ig,nal,nel,ert,ba,be,on,en
d -0: ot,et|nak,nek|dal,del|ban,ben,ra,re|bol,rol,tol,hoz,hez,ig,nal,nel,ert,ba,be,on,en
g -0: ot,et|nak,nek|gal,gel|ban,ben,ra,re|bol,rol,tol,hoz,hez,ig,nal,nel,ert,ba,be,on,en
k -0: ot,et|nak,nek|kal,kel|ban,ben,ra,re|bol,rol,tol,hoz,hez,ig,nal,nel,ert,ba,be,on,en
l -0: t,ot,et|nak,nek|lal,lel|ban,ben,ra,re|bol,rol,tol,hoz,hez,ig,nal,nel,ert,ba,be,on,en
m -0: ot,et|nak,nek|mal,mel|ban,ben,ra,re|bol,rol,tol,hoz,hez,ig,nal,nel,ert,ba,be,on,en
n -0: t,ot,et|nak,nek|nal,nel|ban,ben,ra,re|bol,rol,tol,hoz,hez,ig,ert,ba,be,on,en
p -0: ot,et|nak,nek|pal,pel|ban,ben,ra,re|bol,rol,tol,hoz,hez,ig,nal,nel,ert,ba,be,on,en
r -0: t,ot,et|nak,nek|ral,rel|ban,ben,ra,re|bol,rol,tol,hoz,hez,ig,nal,nel,ert,ba,be,on,en
s -0: t,ot,et|nak,nek|sal,sel|ban,ben,ra,re|bol,rol,tol,hoz,hez,ig,nal,nel,ert,ba,be,on,en
t -0: ot,et|nak,nek|tal,tel|ban,ben,ra,re|bol,rol,tol,hoz,hez,ig,nal,nel,ert,ba,be,on,en
v -0: ot,et|nak,nek|val,vel|ban,ben,ra,re|bol,rol,tol,hoz,hez,ig,nal,nel,ert,ba,be,on,en
z -0: t,ot,et|nak,nek|zal,zel|ban,ben,ra,re|bol,rol,tol,hoz,hez,ig,nal,nel,ert,ba,be,on,en
"""
# Turkish and its sisters where nobody wrote the apostrophe; vowel harmony decides which of the endings it is.
_TURKISH_BACK = """
[ao] -0: nin,nun|ya|yi,yu|yla|da,dan
[iu] -0: nin,nun|ya|yi,yu|yla|da,dan
[fhkpstc] -0: in,un|a|i,u|la|ta,tan
[bdgjlmnqrvxyz] -0: in,un|a|i,u|la|da,dan
"""
_TURKISH_FRONT = """
[eiou] -0: nin,nun|ye|yi,yu|yle|de,den
[fhkpstc] -0: in,un|e|i,u|le|te,ten
[bdgjlmnqrvxyz] -0: in,un|e|i,u|le|de,den
"""
_AZERBAIJANI = """
[aeiouə] -0: nin,nun|ya,yə|ni,nu|yla,ylə|da,də,dan,dən
[bcdfghjklmnpqrstvxyz] -0: in,un|a,ə|i,u|la,lə|da,də,dan,dən
"""
_UZBEK = """
[a-z] -0: ning|ga,ka,qa|ni|dagi|da,dan
"""
# The Germanic genitive; not of a word that ends in a hiss.
_GENITIVE = """
[a-rt-wy\u00e5\u00e4\u00f6\u00f8\u00e6\u00fc] -0: s
"""

_CYRILLIC_TABLES: tuple[tuple[str, tuple[str, ...]], ...] = (
    (_RUSSIAN, ()),
    (_UKRAINIAN, ()),
    (_SERBIAN, ()),
    (_KAZAKH, ("kk", "ky")),
)
_LATIN_TABLES: tuple[tuple[str, tuple[str, ...]], ...] = (
    (_GENITIVE, ("da", "de", "nl", "no", "sv")),
    (_POLISH, ("pl",)),
    (_CZECH, ("cs", "sk")),
    (_CROATIAN, ("bs", "hr", "sl", "sr")),
    (_FINNISH, ("fi",)),
    (_ESTONIAN, ("et",)),
    (_HUNGARIAN, ("hu",)),
    (_AZERBAIJANI, ("az",)),
    (_UZBEK, ("uz",)),
)
_OF_LANGUAGE = {"ru": _RUSSIAN, "uk": _UKRAINIAN, **dict.fromkeys(("de", "no", "sv"), _GENITIVE)}


@lru_cache(maxsize=1 << 14)
def inflections(term: str) -> tuple[Form, ...]:
    """Return the other forms of a term in every language that writes with its letters; none of the term itself.

    A word in capitals, with a digit or of fewer than three letters stays as it is: abbreviations take their endings
    behind an apostrophe, a hyphen or a colon.
    """
    folded = _lowered(term)
    if CYRILLIC.search(folded):
        tables = _CYRILLIC_TABLES
        words = folded.split()
    elif _LATIN.search(folded):
        words = _unmarked(folded).split()
        harmony = _TURKISH_BACK if re.search("[aou\u0131][^aeiou\u0131]*$", folded) else _TURKISH_FRONT
        tables = (*_LATIN_TABLES, (harmony, ("tr",)))
    else:
        return ()
    fixed = [not _is_inflected(word) for word in term.split()]
    if len(fixed) != len(words):  # signs that decompose to blanks
        return ()
    found: dict[Form, None] = {}
    for table, langs in tables:
        forms = (form for form in _forms(words, fixed, table) if form != " ".join(words))
        found.update(dict.fromkeys(Form(form, frozenset(langs)) for form in forms))
    return tuple(found)


def forms_in(term: str, lang: str) -> tuple[str, ...]:
    """Return the other forms of a term in one language; nothing for a language without a table."""
    table = _OF_LANGUAGE.get(lang)
    if table is None:
        return ()
    words = _lowered(term).split()
    fixed = [not _is_inflected(word) for word in term.split()]
    if len(fixed) != len(words):
        return ()
    return tuple(form for form in _forms(words, fixed, table) if form != " ".join(words))


def _lowered(term: str) -> str:
    """Return the term in lower case, composed: й is one letter, and not an и with a mark."""
    return unicodedata.normalize("NFC", " ".join(term.split())).replace("İ", "i").lower()


def _unmarked(text: str) -> str:
    plain = text.replace("ı", "i").replace("ł", "l").replace("đ", "d")
    return "".join(c for c in unicodedata.normalize("NFKD", plain) if not unicodedata.combining(c))


def _is_inflected(word: str) -> bool:
    return sum(map(str.isalpha, word)) >= MIN_LETTERS and not _ALL_CAPITALS.match(word)


def _forms(words: Sequence[str], fixed: Sequence[bool], table: str) -> tuple[str, ...]:
    """Return the forms of a phrase: all words in one case, or its first or its last word alone."""
    cases = [None if still else _cases(word, table) for word, still in zip(words, fixed, strict=True)]
    return tuple(dict.fromkeys(_phrases(words, cases)))[:MAX_FORMS]


def _phrases(words: Sequence[str], cases: Sequence[Cases | None]) -> Iterator[str]:
    count = max((len(of_word) for of_word in cases if of_word), default=0)
    for case in range(count):
        choices = [_in_case(word, of_word, case) for word, of_word in zip(words, cases, strict=True)]
        yield from map(" ".join, product(*choices))
    for place in {0, len(words) - 1} if len(words) > 1 else ():
        for form in (form for of_case in cases[place] or () for form in of_case):
            yield " ".join([*words[:place], form, *words[place + 1 :]])


def _in_case(word: str, cases: Cases | None, case: int) -> tuple[str, ...]:
    return cases[case] if cases and case < len(cases) else (word,)


@lru_cache(maxsize=1 << 14)
def _cases(word: str, table: str) -> Cases | None:
    """Return the forms of a word, case by case; None if it does not change."""
    for letters, removed, cases in _paradigms(table):
        if letters.search(word) and len(word) - removed >= MIN_LETTERS - 1:
            stem = word[: len(word) - removed]
            return tuple(tuple(stem + ending for ending in case) for case in cases)
    return None
