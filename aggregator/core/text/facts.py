"""Facts of a text: its numbers, names and designators, in every script and in digits or words.

Two reports of one event agree in them; two events that one template tells of differ in nothing else. Number words
(`number_words.txt` beside this module: language, value and forms) are found by form or, where a language
inflects them, by stem.
"""

import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from functools import lru_cache
from importlib.resources import files
from itertools import islice, pairwise
from unicodedata import combining, decimal, normalize

from aggregator.core.text.affixes import stems
from aggregator.core.text.fold import fold
from aggregator.core.text.language import root

# Signs of vowels and tones belong to the word: `\w` breaks Hindi and pointed Arabic words at them.
_MARKS = (
    "\u0300-\u036f\u0483-\u0487\u0591-\u05c7\u0610-\u061a\u064b-\u065f\u0670\u06d6-\u06ed"
    "\u0900-\u0903\u093a-\u094f\u0951-\u0957\u0962\u0963\u0970\u0980-\u0983\u09bc-\u09cd\u0a3c-\u0a4d\u0abc-\u0acd"
    "\u0b3c-\u0b57\u0bbe-\u0bcd\u0c3e-\u0c56\u0cbc-\u0cd6\u0d3b-\u0d4d\u200c\u200d"
)
_WORD = re.compile(rf"\d+(?:[.,:]\d+)*|[^\W\d_]+(?:(?:[{_MARKS}]|['’ʼ](?=[\u0400-\u04ff]))+[^\W\d_]*)*")
_ASCII_WORD = re.compile(r"[0-9]+(?:[.,:][0-9]+)*|[A-Za-z]+")  # the same where all is ASCII
_LONG = 10_000  # characters of which to find all words costs more than to find the first
_SIGN = re.compile(r"[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]")
_DESIGNATOR = re.compile(rf"(?<![^\W_])([^\W\d_](?:[^\W\d_]|[{_MARKS}]){{0,4}})[-‐‑–]?(\d{{1,4}}[A-Za-z]{{0,2}})\b")
_APOSTROPHE = re.compile("['’ʼ]")  # inside a Ukrainian word
_SENTENCE = re.compile(r"[.!?…:;\n]+|[“”\"«»„]+")
_DIGIT = re.compile(r"\d")
_OTHER_DIGIT = re.compile(r"(?![0-9])\d")
_HIDING = 0.75  # of the words of a headline that are capitalised, from which that says nothing
_MULTIPLES = """
k thousand tausend mille mil mila tusen duizend tysięcy тысяч тыс тисяч тис bin हजार हज़ार ألف آلاف אלף,
m million millions millionen millones milhões milioni miljoen miljoner millioner milionów миллионов миллиона млн
мільйонів мільйона milyon mio mln εκατομμύρια εκατ מיליון مليون ملايين,
bn billion billions milliarden milliarde milliards milliard miliardi miljard miljarder milliarder miliardów миллиардов
миллиарда млрд мільярдів мільярда milyar bilhões mrd mld δισεκατομμύρια δισ מיליארד مليار مليارات,
tn trillion trillions billionen триллионов трильйонів trilyon trilhões
"""
_MULTIPLE = {name: sign for sign, *names in map(str.split, _MULTIPLES.split(",")) for name in names}
_MYRIADS = {
    "万": "w",
    "萬": "w",
    "만": "w",
    "亿": "y",
    "億": "y",
    "억": "y",
}  # 10^4 and 10^8, in front of what is counted
# Han numerals are numbers where something counted follows: 三星 is a firm.
_HAN_NUMBER = re.compile(
    r"[二两兩三四五六七八九十百]+(?=[人名个個艘架枚级級次套座台臺辆輛番度件年月日号號条條隻只位周週])"
)
_HAN = {
    sign: value
    for value, signs in enumerate(("", "二两兩", "三", "四", "五", "六", "七", "八", "九"), 1)
    for sign in signs
}
_INFLECTED = frozenset(
    ["ar", "cs", "el", "fi", "hu", "pl", "ru", "tr"]
)  # languages in which number words are found by their stems

