"""How far a long job on images is: lines that can be read in a log file."""

import sys
import time

REPORTED_SECONDS = 10.0


class Progress:
    """A line every ten seconds or so: images done, pace, time left.

    Args:
        done: Images that were there before.
        total: Images in all.
    """

    def __init__(self, done: int, total: int) -> None:
        self.first, self.done, self.total = done, done, total
        self.began = self.shown = time.monotonic()
        if done:
            print(f"dataset: goes on at image {done} of {total}", file=sys.stderr, flush=True)

    def add(self, count: int) -> None:
        """Note that so many images more are done."""
        self.done += count
        now = time.monotonic()
        if self.done < self.total and now - self.shown < REPORTED_SECONDS:
            return
        pace = (self.done - self.first) / max(now - self.began, 1e-9)
        left = (self.total - self.done) / pace
        line = f"dataset: {self.done} of {self.total} images, {pace:.0f} images/s, {left:.0f} s left"
        print(line, file=sys.stderr, flush=True)
        self.shown = now
