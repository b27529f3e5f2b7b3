r"""Syntax of other tools, and its equivalent here.

The tables pair a pattern with what is wrong and what to write; `{0}` is the text, `{1}` its first
group, and a group named `at` the character that is wrong. A query with such syntax is refused, or
warned about if it may be meant literally; an item of a list is always a term, so there it is always
a warning.
"""

import re
from collections.abc import Sequence
from difflib import get_close_matches
from typing import Literal, NamedTuple

from aggregator.core.rules.syntax_tree import FIELDS
from aggregator.core.text.fold import narrow

Severity = Literal["error", "warning"]

DASHES = "-\u2010\u2011\u2012\u2013\u2014\u2015\u2212\ufe58\ufe63\uff0d\u02d7\u2043\u2796"  # that are meant as a minus


class SyntaxAdvice(NamedTuple):
    """The fault in a piece of text, the replacement, and the place of the wrong character."""

    message: str
    hint: str
    at: int = 0
    severity: Severity = "error"


class ForeignSyntax(NamedTuple):
    """A row of a table below."""

    pattern: str
    message: str
    hint: str


_OPERATORS = {"&&": "AND", "&": "AND", "||": "OR", "|": "OR", "!": "NOT", "+": "AND", ",": "AND", ";": "OR"}
_FIELDS = {
    **dict.fromkeys(("intitle", "allintitle", "headline", "header", "heading", "subject", "titel"), "title"),
    **dict.fromkeys(("description", "abstract", "excerpt", "lead"), "summary"),
    **dict.fromkeys(("intext", "allintext", "body", "text", "fulltext"), "content"),
    **dict.fromkeys(("by", "byline", "creator", "writer", "inauthor"), "author"),
    **dict.fromkeys(("inurl", "allinurl", "url", "uri", "site", "domain", "host", "links"), "link"),
    **dict.fromkeys(("source", "from", "publication", "outlet", "feedid", "rss", "f"), "feed"),
    **dict.fromkeys(("tag", "tags", "label", "hashtag", "keyword", "keywords", "topic", "c"), "category"),
    **dict.fromkeys(("language", "languages", "langs"), "lang"),
}
_AGE = "limit the age with max_age: 7d in a rule, or --since 7d in a search"
_ELSEWHERE = {
    **dict.fromkeys(("date", "after", "before", "since", "until", "published", "pubdate", "daterange", "age"), _AGE),
    **dict.fromkeys(
        ("country", "region", "location", "sourcecountry", "sourcetype", "type"),
        "give feeds tags and write feeds: {tags: […]} in the rule",
    ),
    **dict.fromkeys(("re", "regex", "regexp", "pattern"), "write a pattern between slashes: /C[AB]ATSA/"),
    **dict.fromkeys(("near", "onear", "within", "around"), "write NEAR/5 between two terms"),
    "_exists_": "searching for empty fields is not supported; remove it",
}

# Words that are operators elsewhere, in English and in other languages: what is written here.
_SAID_AS = {
    "xor": "(a OR b) NOT (a AND b)", "andnot": "NOT", "nor": "NOT", "followedby": "ONEAR/10", "next": "ONEAR/1",
    "before": "ONEAR/10", "around": "NEAR/10", "within": "NEAR/10", "adj": "NEAR/1", "sentence": "NEAR/15",
    "paragraph": "NEAR/50", "same": "NEAR/15", "but": "AND", "und": "AND", "oder": "OR", "nicht": "NOT", "et": "AND",
    "ou": "OR", "sauf": "NOT", "y": "AND", "ve": "AND", "veya": "OR", "och": "AND", "og": "AND", "eller": "OR",
    "и": "AND", "или": "OR", "не": "NOT",
}  # fmt: skip
_SMALL = ("and", "or", "not", "near", "onear")

