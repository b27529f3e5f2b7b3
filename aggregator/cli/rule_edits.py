"""`aggregator rules pause`, `resume` and `remove`: edits of one rule in its file."""

from typing import TYPE_CHECKING, Literal

import click

from aggregator.cli.completion import argument
from aggregator.cli.context import with_backend
from aggregator.cli.output import echo, emit, json_option
from aggregator.cli.program import CommandWithExamples, config_option
from aggregator.cli.triage import say_undo
from aggregator.core import schemas
from aggregator.core.edits import undo_name
from aggregator.core.results import RuleEdit
from aggregator.core.schemas import models

if TYPE_CHECKING:
    from aggregator.app.backend import AppBackend


@click.command(cls=CommandWithExamples)
@argument("rule_id", "rule", metavar="ID")
@config_option
@json_option
def pause(as_json: bool, rule_id: str) -> None:
    """Pause a rule: it matches nothing until it is resumed."""
    _edit("pause", rule_id, as_json)


@click.command(cls=CommandWithExamples)
@argument("rule_id", "rule", metavar="ID")
@config_option
@json_option
def resume(as_json: bool, rule_id: str) -> None:
    """Let a paused rule run again."""
    _edit("resume", rule_id, as_json)


@click.command(cls=CommandWithExamples)
@argument("rule_id", "rule", metavar="ID")
@config_option
@json_option
def remove(as_json: bool, rule_id: str) -> None:
    """Remove a rule from its file; keep its hits."""
    _edit("remove", rule_id, as_json)


def _edit(kind: Literal["pause", "resume", "remove"], rule_id: str, as_json: bool) -> None:
    async def work(backend: "AppBackend") -> None:
        edited = await backend.edit_rule(RuleEdit(kind=kind, rule=rule_id))
        saved = await backend.save_rules(edited.name, edited.text, edited.digest, about=rule_id)
        if as_json:
            values = {"rule": rule_id, "name": saved.name, "digest": saved.digest, "edit": saved.edit}
            emit(schemas.as_json(models.RuleSaved, values))
        else:
            done = {"pause": "paused", "resume": "resumed", "remove": "removed"}[kind]
            echo(f"{done} {rule_id} in {saved.name}")
            if saved.edit is not None:
                say_undo(undo_name(saved.edit))

    with_backend(work)
