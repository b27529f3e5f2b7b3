"""The language of a page: the catalogues of locales/, the reader's choice, and how a language writes dates and numbers.

English is what stands in the source; each `locales/XX.po` is one more language. It is compiled when it is first asked
for, so that a language can be added with a text editor. The language of the page being rendered is a context variable:
templates and filters take it from `current()`.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import date
from functools import cache, cached_property, lru_cache
from gettext import GNUTranslations, NullTranslations
from importlib.resources import files
from io import BytesIO

from babel import Locale
from babel.dates import DateTimePattern, parse_pattern
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from markupsafe import Markup

LANGUAGE_COOKIE = "aggregator_language"
MAX_HEADER_CHARS = 400
DATES_KEPT, TEXTS_KEPT = 4096, 4096  # in each language
ENGLISH = "en"
ALIASES = {"no": "nb", "nn": "nb"}
# What pages show of a date, in the shape that readers of English know; other languages have CLDR's.
ENGLISH_PATTERNS = {
    "day": "d MMM", "date": "d MMM y", "short": "E d MMM", "weekday": "EEEE d MMMM", "full": "EEEE d MMMM y",
}  # fmt: skip


@dataclass(frozen=True)
class Language:
    """One language: its code, its catalogue, and what CLDR knows of it."""

    code: str
    translations: NullTranslations
    locale: Locale

    @property
    def name(self) -> str:
        """Return the language's name in itself: `Deutsch`."""
        return str(self.locale.language_name or self.code).capitalize()

    @cached_property
    def texts(self) -> Mapping[str, str | list[str]]:
        """Return the translations of the scripts' texts, by the English text; several where number matters."""
        singular, plural = script_messages()
        gettext = self.translations.gettext
        forms = {one: [self.translations.ngettext(one, many, n) for n in self._examples] for one, many in plural}
        return {} if self.code == ENGLISH else {**{text: gettext(text) for text in singular}, **forms}

    @cached_property
    def _examples(self) -> list[int]:
        """Return a number for each plural category of whole numbers, in CLDR's order: what Intl.PluralRules names."""
        rule = self.locale.plural_form
        found = {rule(n): n for n in range(200, -1, -1)}
        return [found[one] for one in ("zero", "one", "two", "few", "many", "other") if one in found]

    @cached_property
    def markup(self) -> Callable[[str], Markup]:
        """Return what translates the texts of templates that take no values, and remembers them."""
        return lru_cache(TEXTS_KEPT)(lambda text: Markup(self.translations.gettext(text)) % {})  # noqa: S704 -- ours

    def day(self, day: date, shape: str) -> str:
        """Format a date in one of the shapes of ENGLISH_PATTERNS: `27 Feb`, `27. Feb.`."""
        return self._written(day, shape)

    @cached_property
    def _written(self) -> Callable[[date, str], str]:
        """Return what formats dates, and remembers them: a page has hundreds, of a few days."""
        return lru_cache(DATES_KEPT)(lambda day, shape: str(self._pattern(shape).apply(day, self.locale)))

    @cache  # noqa: B019 -- there are as many languages as files
    def _pattern(self, shape: str) -> DateTimePattern:
        if self.code == ENGLISH:
            return parse_pattern(ENGLISH_PATTERNS[shape])
        known = self.locale.datetime_skeletons
        if shape == "weekday":  # most languages have no skeleton of it: that of the short names, in full
            return parse_pattern(known["MMMEd"].pattern.replace("E", "EEEE").replace("MMM", "MMMM"))
        if shape == "full":
            return parse_pattern(self.locale.date_formats["full"].pattern)
        return parse_pattern(known[{"day": "MMMd", "date": "yMMMd", "short": "MMMEd"}[shape]])

    def number(self, number: int) -> str:
        """Format `1,234` as the language groups digits."""
        return f"{number:,}".replace(",", self._symbols["group"])

    def decimal(self, text: str) -> str:
        """Write the decimal sign of the language in a formatted number: `3.4`, `3,4`."""
        return text.replace(".", self._symbols["decimal"])

    @cached_property
    def _symbols(self) -> Mapping[str, str]:
        known = self.locale.number_symbols["latn"]
        return {name: str(known[name]) for name in ("group", "decimal")}