_OPERATOR = r"(?:AND|OR|NOT|XOR|ANDNOT|O?NEAR(?:/\d+)?|&&|\|\|?|(?i:(?:near|onear|w|within|adj|pre|n)/\d+|adj\d+))"
_DISTANCE = re.compile(
    r"(O?NEAR|WITHIN|AROUND|NEXT|BEFORE|FOLLOWEDBY|ADJ|PRE|W|N|P)([/:~=]?)-?(\d+)[a-z]{0,5},?", re.IGNORECASE
)
_ORDERED = ("PRE", "P", "ONEAR", "NEXT", "BEFORE", "FOLLOWEDBY")
_OR = "or|oder|ou|или|або|veya|eller|lub|albo|vagy|nebo"
_ORDINARY = re.compile(r"[^\W_](?:[\w.'’ -]*\w)?\*?")  # words and blanks; what is left is looked at more closely

_WEIGHT = "weights are not supported: a rule either matches or it does not"
SHIPPED = "a list that is shipped must be named before a rule can use it"
USE_IT = "write lists: {{name: {{use: {1}}}}}, and $name here"
_FUZZY = "fuzzy matching is not supported"
_CURLY = "curly quotation marks are not supported"
_STAR = "a * is only allowed at the end of a word"

# A bare word of a query.
_WORDS = (
    ForeignSyntax(r".*\w(?P<at>&&)\w.*", "&& is not an operator here", "write AND with a space on both sides"),
    ForeignSyntax(r".*\w(?P<at>\|\|)\w.*", "|| is not an operator here", "write OR with a space on both sides"),
    ForeignSyntax(r"(?i:o?near|within|w|n)?/(?i:s|sentence|f)", "sentence proximity is not supported", "write NEAR/15"),
    ForeignSyntax(r"(?i:o?near|within|w|n)?/(?i:p|paragraph)", "paragraph proximity is not supported", "write NEAR/50"),
    ForeignSyntax(
        r"\+(\w.*)",
        "a leading + is not supported",
        "every word is required unless joined by OR; write {1}",
    ),
    ForeignSyntax(r"([!¬])(\w.*)", "a leading {1} is not supported", "write NOT {2}"),
    ForeignSyntax(r"([~=])([^\W\d].*)", "a leading {1} is not supported", "write {2}, or list the words you mean"),
    ForeignSyntax(
        r"[~/](\d+)", "{0} has no terms around it", 'write a NEAR/{1} b, or a phrase with more words in it: "a b"~{1}'
    ),
    ForeignSyntax(r"NOT/(\d+)", "{0} uses a different syntax here", "write a NOT (a NEAR/{1} b)"),
    ForeignSyntax(r"([\w-]+)~[\d.]*", _FUZZY, "write {1}* or list the spellings"),
    ForeignSyntax(r"(.*\w)(?P<at>\^)[\d.]+", _WEIGHT, "write {1}"),
    ForeignSyntax(r"\^[\d.]+", _WEIGHT, "remove it"),
    ForeignSyntax(r"([,;]).+", "{1} is not an operator", "write OR if either will do, AND if both must occur"),
    ForeignSyntax(
        r"[<>]=?\d\S*", "comparing numbers is not supported", f"{_AGE}; to search for the text itself, quote it"
    ),
    ForeignSyntax(r"(\w+)(?P<at>\?)(\w+)", "? is not a wildcard", r"write /\b{1}.{3}\b/"),
    ForeignSyntax(r"(\w{3,})(?P<at>\*)\w.*", _STAR, "write the beginning and a *: {1}*"),
    ForeignSyntax(r"[^*]*(?P<at>\*)\w.*", _STAR, "write the beginning and a *, at least 3 letters, or a /pattern/"),
    ForeignSyntax(r"\*+", "a * alone would match everything", "write at least 3 letters before it"),
    ForeignSyntax(r"[`´].*", "these quotation marks are not supported", 'write "air defence" with straight quotes'),
    ForeignSyntax(r"[‘’]([^‘’]+)[‘’]c", _CURLY, "write '{1}'c with straight quotes"),
    ForeignSyntax(r"(?:\$\{|%)([A-Za-z_][\w-]*)[}%]", "lists use a different syntax here", "write ${1}"),
    ForeignSyntax(r"\$([a-z]+/[\w-]+)", SHIPPED, USE_IT),
    ForeignSyntax(r"\$([A-Za-z_][\w-]*)[^\w-].*", "nothing may follow the name of a list", "write ${1}"),
    ForeignSyntax(r"\$[^\W\d].*", "list names use the letters a–z, digits, - and _", "rename it under lists:"),
    ForeignSyntax(r"/(.+)/[a-z]+", "patterns take no flags here and always ignore case", "write /{1}/"),
    ForeignSyntax(r"(.*)(?P<at>\\)(.*)", "a backslash escapes nothing outside quotes", 'quote it: "{1}{3}"'),
)

