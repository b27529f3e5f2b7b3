"""The registry of processes: notes beside the database, held by a lock while their process lives."""

import json
import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

from aggregator.app.processes import (
    dead_owners,
    loops_of,
    new_owner,
    register,
    registry_folder,
    running_processes,
    this_process,
)
from aggregator.core.settings import Config

NOW = datetime(2026, 5, 1, 8, 0, tzinfo=UTC)


def test_a_process_is_known_while_it_lives(tmp_path: Path) -> None:
    """Two at once, the older first; and nobody once they have ended."""
    first = this_process(NOW, frozenset({"poll", "deliver"}), "http://127.0.0.1:1/")
    second = this_process(NOW.replace(hour=9), frozenset({"web"}), None)
    with register(tmp_path, second), register(tmp_path, first):
        assert running_processes(tmp_path) == (first, second)
    assert running_processes(tmp_path) == ()
    assert list(tmp_path.iterdir()) == []


def test_a_note_of_the_dead_is_no_sign_of_life(tmp_path: Path) -> None:
    """Who was killed leaves a note without a lock; the next one takes it away."""
    left = tmp_path / "service-1-00000000.json"
    left.write_text('{"pid": 1, "started_at": "2026-05-01T08:00:00Z", "roles": [], "page": null}')
    assert running_processes(tmp_path) == ()
    with register(tmp_path, this_process(NOW, frozenset({"web"}), None)):
        assert not left.exists()


def test_a_folder_that_cannot_be_written_stops_nobody(tmp_path: Path) -> None:
    """The service runs; only `status` does not see it."""
    (tmp_path / "file").touch()
    with register(tmp_path / "file" / "nowhere", this_process(NOW, frozenset({"web"}), None)):
        assert running_processes(tmp_path / "file" / "nowhere") == ()


def test_a_folder_that_is_not_there_yet_is_made(tmp_path: Path) -> None:
    """With PostgreSQL nothing else may be kept in the state folder."""
    with register(tmp_path / "state" / "aggregator", this_process(NOW, frozenset({"web"}), None)):
        assert len(running_processes(tmp_path / "state" / "aggregator")) == 1


def test_a_page_that_does_not_answer_is_unknown() -> None:
    """Neither well nor late: not known."""
    assert loops_of(this_process(NOW, frozenset({"web"}), "http://127.0.0.1:9/")) is None
    assert loops_of(this_process(NOW, frozenset({"web"}), None)) is None


def test_notes_lie_beside_the_database() -> None:
    """So that everyone who reads the database finds them."""
    config = Config.model_validate({"settings": {"database": "sqlite:////srv/news/a.db"}})
    assert registry_folder(config) == Path("/srv/news")


def ended_process() -> int:
    """The number of a process that lived a moment ago."""
    done = subprocess.Popen([sys.executable, "-c", ""])
    done.wait()
    return done.pid


def owner_with(pid: int, place: int | None = None) -> str:
    """An owner like ours with another number; with `place`, one of its other parts differs: 0 host, 1 boot, 2 space."""
    parts = new_owner().split(":")
    parts[3] = str(pid)
    if place is not None:
        parts[place] = "elsewhere"
    return ":".join(parts)


def test_a_process_number_is_valid_in_its_own_boot_and_namespace(tmp_path: Path) -> None:
    """Who ended here is dead; the same number in another container, after another boot or elsewhere says nothing."""
    gone, alive = ended_process(), os.getppid()
    dead, living = owner_with(gone), owner_with(alive)
    foreign = [owner_with(gone, place) for place in (0, 1, 2)]
    assert dead_owners([dead, living, *foreign, "host:17:0badcafe", ""], tmp_path) == (dead,)


def test_a_lock_works_across_containers(tmp_path: Path) -> None:
    """Every service may be process 1 of its container: whose note is locked lives, whose is not is dead."""
    process = this_process(NOW, frozenset({"poll"}), None)
    first, second = owner_with(1, 2), owner_with(1, 2).replace("elsewhere", "third")
    (tmp_path / "service-1-00000000.json").write_text(json.dumps({"pid": 1, "owner": second}))
    (tmp_path / "service-1-00000001.json").write_text(json.dumps({"pid": 1}))  # of an older release
    with register(tmp_path, process, first):
        # `register` tidies: the note of the dead is put back, as it lies there when the next process starts.
        (tmp_path / "service-1-00000000.json").write_text(json.dumps({"pid": 1, "owner": second}))
        assert dead_owners([first, second], tmp_path) == (second,)
