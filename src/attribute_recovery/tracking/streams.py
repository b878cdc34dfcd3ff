"""All that a process prints, into its log: Python's streams, file descriptors, logging, crash traces."""

import faulthandler
import io
import logging
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

LINE_FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"


class LogStream(io.TextIOWrapper):
    """A line-buffered text stream that turns a progress bar's frames into lines, one every few seconds.

    Bars redraw themselves with carriage returns, which in a file make one endless line. Of the frames, the
    first after each interval and the last are kept.

    Args:
        descriptor: The file descriptor to write to; it is not closed with the stream.
        interval: Seconds between two frames of a bar.
        clock: Seconds that never go back.
    """

    def __init__(
        self, descriptor: int, *, interval: float = 10.0, clock: Callable[[], float] = time.monotonic
    ) -> None:
        file = open(descriptor, "wb", closefd=False)  # noqa: SIM115, the wrapper owns it
        super().__init__(file, encoding="utf-8", errors="backslashreplace", line_buffering=True)
        self._interval = interval
        self._clock = clock
        self._frame = ""
        self._shown = float("-inf")

    def write(self, text: str) -> int:
        """Writes text, holding back what follows a carriage return until it is a line or is due."""
        head, *frames = text.split("\r")
        self._add(head)
        for frame in frames:
            self._end_frame()
            self._frame = frame
            if "\n" in frame:
                self._frame = ""
                super().write(frame)
        return len(text)

    def close(self) -> None:
        """Writes the frame held back, and closes."""
        if not self.closed and self._frame:
            super().write(self._frame + "\n")
            self._frame = ""
        super().close()

    def _add(self, text: str) -> None:
        if self._frame and "\n" not in text:
            self._frame += text
        elif text:
            super().write(self._frame + text)
            self._frame = ""

    def _end_frame(self) -> None:
        now = self._clock()
        if self._frame.strip() and now - self._shown >= self._interval:
            super().write(self._frame.rstrip() + "\n")
            self._shown = now
        self._frame = ""


@contextmanager
def output_to_log(log: Path) -> Iterator[TextIO]:
    """Sends file descriptors 1 and 2, Python's streams, logging and crash traces to a fresh log file.

    Descriptors, since CUDA and other libraries write past Python. All is put back at the end.

    Args:
        log: The file; its folder is made, what it held is dropped.

    Yields:
        The stderr that was there before, for the one line that the user must see.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    _flush(sys.stdout, sys.stderr)
    before = sys.stdout, sys.stderr
    saved = os.dup(1), os.dup(2)
    # O_APPEND, so that a process which opens the log again by name does not write over these lines.
    file = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND, 0o644)
    os.dup2(file, 1)
    os.dup2(file, 2)
    os.close(file)
    sys.stdout, sys.stderr = LogStream(1), LogStream(2)
    try:
        with (
            _timed_logging(sys.stderr),
            _crash_traces(),
            open(os.dup(saved[1]), "w", encoding="utf-8") as terminal,
        ):
            yield terminal
    finally:
        sys.stdout.close()
        sys.stderr.close()
        sys.stdout, sys.stderr = before
        for descriptor, original in zip((1, 2), saved, strict=True):
            os.dup2(original, descriptor)
            os.close(original)


@contextmanager
def _timed_logging(stream: TextIO) -> Iterator[None]:
    root = logging.getLogger()
    before = root.handlers[:], root.level
    handler = logging.StreamHandler(stream)
    handler.setFormatter(logging.Formatter(LINE_FORMAT))
    root.handlers[:] = [handler]
    root.setLevel(logging.INFO)
    try:
        yield
    finally:
        root.handlers[:] = before[0]
        root.setLevel(before[1])


@contextmanager
def _crash_traces() -> Iterator[None]:
    if faulthandler.is_enabled():
        yield
        return
    faulthandler.enable(file=2)
    try:
        yield
    finally:
        faulthandler.disable()


def _flush(*streams: TextIO | None) -> None:
    for stream in streams:
        if stream is not None:
            stream.flush()
