"""The program as another release: of a version of its own, perhaps with a further migration.

    python -m tests.support.release VERSION [--needs OLDEST] -- COMMAND …

`--needs`: it has one more migration, which adds a table, and after which programs older than OLDEST may not go on.
There is no earlier release that knows how to go on beside a newer one; so an upgrade is tried with this one.
"""

import importlib.abc
import importlib.machinery
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from tempfile import mkdtemp
from types import ModuleType

MIGRATIONS = "aggregator.store.migrations"
REVISION = "9001"
SCRIPT = """
import sqlalchemy as sa
from alembic import op

revision, down_revision, oldest_program = "{revision}", "{before}", "{needs}"


def upgrade() -> None:
    op.create_table("later", sa.Column("id", sa.Integer(), primary_key=True))
"""


class OneMore(importlib.abc.MetaPathFinder):
    """Adds a revision to the module that lists them, as it is imported."""

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if name != MIGRATIONS:
            return None
        spec = importlib.machinery.PathFinder.find_spec(name, path)
        assert spec is not None
        loader = spec.loader
        assert isinstance(loader, importlib.machinery.SourceFileLoader)
        execute = loader.exec_module

        def extended(module: ModuleType) -> None:
            execute(module)
            module.REVISIONS = (*module.REVISIONS, REVISION)  # type: ignore[attr-defined]

        loader.exec_module = extended  # type: ignore[method-assign]
        return spec


def pretend(version: str, needs: str) -> None:
    """Be that release from now on; nothing else of the program may have been imported."""
    import aggregator

    aggregator.__version__ = version
    if not needs:
        return
    sys.meta_path.insert(0, OneMore())
    from aggregator.store import migrate
    from aggregator.store.migrations import REVISIONS

    folder = Path(mkdtemp(prefix="aggregator-release-"))
    script = SCRIPT.format(revision=REVISION, before=REVISIONS[-2], needs=needs)
    (folder / f"r{REVISION}_later.py").write_text(script, encoding="utf-8")
    known = migrate.alembic_options()
    both = os.pathsep.join((str(Path(known["script_location"]) / "versions"), str(folder)))
    more = {**known, "version_locations": both, "version_path_separator": "os"}
    migrate.alembic_options = lambda: more


def main() -> None:
    split = sys.argv.index("--")
    version, *options = sys.argv[1:split]
    pretend(version, options[1] if options else "")
    sys.argv = ["aggregator", *sys.argv[split + 1 :]]
    from aggregator.cli import main as run

    run()


if __name__ == "__main__":
    main()
