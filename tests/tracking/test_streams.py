"""Output to the log: descriptors, streams, logging, progress bars; all put back afterwards."""

import io
import logging
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from attribute_recovery.tracking.streams import LogStream, output_to_log


class Clock:
    """Seconds that pass only when told."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def frames(tmp_path: Path, writes: list[tuple[float, str]]) -> list[str]:
    """The lines in the file after the writes, each made after so many seconds."""
    clock = Clock()
    descriptor = os.open(tmp_path / "log", os.O_WRONLY | os.O_CREAT)
    stream = LogStream(descriptor, interval=10, clock=clock)
    for seconds, text in writes:
        clock.now += seconds
        stream.write(text)
    stream.close()
    os.close(descriptor)
    return (tmp_path / "log").read_bytes().decode().split("\n")


def test_a_bar_becomes_a_line_for_each_interval_and_its_last_frame(tmp_path: Path) -> None:
    writes = [(0.0, "start\n")] + [(1.0, f"\r{n:3d} %") for n in range(26)] + [(1.0, "\n"), (0.0, "end\n")]
    assert frames(tmp_path, writes) == ["start", "  0 %", " 10 %", " 20 %", " 25 %", "end", ""]


def test_a_bar_cut_off_keeps_its_last_frame(tmp_path: Path) -> None:
    assert frames(tmp_path, [(0.0, "\r 1 %"), (0.0, "\r 2 %"), (0.0, "\r 3 %")]) == [" 1 %", " 3 %", ""]


def test_lines_without_carriage_returns_pass_as_they_are(tmp_path: Path) -> None:
    writes = [(0.0, "a"), (0.0, "b\n"), (0.0, "\nc\r\n"), (0.0, "é")]
    assert frames(tmp_path, writes) == ["ab", "", "c", "é"]


def test_descriptors_streams_logging_and_children_go_to_the_log_and_come_back(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    log = tmp_path / "logs" / "job.log"
    log.parent.mkdir()
    log.write_text("of an earlier attempt\n")
    before = sys.stdout, sys.stderr, logging.getLogger().handlers[:], logging.getLogger().level
    with output_to_log(log) as terminal:
        print("from Python")
        print("to stderr", file=sys.stderr)
        os.write(1, b"from the descriptor\n")
        subprocess.run(["sh", "-c", "echo from a child; echo and its stderr >&2"], check=True)
        logging.getLogger("part").info("logged")
        print("seen by the user", file=terminal)
    print("after")
    captured = capfd.readouterr()
    assert captured.out == "after\n"
    assert captured.err == "seen by the user\n"
    assert (sys.stdout, sys.stderr, logging.getLogger().handlers[:], logging.getLogger().level) == before
    lines = log.read_text().splitlines()
    plain = ["from Python", "to stderr", "from the descriptor", "from a child", "and its stderr"]
    assert lines[:5] == plain
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} INFO part: logged", lines[5])
    assert len(lines) == 6


def test_all_is_put_back_after_an_error(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    before = sys.stdout, sys.stderr
    descriptors = len(os.listdir("/proc/self/fd"))
    with pytest.raises(RuntimeError), output_to_log(tmp_path / "log"):
        raise RuntimeError
    assert (sys.stdout, sys.stderr) == before
    assert len(os.listdir("/proc/self/fd")) == descriptors
    os.write(2, b"back\n")
    assert capfd.readouterr().err == "back\n"


def test_a_crash_below_python_leaves_its_trace_in_the_log(tmp_path: Path) -> None:
    program = (
        "import os, sys, pathlib\n"
        "from attribute_recovery.tracking.streams import output_to_log\n"
        "with output_to_log(pathlib.Path(sys.argv[1])):\n"
        "    os.abort()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path / "log")],
        env={"PYTHONPATH": ":".join(sys.path)},
        check=False,
    )
    assert done.returncode != 0
    assert "Fatal Python error: Aborted" in (tmp_path / "log").read_text()


def test_lines_are_in_the_log_as_soon_as_they_are_complete(tmp_path: Path) -> None:
    with output_to_log(tmp_path / "log"):
        print("a line")
        assert (tmp_path / "log").read_text() == "a line\n"
    assert isinstance(sys.stdout, io.TextIOBase)
