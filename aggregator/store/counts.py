"""What triggers have counted: no table is read to say how many rows it has, which would take longer every day."""

from collections.abc import Iterable, Iterator, Sequence

from sqlalchemy import ColumnElement, Connection, delete, func, insert, select, true

from aggregator.core.model import HitState, RuleStats
from aggregator.store.dialect import Dialect
from aggregator.store.schema import counts, deliveries, entries, hits

TOTAL = func.sum(counts.c.n)


def count_each(
    connection: Connection, dialect: Dialect, kind: str, names: Sequence[str] | None = None
) -> dict[str, int]:
    """Return how many there are, by name (of feeds: kinds "entries" and "hits"; of states: "deliveries")."""
    query = select(counts.c.name, TOTAL).where(counts.c.kind == kind).group_by(counts.c.name)
    if names is None:
        return {name: int(n) for name, n in connection.execute(query) if n}
    found = connection.execute(query.where(dialect.is_in(counts.c.name, "names")), {"names": dialect.list_param(names)})
    return {name: int(n) for name, n in found if n}


def count_all(connection: Connection, kind: str) -> int:
    """Return how many there are of one kind."""
    return int(connection.execute(select(func.coalesce(TOTAL, 0)).where(counts.c.kind == kind)).scalar_one())


def count_hits(connection: Connection, names: Iterable[str] | None) -> list[RuleStats]:
    """Return of each rule that has hits how many of each sort, in the order of their ids."""
    among: ColumnElement[bool] = true() if names is None else counts.c.name.in_(list(names))
    query = select(counts.c.name, counts.c.part, TOTAL).where(counts.c.kind == "rule", among)
    of_rule: dict[str, dict[tuple[str, str, str], int]] = {}
    for name, part, n in connection.execute(query.group_by(counts.c.name, counts.c.part)):
        state, mark, split = part.split("/")
        of_rule.setdefault(name, {})[state, mark, split] = int(n)
    return [_figures(rule, parts) for rule, parts in sorted(of_rule.items()) if any(parts.values())]


def _figures(rule: str, parts: dict[tuple[str, str, str], int]) -> RuleStats:
    def having(word: str, place: int) -> int:
        return sum(n for part, n in parts.items() if part[place] == word)

    undone = having("split", 2)
    return RuleStats(
        rule=rule,
        hits=sum(parts.values()),
        alerts=having(HitState.ALERTED.value, 0),
        folded=having(HitState.FOLDED.value, 0) + undone,
        undone=undone,
        relevant=having("relevant", 1),
        irrelevant=having("irrelevant", 1),
    )


def false_counts(connection: Connection) -> Iterator[tuple[str, int, int]]:
    """Yield (table, its rows, how many are counted) where these differ: triggers do not see TRUNCATE, for example."""
    for table in (entries, hits, deliveries):
        there = select(func.count()).select_from(table).scalar_subquery()
        counted = select(func.coalesce(TOTAL, 0)).where(counts.c.kind == table.name).scalar_subquery()
        found = connection.execute(select(there, counted)).one()  # at one instant
        if found[0] != found[1]:
            yield table.name, found[0], int(found[1])


def add_up(connection: Connection) -> None:
    """Make one row of all with the same names. What others count meanwhile stays a row of its own."""
    if connection.dialect.name == "sqlite":  # counts in place
        connection.execute(delete(counts).where(counts.c.n == 0))
        return
    gone = delete(counts).returning(*counts.c).cte("gone")  # in the server: a copied database has millions
    names = (gone.c.kind, gone.c.name, gone.c.part)
    totals = select(*names, func.sum(gone.c.n)).group_by(*names).having(func.sum(gone.c.n) != 0)
    connection.execute(insert(counts).from_select(["kind", "name", "part", "n"], totals).add_cte(gone))