# Several words of a query, from the first one on.
_PASSAGES = (
    ForeignSyntax(r"(?:O?NEAR|WITHIN|AROUND)\s*\(\s*(\d+)\s*\)", "{0} uses a different syntax here", "write NEAR/{1}"),
    ForeignSyntax(r"(?:WITHIN|AROUND)\s+(\d+)(?!\S)", "{0} uses a different syntax here", "write NEAR/{1}"),
    ForeignSyntax(r"O?NEAR\(.*,\s*(\d+)\s*\)", "NEAR goes between two terms", "write a NEAR/{1} b"),
    ForeignSyntax(r"[\[{]\S+\s+TO\s+\S+[\]}]", "ranges are not supported", f"{_AGE}; match numbers with a /pattern/"),
    ForeignSyntax(r"BUT\s+NOT(?!\S)", "BUT NOT is not an operator here", "write NOT"),
    ForeignSyntax(r"‘([^‘’\"]+\s[^‘’\"]+)’", _CURLY, 'write "{1}" with straight quotes'),
    ForeignSyntax(
        r"'([^'\"]+)'(?=[\s)]|$)",
        "exact spellings end with 'c",
        "write \"{1}\", or '{1}'c if capitals matter",
    ),
)
_FIELD_LIKE = re.compile(r"([A-Za-z_]+)(\s+:|:\s+|\s*==?\s*)(?=[\w\"$(])")

# What touches the closing quotation mark of a phrase.
_AFTER_PHRASE = (
    ForeignSyntax(r"c", "exact spellings use single quotes", "write '{phrase}'c"),
    ForeignSyntax(r"\^[\d.]+", _WEIGHT, "remove it"),
    ForeignSyntax(
        r"[,;|&].*",
        "quoted phrases must be joined by an operator",
        "write OR if either will do, AND if both must occur",
    ),
    ForeignSyntax(r"(?:@|/|w/?)(\d+).*", "use ~ for the distance between words of a phrase", 'write "{phrase}"~{1}'),
    ForeignSyntax(r".*", "unexpected text after the closing quotation mark", "add a space or an operator"),
)

_PART_OF_A_NAME = (
    r"Inc|Ltd|LLC|LLP|L\.?P|Corp|Co|PLC|plc|AG|SE|GmbH|S\.?A|N\.?V|B\.?V|S\.?p\.?A|Jr|Sr|D\.?C|Ph\.?D|M\.?D|Esq"
)

# A pattern.
_PATTERNS = (
    ForeignSyntax(
        r"(?:m|qr)?([/~#@%!])(.+)\1[imsxugUADJX]{0,4}",
        "{1} at both ends is matched as part of the pattern",
        "write '{2}'; case is ignored unless the rule has case: exact",
    ),
    ForeignSyntax(
        r"\(i\?\)(.*)|\([imsxg]{1,3}\)(?:.*)",
        "a leading group of letters is matched as text; it is not a flag",
        "remove it: case is ignored unless the rule has case: exact; other flags are (?s) and (?m)",
    ),
    ForeignSyntax(
        r".*?(?P<at>\\[<>]).*",
        "\\< and \\> match these characters, not word boundaries",
        r"write \b for a word boundary",
    ),
    ForeignSyntax(r"s([/#|])(.+)\1.*\1[a-z]*", "a replacement is matched as text", "write '{2}'"),
    ForeignSyntax(
        r"(?:r|re\.compile\(r?)?([\"'“”‘’])(.+)[\"'“”‘’]\)?",
        "{1} at both ends is matched as part of the pattern",
        "write the pattern without it: {2}",
    ),
    ForeignSyntax(
        r"\^([\w -]+)\$",
        "^ and $ are the beginning and the end of the whole text, so this matches in no longer one",
        r"write \b{1}\b",
    ),
    ForeignSyntax(
        r"[^\[]*(?P<at>[\u2010-\u2013\u2212\uff0d])[^\[]*",
        "this dash matches itself only, not a hyphen",
        "write [-‐‑–] for each of them",
    ),
    ForeignSyntax(r"[^\[]*(?P<at>[\u00a0\u202f\u3000]).*", "this space matches itself only", r"write \s for any"),
)

