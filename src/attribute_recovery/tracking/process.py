"""What a job's record says of its process: whether it lives, its memory, the versions of what it stood on."""

import os
import platform
import resource
import signal
import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from types import FrameType

KEY_PACKAGES = (
    "attribute-recovery",
    "bcolz-zipline",
    "mlflow",
    "numpy",
    "onnxruntime",
    "pandas",
    "pyarrow",
    "pydantic",
    "safetensors",
    "scipy",
    "snakemake",
    "torch",
    "torchvision",
)


class Terminated(BaseException):
    """SIGTERM arrived. Like KeyboardInterrupt not an Exception, so that no handler of errors swallows it."""


@dataclass(frozen=True)
class ProcessId:
    """A process, told apart from a later one that got the same number.

    Attributes:
        host: Name of its machine.
        pid: Its number there.
        started: Its start in the kernel's clock ticks since boot; None where the system does not tell.
    """

    host: str
    pid: int
    started: int | None


def this_process() -> ProcessId:
    """The process that calls."""
    return ProcessId(socket.gethostname(), os.getpid(), _start_ticks(os.getpid()))


def is_alive(process: ProcessId) -> bool:
    """Whether a process still runs on this machine; False for one of another machine."""
    if process.host != socket.gethostname():
        return False
    if process.started is not None:
        return _start_ticks(process.pid) == process.started
    try:
        os.kill(process.pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True


def peak_memory_mib() -> tuple[float, float]:
    """Largest resident memory so far, in MiB: of this process, and of the largest child that has ended.

    A child's figure starts at its parent's size at the fork, as the system counts it, so it is an upper
    bound.
    """
    unit = 2**20 if sys.platform == "darwin" else 2**10
    own = _status_kib("VmHWM")
    if own is None:
        own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit // 2**10
    children = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * unit
    return own / 2**10, children / 2**20


def installed_versions() -> dict[str, str]:
    """Versions of Python and of those key packages that are installed, by name; imports none of them."""
    versions = {"python": platform.python_version()}
    for name in KEY_PACKAGES:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return versions


@contextmanager
def sigterm_as_exception() -> Iterator[None]:
    """Within the block SIGTERM (scancel, a stopped container) raises `Terminated`; main thread only."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    owner = os.getpid()

    def terminate(number: int, frame: FrameType | None) -> None:
        if os.getpid() != owner:
            # A forked worker carries this handler too; it is to die as it would have without it.
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)
            return
        raise Terminated("the process was told to end (SIGTERM)")

    before = signal.signal(signal.SIGTERM, terminate)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _start_ticks(pid: int) -> int | None:
    try:
        # The name, in brackets, may hold spaces; after it come the state and, 19 fields on, the start.
        fields = Path(f"/proc/{pid}/stat").read_text("utf-8", "replace").rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] in "ZX" else int(fields[19])


def _status_kib(key: str) -> int | None:
    # Not ru_maxrss, which a process inherits from the larger one that started it.
    try:
        lines = Path("/proc/self/status").read_text("utf-8", "replace").splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) for line in lines if line.startswith(key + ":")), None)
