"""Compilation of a rule as written into one that can be matched against documents."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Literal, TypeGuard

from aggregator.core.errors import InvalidRule, Problem
from aggregator.core.rules import foreign_syntax
from aggregator.core.rules.atoms import BadTerm
from aggregator.core.rules.clauses import (
    MAX_NEAR,
    AndClause,
    Clause,
    NearClause,
    NotClause,
    OrClause,
    PositionedClause,
    RegexClause,
    TermClause,
    fields_of,
    term_clauses,
)
from aggregator.core.rules.entry_document import Document
from aggregator.core.rules.items import MAX_TERM, Spelling, item, item_body
from aggregator.core.rules.match_context import MatchContext
from aggregator.core.rules.query_parser import parse_query, print_query
from aggregator.core.rules.regex import BadPattern, pattern
from aggregator.core.rules.syntax_tree import And, FieldScope, ListRef, Near, Node, Not, Or, Regex, SloppyPhrase, Term
from aggregator.core.text.fold import drop_invisible
from aggregator.core.text.language import has_stemmer, language, stemmed_script
from aggregator.core.text.language_codes import suggest_code
from aggregator.core.text.tokens import token_texts

if TYPE_CHECKING:  # models take longer to load than a few rules to compile
    from aggregator.core.settings import RuleConfig

MAX_TERMS = 20_000  # of one rule, lists filled in
ALL_FIELDS = ("title", "summary", "content", "author", "category", "link")

Lists = Mapping[str, tuple[str, ...]]
Path = tuple[str | int, ...]
_COMPILED = ("tree", "plan", "warnings", "fields", "terms", "lists")


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """A compiled rule. `version` is a digest of what it matches: title, channels and rhythm do not change it.

    One that `compile_later` made is compiled when something asks for what only that can tell.
    """

    id: str
    title: str
    config: "RuleConfig"
    tree: Node
    plan: Clause
    version: str = field(init=False, repr=False, compare=False)
    warnings: tuple[Problem, ...] = ()
    fields: frozenset[str] = frozenset()
    langs: frozenset[str] = frozenset()
    terms: int = 0
    lists: tuple[tuple[str, tuple[str, ...]], ...] = ()
    is_filtered: bool = field(init=False, repr=False, compare=False)  # by feed or language
    _later: Lists | None = field(default=None, init=False, repr=False, compare=False)  # what to compile it with

    def __post_init__(self) -> None:
        feeds = self.config.feeds
        filters = (feeds.ids, feeds.tags, feeds.not_ids, feeds.not_tags, self.langs)
        object.__setattr__(self, "is_filtered", any(filters))

    def __getattr__(self, name: str) -> Any:
        # Reached while the slot is empty: only rules that are compared with others need a version.
        if name == "version":
            object.__setattr__(self, name, _version(self.config, self.tree, self.lists))
        elif name in _COMPILED:
            compiled = compile_rule(self.config, self._later or {})
            for part in _COMPILED:
                object.__setattr__(self, part, getattr(compiled, part))
        else:
            raise AttributeError(name)
        return object.__getattribute__(self, name)

    def admits(self, document: Document, context: MatchContext) -> bool:
        """Tell whether a document's feed and language pass the rule's filters."""
        if not self.is_filtered:
            return True
        feeds = self.config.feeds
        if feeds.ids and document.feed not in feeds.ids:
            return False
        if feeds.tags and not set(feeds.tags) & set(document.feed_tags):
            return False
        if document.feed in feeds.not_ids or set(feeds.not_tags) & set(document.feed_tags):
            return False
        return not self.langs or any(context.may_be(lang) for lang in self.langs)


def compile_rule(config: "RuleConfig", lists: Lists) -> Rule:
    """Compile `config` with its named lists. Raises InvalidRule with every problem found."""
    work = _Compilation(config, lists)
    tree = work.tree()
    plan = work.plan(tree) if tree is not None else None
    errors = [problem for problem in work.problems if problem.severity == "error"]
    if errors or tree is None or plan is None:
        raise InvalidRule(config.id, work.problems)
    return Rule(
        id=config.id,
        title=config.title or config.id,
        config=config,
        tree=tree,
        plan=plan,
        warnings=tuple(work.problems),
        fields=frozenset(fields_of(plan)),
        langs=_langs(config),
        terms=work.terms,
        lists=tuple(work.used.items()),
    )


def compile_later(config: "RuleConfig", lists: Lists) -> Rule:
    """Return a rule that is known to compile, and does so when it is needed: most of many never are."""
    rule = object.__new__(Rule)
    known = {"id": config.id, "title": config.title or config.id, "config": config, "langs": _langs(config)}
    for name, value in {**known, "_later": lists}.items():
        object.__setattr__(rule, name, value)
    rule.__post_init__()
    return rule


def _langs(config: "RuleConfig") -> frozenset[str]:
    return frozenset(map(language, config.lang))


def recompile(
    configs: "Iterable[RuleConfig]", lists: Lists, before: Mapping[str, Rule]
) -> tuple[list[Rule], list[InvalidRule]]:
    """Compile `configs`, reusing rules of `before` if nothing they depend on has changed; return the failures, too."""
    rules: list[Rule] = []
    failures: list[InvalidRule] = []
    for config in configs:
        old = before.get(config.id)
        if old is not None and old.config == config and all(lists.get(name) == terms for name, terms in old.lists):
            rules.append(old)
            continue
        try:
            rules.append(compile_rule(config, lists))
        except InvalidRule as error:
            failures.append(error)
    return rules, failures


def rule_for_query(query: str, lists: Lists | None = None) -> Rule:
    """Compile a rule from a query that searches every field. Raises InvalidRule."""
    from aggregator.core.settings import RuleConfig

    return compile_rule(RuleConfig.model_validate({"id": "query", "query": query, "in": ALL_FIELDS}), lists or {})


def _version(config: "RuleConfig", tree: Node, used: Iterable[tuple[str, tuple[str, ...]]]) -> str:
    feeds = config.feeds
    matters = (
        tree, sorted(used), config.in_, config.case, config.stem, config.translit, config.inflect,
        sorted(feeds.tags), sorted(feeds.ids), sorted(feeds.not_ids), sorted(feeds.not_tags), sorted(config.lang),
    )  # fmt: skip
    return sha256(repr(matters).encode()).hexdigest()[:16]


class _Compilation:
    """The compilation of one rule: its problems, the lists it used, and the current place in the rule."""

    def __init__(self, config: "RuleConfig", lists: Lists) -> None:
        self.config = config
        self.lists = lists
        self.problems: list[Problem] = []
        self.used: dict[str, tuple[str, ...]] = {}
        self.terms = 0
        self._origin: dict[int, Path] = {}  # id of a node → where it was written
        self._path: Path = ()
        self._offsets: dict[int, int] = {}  # id of a node → where it starts in the query
        self._offset: int | None = None
        self._negated = False  # under a NOT: an unknown language excludes nothing

    # --- the tree -------------------------------------------------------------------------------

    def tree(self) -> Node | None:
        """Return one boolean tree of all of the rule's keys, joined with AND."""
        config = self.config
        for index, tag in enumerate(config.lang):
            self._language(tag, ("lang", index))
        parts: list[Node] = []
        if config.any:
            parts.append(_joined(Or, self._terms("any", config.any)))
        parts += self._terms("all", config.all)
        for index, near in enumerate(config.near):
            terms = tuple(self._term(text, ("near", index, "terms", k)) for k, text in enumerate(near.terms))
            parts.append(self._at(Near(terms, near.within, near.ordered), ("near", index)))
        if config.query is not None:
            parts += self._query(config.query)
        if config.regex:
            parts.append(_joined(Or, [self._at(Regex(p), ("regex", k)) for k, p in enumerate(config.regex)]))
        if not parts:
            if not self.problems:
                self._refuse_empty()
            return None
        if config.none:
            parts.append(self._at(Not(_joined(Or, self._terms("none", config.none))), ("none",)))
        return parts[0] if len(parts) == 1 else And(tuple(parts))

    def _refuse_empty(self) -> None:
        if self.config.none:
            self._problem("a rule that only excludes would match almost everything", "add any: or all:", ("none",))
        else:
            self._problem("the rule has no terms", "add for example any: [CAATSA]", ())

    def _terms(self, key: str, texts: tuple[str, ...]) -> list[Node]:
        return [self._term(text, (key, index)) for index, text in enumerate(texts)]

    def _term(self, text: str, path: Path) -> Node:
        """Parse a list item, with a warning if it looks like something else."""
        if text.isalpha() and text == drop_invisible(text):  # a single word can look like nothing else
            return self._at(Term(text), path)
        node = item(text)
        if (
            isinstance(node, Term)
            and node.text == (body := item_body(text))
            and (syntax := foreign_syntax.advise_item(body))
        ):
            self._problem(syntax.message, syntax.hint, path, severity=syntax.severity)
        return self._at(node, path)

    def _query(self, query: str) -> list[Node]:
        warnings: list[Problem] = []
        try:
            node = parse_query(query, warnings, self._offsets)
        except InvalidRule as error:
            warnings += error.problems
            node = None
        for problem in warnings:
            self._problem(problem.message, problem.hint, ("query",), problem.offset, problem.severity)
        return [self._at(node, ("query",))] if node is not None else []

    def _at(self, node: Node, path: Path) -> Node:
        self._origin[id(node)] = path
        return node

    def _warn_of_stems(self, plan: Clause) -> None:
        """Warn of languages without a stemmer."""
        langs = [language(tag) for tag in self.config.lang]
        unknown = [lang for lang in langs if not has_stemmer(lang)]
        missing = f"stem: knows no endings of {' and '.join(unknown)}" if unknown else ""
        other = (clause.label for clause in term_clauses(plan) if clause.stems and not stemmed_script(clause.label))
        if not langs and (label := next(other, None)):
            missing = f"stem: knows no endings of the language of {label!r}"
        if missing:
            hint = "write the beginning of the word and a star, or list its forms"
            self._problem(f"{missing}, so only the words themselves are found", hint, ("stem",), severity="warning")

    # --- the plan -------------------------------------------------------------------------------

    def plan(self, tree: Node) -> Clause | None:
        """Return the evaluable form of a tree; None if problems were found."""
        before = len(self.problems)
        clause = self._clause(tree, self.config.in_)
        if len([p for p in self.problems[before:] if p.severity == "error"]) or clause is None:
            return None
        loose = _only_excludes(clause)
        if self.config.stem:
            self._warn_of_stems(clause)
        if loose is not None:
            self._problem(
                "this part only excludes, so it would match almost everything",
                "combine NOT with something that must occur: a AND NOT b",
                ("query",) if self.config.query else (),
                self._offsets.get(id(loose)),
            )
            return None
        return clause

    def _clause(self, node: Node, fields: tuple[str, ...]) -> Clause | None:
        outer = self._path, self._offset
        self._path = self._origin.get(id(node), self._path)
        self._offset = self._offsets.get(id(node), None if id(node) in self._origin else self._offset)
        try:
            return self._made(node, fields)
        except BadTerm as error:
            self._problem(str(error), error.hint, self._path, self._offset)
        except BadPattern as error:
            inside = None if error.offset is None else error.offset + (0 if self._offset is None else self._offset + 1)
            self._problem(str(error), error.hint, self._path, self._offset if inside is None else inside)
        finally:
            self._path, self._offset = outer
        return None

    def _made(self, node: Node, fields: tuple[str, ...]) -> Clause | None:
        match node:
            case Term(tag) if fields == ("lang",):
                return self._spoken(tag, fields) if self._language(tag, self._path) else None
            case Term(_, exact):
                return self._seek(node, exact, fields)
            case SloppyPhrase():
                return self._slop(node, fields)
            case ListRef():
                return self._listed(node, fields)
            case Regex():
                return self._fit(node, fields)
            case FieldScope(field_name, child):
                return self._clause(child, (field_name,))
            case Not(child):
                self._negated = not self._negated
                inner = self._clause(child, fields)
                self._negated = not self._negated
                return inner and NotClause(node, inner)
            case And(children):
                return self._several(AndClause, node, children, fields)
            case Or(children):
                return self._several(OrClause, node, children, fields)
            case Near():
                return self._near(node, fields)

    def _several(
        self, kind: type[AndClause] | type[OrClause], node: Node, children: tuple[Node, ...], fields: tuple[str, ...]
    ) -> Clause | None:
        made = [self._clause(child, fields) for child in children]
        return kind(node, tuple(clause for clause in made if clause)) if all(made) else None

    def _seek(self, node: Term, exact: bool, fields: tuple[str, ...]) -> TermClause:
        text = node.text
        self.terms += 1
        if self.terms > MAX_TERMS:
            raise BadTerm(f"more than {MAX_TERMS} terms in one rule", "split the rule")
        if syntax := foreign_syntax.advise_term(text):
            raise BadTerm(syntax.message, syntax.hint)
        if len(text) > MAX_TERM:
            raise BadTerm(f"a term of more than {MAX_TERM} characters", "use only the words that matter")
        exact = exact or self.config.case == "exact"
        stems = tuple(token_texts(text)) if self.config.stem and not text.rstrip().endswith("*") else ()
        inflect = (node.inflect or self.config.inflect) and not exact and not text.rstrip().endswith("*")
        spelling = Spelling(text, exact, self.config.translit, inflect)
        spelling.check()
        return TermClause(node, text, spelling, fields, stems)

    def _spoken(self, tag: str, fields: tuple[str, ...]) -> TermClause:
        clause = self._seek(Term(language(tag)), False, fields)
        return clause if self._negated else replace(clause, lang=clause.label)

    def _fit(self, node: Regex, fields: tuple[str, ...]) -> RegexClause:
        made = pattern(drop_invisible(node.pattern).strip("\u200c"), self.config.case == "exact")
        if syntax := foreign_syntax.of_pattern(node.pattern):
            inside = self._offset + 1 if self._offset is not None else 0
            self._problem(syntax.message, syntax.hint, self._path, inside + syntax.at, syntax.severity)
        return RegexClause(node, f"/{node.pattern}/", made, fields)

    def _slop(self, node: SloppyPhrase, fields: tuple[str, ...]) -> Clause:
        parts = tuple(self._seek(Term(word), False, fields) for word in node.text.split())
        return parts[0] if len(parts) == 1 else NearClause(node, parts, node.extra, True, fields, total=True)

    def _listed(self, node: ListRef, fields: tuple[str, ...]) -> Clause | None:
        terms = self._list(node.name, ())
        if not terms:
            hint = "add terms; one with a url is fetched by `aggregator run`, `poll` or `lists fetch`"
            message = f"the list ${node.name} is empty, so it matches nothing"
            self._problem(message, hint, self._path, self._offset, severity="warning")
        made = [self._clause(term, fields) for term in terms]
        whole = tuple(clause for clause in made if clause)
        return None if len(whole) < len(made) else whole[0] if len(whole) == 1 else OrClause(node, whole)

    def _list(self, name: str, above: tuple[str, ...]) -> list[Term]:
        """Return the terms of a list, including those of the lists in it."""
        if name in above:
            raise BadTerm(f"the list ${name} contains itself: {' → '.join((*above, name))}")
        if name not in self.lists:
            near = get_close_matches(name, self.lists, n=1)
            add = f"add it under lists:, or write '\"${name}\"' for the text itself"
            raise BadTerm(f"no list named ${name}", f"did you mean ${near[0]}?" if near else add)
        self.used[name] = self.lists[name]
        terms: list[Term] = []
        for index, text in enumerate(self.lists[name]):
            match self._term(text, ("lists", name, index)):
                case ListRef(inner):
                    terms += self._list(inner, (*above, name))
                case Term() as term:
                    terms.append(term)
        return terms

    def _language(self, tag: str, path: Path) -> bool:
        """Check that a language has this code; otherwise no entry could ever have it, which is an error."""
        code = suggest_code(tag)
        if code is not None:
            hint = f"write {code}" if code else "languages have two letters (ISO 639-1): en, de, tr, ru, ar, zh, …"
            self._problem(f"no language has the code {tag!r}", hint, path, self._offset)
        return code is None

    def _near(self, node: Near, fields: tuple[str, ...]) -> Clause | None:
        if len(node.children) < 2:
            raise BadTerm("near needs at least two terms", "near: {terms: [S-400, sanction*], within: 12}")
        if len(node.children) > MAX_NEAR and not node.ordered:
            raise BadTerm(f"near takes at most {MAX_NEAR} terms in any order", "use ordered: true, or fewer terms")
        made: list[PositionedClause] = []
        for child in node.children:
            clause = self._clause(child, fields)
            if clause is None:
                return None
            if not _is_placed(clause):
                hint = "NEAR joins words, phrases, lists and OR-groups of them"
                if isinstance(child, And):
                    hint = "write a NEAR/5 c AND b NEAR/5 c for (a AND b) NEAR/5 c"
                raise BadTerm(f"{print_query(child)} cannot be an operand of NEAR", hint)
            made.append(clause)
        return NearClause(node, tuple(made), node.within, node.ordered, fields)

    def _problem(
        self,
        message: str,
        hint: str | None,
        path: Path,
        offset: int | None = None,
        severity: Literal["error", "warning"] = "error",
    ) -> None:
        self.problems.append(Problem(path=path, message=message, hint=hint, offset=offset, severity=severity))


def _joined(kind: Callable[[tuple[Node, ...]], Node], nodes: list[Node]) -> Node:
    return nodes[0] if len(nodes) == 1 else kind(tuple(nodes))


def _is_placed(clause: Clause) -> TypeGuard[PositionedClause]:
    return isinstance(clause, TermClause | NearClause) or (
        isinstance(clause, OrClause) and all(map(_is_placed, clause.children))
    )


def _only_excludes(clause: Clause) -> Node | None:
    """Return the part of a clause that matches documents with none of its terms, if there is one."""
    match clause:
        case NotClause():
            return clause.node
        case AndClause():
            loose = [_only_excludes(child) for child in clause.children]
            return loose[0] if all(loose) else None
        case OrClause():
            return next((node for child in clause.children if (node := _only_excludes(child))), None)
    return None