# An item of any:, all:, none:, near: or a list.
_ITEMS = (
    ForeignSyntax(r".*(&\w+;).*", "{1} is matched literally", "write the character it stands for"),
    ForeignSyntax(
        rf".*\s{_OPERATOR}\s.*|\(.*\sor\s.*\)",
        "'{0}' is matched as one phrase",
        "use query: for operators",
    ),
    ForeignSyntax(
        rf".*\s(?:{_OR})\s.*|.*[;；؛].*|.*\s[·•‣/+]\s.*|(?!.*,\s*(?:{_PART_OF_A_NAME})\.?$).*(?:[^\d,][,，、،]|[,，、،]\D|[,，、،]$).*",
        "'{0}' is matched as one phrase",
        "write each as a separate item, or quote it twice: '\"{0}\"'",
    ),
    ForeignSyntax(
        rf"(?:NOT\s+|[{DASHES}!])([^\W\d_\"'$].*|[\"'$].+)",
        "'{0}' excludes nothing: it matches like {1}",
        "write {1} under none:, or the whole expression in query:",
    ),
    ForeignSyntax(r"([+=~])([^\W\d_].*)", "a leading {1} is not supported", "write {2}"),
    ForeignSyntax(r"/(.+)/[a-z]{0,3}", "'{0}' is matched literally", "write it under regex: '{1}', or in query:"),
    ForeignSyntax(
        r".*(?:\\[bdwsBDWS.]|\(\?|\.[*+]|\w\[[^\]]+\]|\[[^\]]+\][*+{{\w]|\w\|\w).*|\^\w.*|.*\w\$",
        "'{0}' is matched literally, not as a pattern",
        "write it under regex: '{0}'",
    ),
    ForeignSyntax(r"(\w+)\?(\w+)", "? is not a wildcard", r"write it under regex: '\b{1}.{2}\b'"),
    ForeignSyntax(r'("[^"]*")~\d+', "~ after a phrase is not supported in a list", "write query: '{0}'"),
    ForeignSyntax(r"(.*\w)~[\d.]*", _FUZZY, "write {1}* or list the spellings"),
    ForeignSyntax(r"(.*\S)\s?\^[\d.]+", _WEIGHT, "write {1}"),
    ForeignSyntax(
        r"[\"“”‘’]([^\"“”‘’]+)[\"“”‘’]c", "'{0}' is matched literally", "to match these capitals, write \"'{1}'c\""
    ),
    ForeignSyntax(
        r'"[^"]*"(?:\s+"[^"]*")+',
        "'{0}' is matched as one phrase",
        "write each as a separate item, or use query:",
    ),
    ForeignSyntax(
        r"\$[A-Za-z_][\w-]*\s.*", "a list must stand alone, so '{0}' is matched literally", "write query: '{0}'"
    ),
    ForeignSyntax(r"\$([a-z]+/[\w-]+)", SHIPPED, USE_IT),
    ForeignSyntax(r"\$\s+([A-Za-z_][\w-]*)", "'{0}' is matched literally", "for the list, write ${1} without a space"),
    ForeignSyntax(
        r".*\S\s+\$[a-z_][\w-]*",
        "a list must stand alone, so '{0}' is matched literally",
        "write query: with NEAR/1 between the list and the other words",
    ),
    ForeignSyntax(r"(\$[A-Za-z_][\w-]*)\W.*", "a list must stand alone, so '{0}' is matched literally", "write {1}"),
)


def is_field(name: str) -> bool:
    """Tell whether `name` is a field, here or in another tool."""
    return name.lower() in FIELDS or name.lower() in _FIELDS


