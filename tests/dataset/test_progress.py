"""Lines of progress: rarely, and a last one."""

import pytest

from attribute_recovery.dataset import progress


def test_lines_come_every_ten_seconds_and_at_the_end(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    clock = iter([0.0, 1.0, 12.0, 13.0, 20.0])
    monkeypatch.setattr(progress.time, "monotonic", lambda: next(clock))
    shown = progress.Progress(10, 100)
    for count in (10, 20, 10, 50):
        shown.add(count)
    assert capsys.readouterr().err.splitlines() == [
        "dataset: goes on at image 10 of 100",
        "dataset: 40 of 100 images, 2 images/s, 24 s left",
        "dataset: 100 of 100 images, 4 images/s, 0 s left",
    ]
