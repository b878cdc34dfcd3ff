"""What is kept is made once, and anew when what it depends on changes."""

import threading
import time
from pathlib import Path

import pytest
from benchmarks.validation.kept import VARIABLE, kept

MODULE = "benchmarks.validation.outcome"


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(VARIABLE, str(tmp_path))
    return tmp_path


def test_it_is_made_once_and_anew_for_something_else() -> None:
    made: list[Path] = []

    def make(folder: Path) -> None:
        made.append(folder)
        (folder / "a").write_text(str(len(made)))

    first = kept("thing", MODULE, {"run": "x"}, make)
    assert kept("thing", MODULE, {"run": "x"}, make) == first and len(made) == 1
    assert (first / "a").read_text() == "1"
    other = kept("thing", MODULE, {"run": "y"}, make)
    assert other != first and (other / "a").read_text() == "2"
    assert kept("thing", "benchmarks.validation.runner", {"run": "x"}, make) not in (first, other)


def test_an_interrupted_one_goes_on(place: Path) -> None:
    def interrupted(folder: Path) -> None:
        (folder / "half").write_text("done")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        kept("thing", MODULE, {}, interrupted)

    def make(folder: Path) -> None:
        assert (folder / "half").read_text() == "done"
        (folder / "whole").write_text("done")

    folder = kept("thing", MODULE, {}, make)
    assert {path.name for path in folder.iterdir()} == {"half", "whole"}
    assert not list(place.glob("*.unfinished"))


def test_those_who_ask_at_once_wait() -> None:
    made, found = [], []

    def make(folder: Path) -> None:
        made.append(folder)
        time.sleep(0.2)
        (folder / "a").write_text("")

    def ask() -> None:
        found.append((kept("thing", MODULE, {}, make) / "a").is_file())

    asking = [threading.Thread(target=ask) for _ in range(3)]
    for thread in asking:
        thread.start()
    for thread in asking:
        thread.join()
    assert len(made) == 1 and found == [True, True, True]
