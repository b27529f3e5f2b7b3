"""The query line: text to tree and back.

    or   := and (OR and)*            and  := unary ((AND)? unary)*        unary := (NOT | '-') unary | near
    near := atom ((NEAR | ONEAR)[/n] atom)*        n counts words, default 10; ONEAR keeps the order
    atom := '(' or ')' | field ':' atom | '$'list | "phrase" | "phrase"~n | word | word* | /regex/
             | 'exact spelling'c | 'inflected name'i

parse_query(print_query(tree)) == tree. Operators only in capitals.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

from aggregator.core.errors import InvalidRule, Problem
from aggregator.core.rules.lexer import Lexeme, lex, needs_no_quotes
from aggregator.core.rules.syntax_tree import (
    NEAR_WORDS,
    And,
    FieldScope,
    ListRef,
    Near,
    Node,
    Not,
    Or,
    Regex,
    SloppyPhrase,
    Term,
)

MAX_DEPTH = 50
MAX_QUERY = 20_000  # code points
MAX_SHOWN = 200  # of a query in a warning


def parse_query(text: str, warnings: list[Problem] | None = None, places: dict[int, int] | None = None) -> Node:
    """Parse a query line. Raises InvalidRule with the offset of the character that is wrong.

    What is legal but surely not meant (a lower-case `or`) is appended to `warnings`; `places` receives
    the start of each node, by its id().
    """
    if len(text) > MAX_QUERY:
        raise failure(f"the query is longer than {MAX_QUERY} characters", MAX_QUERY, "use lists, or several rules")
    lexemes, doubts = lex(text)
    if warnings is not None:
        warnings += doubts
    parser = _Parser(lexemes, len(text), {} if places is None else places)
    tree = parser.parse()
    if warnings is not None:
        warnings += parser.doubts
    return tree


def print_query(node: Node) -> str:
    """Print a query line that parses back to `node`."""
    match node:
        case Or(children):
            return " OR ".join(_wrapped(child, Or, And) for child in children)
        case And(children):
            return " AND ".join(_wrapped(child, Or, And) for child in children)
        case Not(child):
            return f"NOT {_wrapped(child, Or, And)}"
        case Near(children, within, ordered):
            word = "ONEAR" if ordered else "NEAR"
            return f" {word}/{within} ".join(_wrapped(child, Or, And, Not, Near) for child in children)
        case FieldScope(field, Regex(pattern)) if pattern[:1].isspace() or pattern[:1] in "/\\":  # else a stray slash
            return f"{field}:({print_query(Regex(pattern))})"
        case FieldScope(field, child):
            return f"{field}:{_wrapped(child, Or, And, Not, Near)}"
        case Term(text, exact=True):
            return "'" + _escaped(text, "'") + "'c"
        case Term(text, inflect=True):
            return "'" + _escaped(text, "'") + "'i"
        case Term(text):
            return text if needs_no_quotes(text) else _quoted(text)
        case SloppyPhrase(text, extra):
            return f"{_quoted(text)}~{extra}"
        case ListRef(name):
            return f"${name}"
        case Regex(pattern):
            return "/" + pattern.replace("/", "\\/") + "/"


def failure(message: str, offset: int, hint: str | None = None) -> InvalidRule:
    """Build an error at one character of a query."""
    return InvalidRule("query", [Problem(path=(), message=message, hint=hint, offset=offset)])


def _two_readings(groups: list[list[Node]], offset: int) -> Problem:
    """Warn about OR beside AND without brackets, showing both meanings."""
    ours = print_query(Or(tuple(group[0] if len(group) == 1 else And(tuple(group)) for group in groups)))
    choices: list[list[Node]] = []
    for group in groups:
        choices[-1:] = [[*choices[-1], group[0]]] if choices else [[group[0]]]
        choices += [[node] for node in group[1:]]
    theirs = print_query(And(tuple(each[0] if len(each) == 1 else Or(tuple(each)) for each in choices)))
    return Problem(
        path=(),
        message=f"OR mixed with AND, NOT or a space, without brackets, is read as {_shortened(ours)}",
        hint=f"add brackets; if OR should bind first, as in Google Alerts: {_shortened(theirs)}",
        offset=offset,
        severity="warning",
    )


def _shortened(query: str) -> str:
    return query if len(query) <= MAX_SHOWN else query[:MAX_SHOWN].rstrip() + "…"


def _wrapped(child: Node, *looser: type) -> str:
    printed = print_query(child)
    return f"({printed})" if isinstance(child, looser) else printed


def _quoted(text: str) -> str:
    return '"' + _escaped(text, '"') + '"'


def _escaped(text: str, quote: str) -> str:
    return text.replace("\\", "\\\\").replace(quote, "\\" + quote)


@dataclass(slots=True)
class _Parser:
    lexemes: list[Lexeme]
    end: int
    places: dict[int, int]
    at: int = 0
    depth: int = 0
    doubts: list[Problem] = field(default_factory=list)

    def parse(self) -> Node:
        if not self.lexemes:
            raise failure("the query is empty", 0, "write a word to search for")
        tree = self._or()
        left = self._peek()
        if left:
            raise failure("this closing parenthesis was never opened", left.offset, "remove it, or add the opening one")
        return tree

    def _peek(self, *kinds: str) -> Lexeme | None:
        if self.at < len(self.lexemes):
            lexeme = self.lexemes[self.at]
            if not kinds or lexeme.kind in kinds:
                return lexeme
        return None

    def _take(self, *kinds: str) -> Lexeme | None:
        lexeme = self._peek(*kinds)
        if lexeme:
            self.at += 1
        return lexeme

    def _placed(self, node: Node, offset: int) -> Node:
        self.places.setdefault(id(node), offset)
        return node

    def _offset(self) -> int:
        return self.lexemes[self.at].offset if self.at < len(self.lexemes) else self.end

    def _or(self) -> Node:
        start = self._offset()
        groups, joint = [self._group_of_and()], self._peek("OR")
        while self._take("OR"):
            groups.append(self._group_of_and())
        children = [self._joined(group, offset) for group, offset in groups]
        if len(children) == 1:
            return children[0]
        refused = any(isinstance(child, Not) for child in children)  # a OR NOT b would match almost everything
        if joint and any(len(group) > 1 for group, _ in groups) and not refused:
            self.doubts.append(_two_readings([group for group, _ in groups], joint.offset))
        return self._placed(Or(tuple(children)), start)

    def _group_of_and(self) -> tuple[list[Node], int]:
        """Parse what AND joins up to the next OR; return its start, too."""
        start = self._offset()
        children = [self._unary()]
        while self._take("AND") or self._peek(
            "NOT", "(", "field", "list", "phrase", "word", "regex", "exact", "inflected"
        ):
            children.append(self._unary())
        return children, start

    def _joined(self, children: list[Node], start: int) -> Node:
        return children[0] if len(children) == 1 else self._placed(And(tuple(children)), start)

    def _unary(self) -> Node:
        start, negations = self._offset(), 0
        while self._take("NOT"):
            negations += 1
        if negations > MAX_DEPTH:
            raise failure("too many NOTs", self.lexemes[self.at - 1].offset)
        node = self._near()
        for _ in range(negations):
            node = self._placed(Not(node), start)
        return node

    def _near(self) -> Node:
        start = self._offset()
        node = self._atom()
        run: tuple[int, bool] | None = None
        while operator := self._take("NEAR"):
            within, ordered = operator.number or NEAR_WORDS, operator.text == "ONEAR"
            right = self._atom()
            if run == (within, ordered) and isinstance(node, Near):
                node = Near((*node.children, right), within, ordered)
            else:
                node = Near((node, right), within, ordered)
            self._placed(node, start)
            run = (within, ordered)
        return node

    def _atom(self) -> Node:
        start = self._offset()
        return self._placed(self._bare_atom(), start)

    def _bare_atom(self) -> Node:
        lexeme = self._take()
        if lexeme is None:
            raise failure("unexpected end of query", self.end, "write a word, a phrase or '('")
        match lexeme.kind:
            case "(":
                return self._group(lexeme)
            case "field":
                if self._peek("AND", "OR", "NOT", "NEAR", ")") or not self._peek():
                    raise failure(f"no search term after {lexeme.text}:", lexeme.offset, f"write {lexeme.text}:word")
                return FieldScope(lexeme.text, self._nested(self._atom, lexeme))
            case "list":
                return ListRef(lexeme.text)
            case "phrase":
                return Term(lexeme.text) if lexeme.number is None else SloppyPhrase(lexeme.text, lexeme.number)
            case "word":
                return Term(lexeme.text)
            case "exact":
                return Term(lexeme.text, exact=True)
            case "inflected":
                return Term(lexeme.text, inflect=True)
            case "regex":
                return Regex(lexeme.text)
        expected = "a word, a phrase or '('"
        before = self.lexemes[self.at - 2].kind if self.at > 1 else ""
        if {before, lexeme.kind} == {"NOT", "NEAR"}:
            raise failure("NOT cannot be an operand of NEAR", lexeme.offset, "write a NOT (a NEAR/5 b)")
        if lexeme.kind == ")":
            raise failure(f"unexpected parenthesis; expected {expected}", lexeme.offset)
        raise failure(
            f"unexpected {lexeme.text}; expected {expected}",
            lexeme.offset,
            f'to search for the word itself, write "{lexeme.text}"',
        )

    def _group(self, opening: Lexeme) -> Node:
        if self._peek(")"):
            raise failure("these parentheses are empty", opening.offset, "put terms inside them, or remove them")
        node = self._nested(self._or, opening)
        if not self._take(")"):
            raise failure("this parenthesis is never closed", opening.offset, "add ) where the group ends")
        return node

    def _nested(self, inner: Callable[[], Node], opening: Lexeme) -> Node:
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise failure(f"more than {MAX_DEPTH} levels of nesting", opening.offset, "use lists, or several rules")
        node = inner()
        self.depth -= 1
        return node