_STEM = 4  # letters that two forms of a name share
_CASES = """
cyrillic: а у о ом ем єм ам ям е є и і ї ы ь я ю ой ою ей ею єю ів ов ев ами ями ах ях ий ый ого его ому ему им ым ім ої
 ая яя ое ее ові еві ьом ьох ыми ими ых их
pl: a e i o u y ie iu ow om em ami ach owi iem ego emu ej im ym ich ych imi ymi owie
cs sk sl hr bs sr: a e i o u y em om ou ovi um ech ach ami eho emu ym ich im ove ovych mi ama ima og oj ih im ev ov ega
lt: as o ui a u e ai is i yje es ei os oje us aus ams ems omis
lv: s a am u is im i as ai e es ei os iem us aja
fi et: n a ssa sta lla lta lle na ksi an en in on un yn ta tta ja ien den iden t hin seen iin s st l lt le ks ni ga sse
 nen sen sella selle selta
hu: t ot et at ban ben bol nak nek ra re rol val vel hoz hez ig on en n tol ba be nal i ai ok ek ak os es
el: ς υ ο ον η ης α ας ων ους οι ου ε ι εσ ησ ασ οσ
de: s es n en
no sv da nl: s
"""
_ENDINGS = {
    lang: frozenset(["", *endings.split()])
    for langs, _, endings in (row.partition(": ") for row in re.split(r"\n(?! )", _CASES.strip()))
    for lang in langs.split()
}


def lacking(named: Collection[str], others: Collection[str], lang: str) -> set[str]:
    """Return the folded names that others do not have, in any case form of the language: Норильском is Норильске.

    Two forms share four letters, and what follows are case endings; in Cyrillic, of any language.
    """
    left = set(named).difference(others)
    if not left or (lang not in _ENDINGS and all(map(str.isascii, left))):
        return left
    begun: dict[str, list[str]] = defaultdict(list)
    for other in others:
        begun[other[:_STEM]].append(other)
    return {name for name in left if not any(_is_form(name, other, lang) for other in begun.get(name[:_STEM], ()))}


def _is_form(one: str, other: str, lang: str) -> bool:
    """Tell whether two names that begin alike are forms of one."""
    endings = _ENDINGS.get("cyrillic" if "\u0400" <= one[0] <= "\u04ff" else lang)
    if endings is None or min(len(one), len(other)) < _STEM:
        return False
    same = next((at for at, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))
    return any(one[at:] in endings and other[at:] in endings for at in range(same, _STEM - 1, -1))


def units(text: str, most: int | None = None) -> list[str]:
    """Return folded words; single signs in scripts that write no spaces. The first `most`, or all."""
    return [*_units(text, most)]


@lru_cache(maxsize=8)  # the headline and the text of one entry, which are asked for three times
def _units(text: str, most: int | None) -> Sequence[str]:
    if text.isascii():
        few = most is not None and len(text) > _LONG
        found = [m[0] for m in islice(_ASCII_WORD.finditer(text), most)] if few else _written(text)[:most]
        return [*map(str.lower, found)]
    found = []
    for match in _WORD.finditer(text):
        word = match[0]
        if word.isascii():
            found.append(word.lower())
        elif _SIGN.search(word):
            found.extend(word)
        else:
            found.append(fold_word(word))
        if most is not None and len(found) >= most:
            return found[:most]
    return found


def _written(text: str) -> list[str]:
    """Return the words of a text as they are written."""
    return (_ASCII_WORD if text.isascii() else _WORD).findall(text)


def is_sign(unit: str) -> bool:
    """Tell whether a unit is a sign of a script that writes no spaces."""
    return len(unit) == 1 and _SIGN.match(unit) is not None


def words(text: str, most: int | None = None) -> list[str]:
    """Return folded words; pairs of neighbouring signs in scripts that write no spaces."""
    found = units(text, most)
    if text.isascii() or not any(map(is_sign, found)):
        return found
    pairs = [one + other for one, other in pairwise(found) if is_sign(one) and is_sign(other)]
    return [unit for unit in found if not is_sign(unit)] + pairs


@lru_cache(maxsize=1 << 14)
def fold_word(word: str) -> str:
    """Fold a word: lower case without marks and apostrophes."""
    plain = _APOSTROPHE.sub("", normalize("NFKD", word).casefold())
    return "".join(c for c in plain if not combining(c)) or plain


