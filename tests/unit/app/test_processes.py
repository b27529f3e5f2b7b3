"""Who runs: notes beside the database, held by a lock while their process lives."""

from datetime import UTC, datetime
from pathlib import Path

from aggregator.app.processes import loops_of, register, registry_folder, running_processes, this_process
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
    with register(tmp_path / "nowhere", this_process(NOW, frozenset({"web"}), None)):
        assert running_processes(tmp_path / "nowhere") == ()


def test_a_page_that_does_not_answer_tells_nothing() -> None:
    """Neither well nor late: not known."""
    assert loops_of(this_process(NOW, frozenset({"web"}), "http://127.0.0.1:9/")) is None
    assert loops_of(this_process(NOW, frozenset({"web"}), None)) is None


def test_notes_lie_beside_the_database() -> None:
    """So that everyone who reads the database finds them."""
    config = Config.model_validate({"settings": {"database": "sqlite:////srv/news/a.db"}})
    assert registry_folder(config) == Path("/srv/news")
