"""A configuration that has not changed since a pass loaded it, as far as that pass noted it.

To read, check and compile feeds and rules by the thousand takes longer than to ask their servers whether anything is
new; and where nothing is, addresses and intervals are all that is needed. The rest is asked of the whole configuration,
which is then loaded, once: for the first new entry, the first notice, the first secret.
"""

import os
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import msgspec

from aggregator.core.model import FEED, FeedState, Reading

if TYPE_CHECKING:
    from aggregator.config import Loaded
    from aggregator.core.redaction import Redactor
    from aggregator.core.rules import Document, Rule, RuleMatch
    from aggregator.core.rules.postings import Postings
    from aggregator.core.settings import RuleConfig
    from aggregator.pipeline.context import ActiveConfig


class Known:
    """Values by their names; what is not among them is asked of the whole of which they are a part."""

    def __init__(self, values: Mapping[str, Any], whole: Callable[[], Any]) -> None:
        self.__dict__.update(values)
        self._whole = whole

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        return getattr(self._whole(), name)


class NotedFilter(msgspec.Struct, frozen=True):
    """`feeds` of a rule, as in its model."""

    tags: tuple[str, ...] = ()
    ids: tuple[str, ...] = ()
    not_ids: tuple[str, ...] = ()
    not_tags: tuple[str, ...] = ()


class NotedNear(msgspec.Struct, frozen=True):
    """`near` of a rule, as in its model."""

    terms: tuple[str, ...]
    within: int = 10
    ordered: bool = False


class NotedRule(msgspec.Struct, frozen=True):
    """What a rule matches, as it is written: of its model what the compiler reads, without the models' library."""

    id: str
    title: str = ""
    any: tuple[str, ...] = ()
    all: tuple[str, ...] = ()
    none: tuple[str, ...] = ()
    near: tuple[NotedNear, ...] = ()
    query: str | None = None
    regex: tuple[str, ...] = ()
    in_: tuple[str, ...] = ("title", "summary", "content")
    case: str = "fold"
    stem: bool = False
    translit: bool = False
    inflect: bool = False
    feeds: NotedFilter = NotedFilter()
    lang: tuple[str, ...] = ()

    @classmethod
    def of(cls, rule: "RuleConfig") -> dict[str, Any]:
        """Return what differs from a rule of which nothing is written."""
        return rule.model_dump(include={*cls.__struct_fields__}, exclude_defaults=True)


class NotedRules(NamedTuple):
    """What a pass noted of its enabled rules: their keys and, by id and in order, what they match.

    `lists` are those that the rules use.
    """

    postings: "Postings"
    rules: Mapping[str, msgspec.Raw]
    lists: Mapping[str, tuple[str, ...]]

    def rule(self, rule_id: str) -> "Rule":
        """Compile a rule, which matches what the real one does; nothing else is known of it."""
        from aggregator.core.rules import compile_rule

        noted = msgspec.msgpack.decode(self.rules[rule_id], type=NotedRule)
        return compile_rule(cast("RuleConfig", noted), self.lists)


class KnownIndex:
    """The index of rules that are not at hand: of most entries, their postings say that no rule can match them.

    `noted` returns what is known of all enabled rules; None: nobody noted it.
    """

    def __init__(self, noted: Callable[[], NotedRules | None], whole: "Callable[[], ActiveConfig]") -> None:
        self._noted = cache(noted)
        self._whole = whole
        self._compiled: dict[str, Rule] = {}
        self._places: dict[str, int] = {}  # of all rules, in their order
        self._built = False

    @property
    def postings(self) -> "Postings | None":
        """The postings that were not known before, if an index was built."""
        return self._whole().index.postings if self._built else None

    def match(self, document: "Document") -> "tuple[RuleMatch, ...]":
        """Return every rule that `document` matches, in the order of the rules. Raises ConfigErrors."""
        if (noted := self._noted()) is None:
            self._built = True
            return self._whole().index.match(document)
        from aggregator.core.rules.entry_document import DocumentWords

        fields = noted.postings.fields
        candidates = noted.postings.candidates(DocumentWords(document, fields))
        if not candidates:
            return ()
        from aggregator.core.rules.index import matches
        from aggregator.core.rules.match_context import MatchContext

        if not self._places:
            self._places = {rule_id: place for place, rule_id in enumerate(noted.rules)}
        ordered = sorted(candidates, key=self._places.__getitem__)
        return matches([self._rule(noted, rule_id) for rule_id in ordered], MatchContext(document, fields))

    def _rule(self, noted: NotedRules, rule_id: str) -> "Rule":
        if (rule := self._compiled.get(rule_id)) is None:
            rule = self._compiled[rule_id] = noted.rule(rule_id)
        return rule