def western(text: str) -> str:
    """Return a text with its digits as 0 to 9, and the separators that Arabic puts between them."""
    if text.isascii():
        return text
    return _OTHER_DIGIT.sub(lambda found: str(decimal(found[0])), text).replace("٫", ".").replace("٬", ",")


def plain_number(number: str) -> str:
    """Return a number without separators of thousands, with a point before its decimals."""
    return re.sub(r"[.,](?=\d{3}\b)", "", number).replace(",", ".")


def numbers(text: str, lang: str) -> set[str]:
    """Return the numbers of a text, with a letter for thousands, millions and more: 1.8bn; words, too: five is 5."""
    found, spoken = set[str](), _number_words(lang)
    text = western(normalize("NFKC", text))
    written = _written(text)
    plain = text.isascii() and lang not in _INFLECTED
    sought: Iterable[int] = range(len(written))
    if plain:  # few words of a text are numbers
        sought = [at for at, word in enumerate(map(str.lower, written)) if word in spoken or word[0] <= "9"]
    for place in sought:
        word = written[place]
        value = plain_number(word) if word[0].isdigit() else _value(word, lang, spoken) if spoken else ""
        if value:
            following = written[place + 1] if place + 1 < len(written) else ""
            found.add(value + (_MULTIPLE.get(following.lower()) or _MYRIADS.get(following[:1], "")))
    if lang in ("zh", "ja", ""):
        found.update(_han_number(match[0]) for match in _HAN_NUMBER.finditer(text))
    return found


def _value(word: str, lang: str, spoken: dict[str, str]) -> str:
    if word.isascii() and lang not in _INFLECTED:
        return spoken.get(word.lower(), "")
    folded = _APOSTROPHE.sub("", fold(word))
    value = spoken.get(folded)
    if value is None and lang in _INFLECTED:
        value = spoken.get(f"*{root(word, lang)}")
    if value is None and not folded.isascii():
        value = next((spoken[inner] for inner, _, _ in stems(folded) if inner in spoken), None)
    return value or ""


def _han_number(signs: str) -> str:
    """Return 12 for 十二, 30 for 三十; tens and hundreds are all that headlines count."""
    total = current = 0
    for sign in signs:
        scale = {"十": 10, "百": 100}.get(sign)
        total, current = (total + (current or 1) * scale, 0) if scale else (total, _HAN[sign])
    return str(total + current)


@lru_cache(maxsize=64)
def _number_words(lang: str) -> dict[str, str]:
    """Return the values of a language's number words by their folded forms, and by their stems, marked."""
    found: dict[str, str] = {}
    text = (files("aggregator.core.text") / "number_words.txt").read_text("utf-8")
    for line in text.splitlines():
        name, _, said = line.partition(": ")
        if name == lang:
            for value, *forms in map(str.split, said.split(";")):
                for form in forms:
                    found.setdefault(_APOSTROPHE.sub("", fold(form)), value)
                    found.setdefault(f"*{root(form, lang)}", value)
    return found


def names(text: str) -> set[str]:
    """Return capitalised words that do not begin a sentence."""
    found: set[str] = set()
    for sentence in _SENTENCE.split(text):
        found.update(word for word in _written(sentence)[1:] if word[0].isupper() and len(word) > 1)
    return {word.lower() if word.isascii() else fold_word(word) for word in found}


def designators(text: str) -> set[str]:
    """Return what is named by an abbreviation and a number, written together: s400 for S-400."""
    if not _DIGIT.search(text):
        return set()
    mixed = " ".join([chunk for chunk in text.split() if not chunk.isalpha()])  # few: the pattern takes its time
    return {fold_word(sign) + number.lower() for sign, number in _DESIGNATOR.findall(mixed)}


def hides_names(headline: str, common: frozenset[str]) -> bool:
    """Tell whether a headline does not show which words are names: in title case, or a script without capitals."""
    contents = list(_contents(headline, common))
    capitals = sum(1 for word in contents if word[0].isupper())
    return capitals > _HIDING * len(contents) or not any(word.lower() != word.upper() for word in contents)


def _contents(headline: str, common: frozenset[str]) -> Iterator[str]:
    return (word for word in _written(headline)[1:] if word[0].isalpha() and fold_word(word) not in common)