def advise_field(name: str, value: str) -> SyntaxAdvice:
    """Advise on `name:value` where `name` is no field; `value` is what follows, as far as it is known."""
    known = name.lower()
    field = _FIELDS.get(known)
    if not field and known not in _ELSEWHERE:
        field = next(iter(get_close_matches(known, FIELDS, n=1, cutoff=0.7)), None)
    quoted = f': "{name}:{value}"' if value and '"' not in value else ""
    fields = f"fields are {', '.join(FIELDS)}; to search for the text itself, quote it{quoted}"
    return SyntaxAdvice(f"unknown field {name!r}", f"write {field}:{value}" if field else _ELSEWHERE.get(known, fields))


def advise_word(word: str) -> SyntaxAdvice | None:
    """Advise on a bare word of a query."""
    if _ORDINARY.fullmatch(word) and ("-" in word or not any(map(str.isdigit, word))):
        return None
    operator = word if word in _OPERATORS else word[:2]
    if operator in _OPERATORS:
        return SyntaxAdvice(f"{operator} is not an operator here", f"write {_OPERATORS[operator]}")
    if distance := _distance(word):
        return SyntaxAdvice(f"{word} uses a different syntax here", f"write {distance}")
    return _first(_WORDS, word)


def advise_passage(text: str, at: int) -> SyntaxAdvice | None:
    """Advise on several words of a query, beginning at `at`."""
    if field := _FIELD_LIKE.match(text, at):
        blank = field[2] == ":" or field[1] not in FIELDS or field[2][0] != ":"
        if is_field(field[1]) and blank:
            field_name = _FIELDS.get(field[1].lower(), field[1].lower())
            message = f"{' '.join(field[0].split())} uses a different syntax here"
            return SyntaxAdvice(message, f"write {field_name}: directly before the word or parenthesis")
    if text[at] not in "ABNOW[{‘'":
        return None
    for syntax in _PASSAGES:
        if found := re.compile(syntax.pattern).match(text, at):
            return _answer(syntax, found)
    return None


def after_phrase(phrase: str, rest: str) -> SyntaxAdvice | None:
    """Advise on what touches the closing quotation mark of a phrase: `"US"c`, `"air defence"^2`, `"a b"@5`."""
    return _first(_AFTER_PHRASE, rest, phrase=phrase) if rest else None


def lint_word(word: str, *, between: bool) -> SyntaxAdvice | None:
    """Advise on a word of a query that surely means something else; `between`: terms stand on both sides."""
    small = word.casefold()
    quote = "or quote it if you mean the word"
    if small in _SMALL:
        message = f"lower-case {word!r} is a word that must occur, not an operator"
        return _warning(message, f"write {word.upper()}, {quote}")
    if between and small in _SAID_AS and word.isupper():
        return _warning(f"{word} is a word that must occur, not an operator", f"write {_SAID_AS[small]}, {quote}")
    if between and (near := re.fullmatch(r"[WN](\d{1,2})", word)):
        return _warning(f"{word} is a word that must occur, not a distance", f"write NEAR/{near[1]}, {quote}")
    if word.isalpha():
        return None
    if re.fullmatch(r"ATLEAST\d+", word):
        return _warning(f"{word} is a word that must occur", "occurrences are not counted; remove it")
    if word[-1] in ",;" and len(word) > 1:
        return _warning(
            f"{word[-1]} is not an operator, so the terms before and after it must both occur",
            "write OR between them if either will do, AND if both must occur",
        )
    if re.search(r"\w[;|]\w|[^\W\d],\w|\w,[^\W\d]", word):
        return _warning(f"{word} is matched as one term", f"write OR if either will do, {quote}")
    if word.startswith(("http://", "https://")):
        link = word.partition("://")[2]
        return _warning("the URL is searched for in the text", f"write link:{link} to match an entry's link")
    if word[0] == "/" and word.count("/") == 1:
        return _warning(f"{word} is matched as a word", "a pattern also ends with a slash: /C[AB]ATSA/")
    return None