class KnownConfig:
    """The configuration of `texts`, of which `values` are known (see `plain_values`), and what its rules match.

    Both what is loaded and what is active look like the real ones. Either raises ConfigErrors where something is asked
    that is not known, and the whole cannot be loaded any more.
    """

    def __init__(
        self,
        path: Path,
        texts: Mapping[Path, str],
        values: Mapping[str, Any],
        database: str,
        rules: Callable[[], NotedRules | None],
    ) -> None:
        self._path, self._texts, self._rules = path, texts, rules
        self._secrets_found: Callable[[frozenset[str]], object] = lambda _: None
        self._whole_loaded = cache(self._load)
        self._whole_active = cache(self._activate)
        whole = self._whole_loaded
        sections = {
            name: Known(_immutable(section), lambda name=name: getattr(whole().config.settings, name))  # type: ignore[misc]
            for name, section in values["sections"].items()
        }
        address = SimpleNamespace(get_secret_value=lambda: database)
        settings = Known({**sections, "database": address}, lambda: whole().config.settings)
        self._config = Known({"settings": settings}, lambda: whole().config)
        usual = _immutable(values["usual"]) | {"reading": FEED}
        self.feeds = {name: self._feed(name, row, usual) for name, row in values["feeds"].items()}

    def loaded(self) -> "Loaded":
        known = {"config": self._config, "secrets": frozenset(), "faults": (), "fetched": ()}
        return cast("Loaded", Known(known, self._whole_loaded))

    def active(self, redact: "Redactor") -> "ActiveConfig":
        """Return what the pipeline reads; `redact` is given the secrets of the whole once that is loaded."""
        self._secrets_found = redact.set_secrets

        def feed(state: FeedState) -> Known | None:
            return self.feeds.get(state.id)

        known = {
            "config": self._config,
            "feeds": self.feeds,
            "feed": feed,
            "index": KnownIndex(self._rules, self._whole_active),
            "number": 0,
            "since": None,
        }
        return cast("ActiveConfig", Known(known, self._whole_active))

    def _feed(self, name: str, row: Mapping[str, Any] | None, usual: Mapping[str, Any]) -> Known:
        def whole() -> Any:
            return self._whole_active().feeds[name]

        if row is None:
            return Known({"id": name}, whole)
        values = {**usual, **_immutable(row)}
        if "reading" in row:  # and `select`, which is a part of it, is asked of the whole
            kind, select, ignore, senders = row["reading"]
            values["reading"] = Reading(
                kind=kind, select=tuple(map(tuple, select)), ignore=tuple(ignore), senders=tuple(senders)
            )
            if select:
                del values["select"]
        return Known(values, whole)

    def _load(self) -> "Loaded":
        from aggregator.app.usable import require_usable
        from aggregator.config import load

        loaded = load(self._path, os.environ, edited=self._texts, known=True)
        require_usable(loaded, before=loaded)  # its rules have passed their tests
        self._secrets_found(loaded.secrets)
        return loaded

    def _activate(self) -> "ActiveConfig":
        from aggregator.notify import recipients
        from aggregator.pipeline.context import activate

        loaded = self._whole_loaded()
        return activate(loaded.config, loaded.rules, loaded.digest, recipients=recipients)


def _immutable(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values with the tuples that JSON does not know."""
    return {name: tuple(value) if isinstance(value, list) else value for name, value in values.items()}