@cache
def codes() -> tuple[str, ...]:
    """Return the codes of the languages there are, English first."""
    names = (one.name for one in files("aggregator.web").joinpath("locales").iterdir())
    return (ENGLISH, *sorted(name.removesuffix(".po") for name in names if name.endswith(".po")))


@cache
def language(code: str) -> Language:
    """Return a language; its catalogue is compiled at the first call."""
    if code == ENGLISH:
        return Language(code, NullTranslations(), Locale(code))
    source = files("aggregator.web").joinpath("locales", f"{code}.po").read_bytes()
    compiled = BytesIO()
    write_mo(compiled, read_po(BytesIO(source), locale=code))
    compiled.seek(0)
    return Language(code, GNUTranslations(compiled), Locale.parse(code))


def languages() -> tuple[tuple[str, str], ...]:
    """Return code and name of every language, for a choice."""
    return tuple((code, str(Locale.parse(code).language_name or code).capitalize()) for code in codes())


def negotiate(chosen: str, accepted: str) -> Language:
    """Return the language that was chosen, else the first accepted one there is (RFC 9110, 12.5.4), else English."""
    if chosen in codes():
        return language(chosen)
    return next((language(code) for code in _accepted(accepted[:MAX_HEADER_CHARS])), language(ENGLISH))


def _accepted(header: str) -> Iterator[str]:
    weighed = []
    for place, part in enumerate(header.split(",")):
        tag, _, quality = part.strip().partition(";")
        try:
            weight = float(quality.strip().removeprefix("q=") or 1)
        except ValueError:
            weight = 0.0
        weighed.append((-weight, place, tag.strip().lower()))
    for weight, _, tag in sorted(weighed):
        base = tag.partition("-")[0]
        code = ALIASES.get(base, base)
        if weight < 0 and code in codes():
            yield code


_CURRENT: ContextVar[Language] = ContextVar("language")


def current() -> Language:
    """Return the language of the page being rendered; English outside of one."""
    return _CURRENT.get(None) or language(ENGLISH)


@contextmanager
def speaking(wanted: Language) -> Iterator[None]:
    """Make a language the current one."""
    token = _CURRENT.set(wanted)
    try:
        yield
    finally:
        _CURRENT.reset(token)


def gettext(text: str) -> str:
    """Translate a text."""
    return current().translations.gettext(text) if text else text  # "" is the catalogue's own head


def ngettext(one: str, many: str, number: int) -> str:
    """Translate a text that depends on a number."""
    return current().translations.ngettext(one, many, number)


def pgettext(context: str, text: str) -> str:
    """Translate a text that means something else elsewhere."""
    return current().translations.pgettext(context, text)


def npgettext(context: str, one: str, many: str, number: int) -> str:
    """Do both."""
    return current().translations.npgettext(context, one, many, number)


@cache
def script_messages() -> tuple[tuple[str, ...], tuple[tuple[str, str], ...]]:
    """Return the texts of the scripts: single ones, and pairs of singular and plural.

    Found as `t("…")` and `tn("…", "…", n)`.
    """
    from babel.messages.extract import extract_javascript

    single: dict[str, None] = {}
    plural: dict[tuple[str, str], None] = {}
    for script in sorted(files("aggregator.web").joinpath("static").iterdir(), key=lambda one: one.name):
        if not script.name.endswith(".js"):
            continue
        for _, name, messages, _ in extract_javascript(BytesIO(script.read_bytes()), {"t": None, "tn": None}, (), {}):
            if name == "t":
                single[messages if isinstance(messages, str) else messages[0]] = None
            else:
                plural[messages[0], messages[1]] = None
    return tuple(single), tuple(plural)
