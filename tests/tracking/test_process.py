"""Facts about processes, against real children."""

import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from attribute_recovery.tracking import process


def child_id(pid: int) -> process.ProcessId:
    return replace(process.this_process(), pid=pid, started=process._start_ticks(pid))


def test_this_process_lives() -> None:
    assert process.is_alive(process.this_process())


def test_a_killed_child_is_dead_before_and_after_it_is_waited_for() -> None:
    with subprocess.Popen(["sleep", "60"]) as child:
        identity = child_id(child.pid)
        assert process.is_alive(identity)
        child.kill()
        deadline = time.monotonic() + 10
        while process.is_alive(identity) and time.monotonic() < deadline:
            time.sleep(0.01)
        # Still a zombie, whose number is taken.
        assert Path(f"/proc/{child.pid}").exists()
        assert not process.is_alive(identity)
        child.wait()
    assert not process.is_alive(identity)


def test_another_process_with_the_same_number_is_not_taken_for_it() -> None:
    own = process.this_process()
    assert own.started is not None
    assert not process.is_alive(replace(own, started=own.started - 1))
    assert process.is_alive(replace(own, started=None))
    assert not process.is_alive(replace(own, host="elsewhere"))


def test_peak_memory_sees_an_array_that_is_gone() -> None:
    before, _ = process.peak_memory_mib()
    size = int(before) + 64
    np.ones(size * 2**20, np.uint8)
    after, children = process.peak_memory_mib()
    assert after >= size
    assert children >= 0


def test_peak_memory_of_a_small_child_is_not_that_of_its_parent() -> None:
    ballast = np.ones(300 * 2**20, np.uint8)
    program = "from attribute_recovery.tracking.process import peak_memory_mib; print(peak_memory_mib()[0])"
    printed = subprocess.run(
        [sys.executable, "-c", program],
        env={"PYTHONPATH": ":".join(sys.path)},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert 1 < float(printed) < 200 < ballast.nbytes / 2**20


def test_versions_name_what_is_installed() -> None:
    versions = process.installed_versions()
    assert versions["numpy"] == np.__version__
    assert versions["python"] == ".".join(map(str, sys.version_info[:3]))


def test_sigterm_becomes_an_exception_and_then_what_it_was() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(process.Terminated), process.sigterm_as_exception():
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(5)
    assert signal.getsignal(signal.SIGTERM) == before


def test_a_forked_worker_still_dies_of_sigterm() -> None:
    with process.sigterm_as_exception():
        pid = os.fork()
        if pid == 0:
            try:
                os.kill(os.getpid(), signal.SIGTERM)
                time.sleep(5)
            finally:
                os._exit(0)
        _, status = os.waitpid(pid, 0)
    assert os.waitstatus_to_exitcode(status) == -signal.SIGTERM
