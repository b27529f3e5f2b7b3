"""The desk over a real house: files on disk, a real database, no network."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from aggregator.app.desk import AppDesk
from aggregator.app.house import open_house
from aggregator.config import load
from aggregator.core.errors import Forbidden, NotFound

pytestmark = pytest.mark.anyio

RULES = "rules:\n  - id: s400\n    any: [S-400]\n"


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[AppDesk]:
    """A desk over a folder of two files."""
    folder = tmp_path / "config"
    folder.mkdir()
    (folder / "feeds.yaml").write_text("feeds:\n  - url: https://a.example/feed\n")
    (folder / "rules.yaml").write_text(RULES)
    (folder / "settings.yaml").write_text(
        f"settings: {{database: 'sqlite:///{tmp_path}/a.db', web: {{enabled: false}}}}\n"
    )
    async with open_house(load(folder, {})) as house:
        yield AppDesk(house, folder)


@pytest.mark.parametrize(
    ("url", "line"),
    [
        ("http://127.0.0.1/feed", 'http: {allow: ["127.0.0.1:80"]}'),
        ("https://10.1.2.3:8443/feed", 'http: {allow: ["10.1.2.3:8443"]}'),
        ("http://[::1]:8080/feed", 'http: {allow: ["[::1]:8080"]}'),
        ("http://localhost:9000/feed", 'http: {allow: ["localhost:9000"]}'),
    ],
)
async def test_private_addresses_are_not_added(desk: AppDesk, url: str, line: str) -> None:
    """The refusal names the very line that opens the address, the line does open it, and nothing is written before."""
    before = (desk.path / "feeds.yaml").read_text()
    with pytest.raises(Forbidden) as refused:
        await desk.add_feed(url)
    assert line in str(refused.value)
    assert (desk.path / "feeds.yaml").read_text() == before
    (desk.path / "opened.yaml").write_text(f"settings: {{{line}}}\n")
    async with open_house(load(desk.path, {})) as house:
        assert await AppDesk(house, desk.path).add_feed(url)
    assert url in (desk.path / "feeds.yaml").read_text()


async def test_names_that_nobody_knows_now_may_be_added(desk: AppDesk) -> None:
    """Being offline keeps nobody from adding a feed; the address is judged when it is dialled."""
    assert await desk.add_feed("https://nosuch.invalid/feed")


async def test_what_runs_is_not_loaded_again(desk: AppDesk) -> None:
    """The files are read anew when they change, an edit is judged, and the text that runs has its known verdict."""
    (file,) = await desk.rules_files()
    assert (await desk.check_rules(file.name, file.text)).rules == ("s400",)
    assert (await desk.rules_files())[0] is file
    assert not (await desk.check_rules(file.name, "rules:\n  - id: s400\n    anny: [x]\n")).ok
    (desk.path / "rules.yaml").write_text(RULES + "  - id: caatsa\n    any: [CAATSA]\n")
    (changed,) = await desk.rules_files()
    assert (await desk.check_rules(changed.name, changed.text)).rules == ("s400", "caatsa")
    with pytest.raises(NotFound):
        await desk.check_rules("feeds.yaml", "")