def lint_phrase(phrase: str) -> SyntaxAdvice | None:
    """Advise on a phrase of a query that contains operators."""
    if not re.search(rf"\s{_OPERATOR}\s", phrase):
        return None
    return _warning("quoted text is matched as one phrase, including its operators", "remove the quotes")


def advise_term(term: str) -> SyntaxAdvice | None:
    """Advise on a term with stars, which match nothing but stars."""
    if "*" not in term:
        return None
    if found := re.search(r"(?<=[^\W\d_]{3})\*\s+(\S.*)", term):
        before, after = term[: found.start()] + "*", found[1]
        terms = " ONEAR/1 ".join(f'"{part}"' if " " in part else part for part in (before, after))
        hint = f"write {terms} in query:, or near: {{terms: [{before}, {after}], within: 1, ordered: true}}"
        return SyntaxAdvice(f"{term!r}: a * is only allowed at the end of a term", hint)
    if re.search(r"[^\W\d_]\s+\*+\s+[^\W\d_]", term):
        phrase = re.sub(r"(?<!\s)\s+\*+\s+", " ", term)
        return SyntaxAdvice(f"{term!r}: a * does not stand for a word", f'write "{phrase}"~1 in query:')
    return None


def advise_item(item: str) -> SyntaxAdvice | None:
    """Advise on an item of any:, all:, none:, near: or a list: a term that looks like something else."""
    item = narrow(item)
    if field := re.fullmatch(r"[-+!]?([A-Za-z_]{2,}):(\S.*)", item):
        if not is_field(field[1]):
            return None
        return _warning(f"'{item}' is matched as plain words, in any field", _for_field(field[1], field[2]))
    if _ORDINARY.fullmatch(item) and not re.search(rf"(?:^|\s)(?:{_OR}|[A-Z]{{2,}})\s", item):
        return None
    found = _first(_ITEMS, item)
    return found and found._replace(severity="warning")


def of_pattern(source: str) -> SyntaxAdvice | None:
    """Advise on a pattern that another tool would read differently."""
    found = _first(_PATTERNS, source)
    return found and found._replace(severity="warning")


def advise_between(kinds: Sequence[str], at: int) -> bool:
    """Tell whether terms, not operators, stand on both sides of a lexeme."""
    terms = ("word", "phrase", "exact", "inflected", "list", "regex")
    before, after = kinds[at - 1] if at else "", kinds[at + 1] if at + 1 < len(kinds) else ""
    return before in (*terms, ")") and after in (*terms, "(", "field", "NOT")


def _first(habits: Sequence[ForeignSyntax], text: str, **also: str) -> SyntaxAdvice | None:
    for syntax in habits:
        if found := re.fullmatch(syntax.pattern, text, re.DOTALL):
            return _answer(syntax, found, **also)
    return None


def _answer(syntax: ForeignSyntax, found: re.Match[str], **also: str) -> SyntaxAdvice:
    groups = (found[0], *found.groups())
    at = found.start("at") - found.start() if "at" in found.re.groupindex else 0
    return SyntaxAdvice(syntax.message.format(*groups, **also), syntax.hint.format(*groups, **also), at)


def _distance(word: str) -> str | None:
    """Translate `WITHIN/5`, `near:5`, `ADJ5`; not W5, N5 and P5, which are names of things."""
    found = _DISTANCE.fullmatch(word)
    if not found or (not found[2] and (len(found[1]) == 1 or not (word[0].isupper() or found[1] == "near"))):
        return None
    operator = "ONEAR" if found[1].upper() in _ORDERED else "NEAR"
    return f"{operator}/{min(max(int(found[3]), 1), 1000)}"


def _for_field(name: str, value: str) -> str:
    field = _FIELDS.get(name.lower(), name.lower())
    if field == "lang":
        return f"write lang: [{value}] as a key of the rule"
    if field == "feed":
        return f"write feeds: {{ids: [{value}]}} as a key of the rule"
    written = f'"{value}"' if " " in value and '"' not in value else value
    return f"write query: '{field}:{written}', or in: [{field}] beside the terms"


def _warning(message: str, hint: str) -> SyntaxAdvice:
    return SyntaxAdvice(message, hint, severity="warning")
