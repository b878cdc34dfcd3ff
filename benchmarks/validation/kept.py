"""What several chunks need and one of them makes: masks, rendered people, embeddings, trained heads. Each is
a folder named after all that it depends on, so that it is made once and never out of date."""

import fcntl
import hashlib
import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path

from benchmarks.validation.runner import ROOT, code_of

# Another folder for what is kept.
VARIABLE = "VALIDATION_KEPT"
PLACE = ROOT / ".cache" / "validation" / "kept"


def kept(name: str, module: str, depends: Mapping[str, object], make: Callable[[Path], None]) -> Path:
    """The folder of that name, made if it is not there.

    Chunks that ask at once wait for the one that makes it. What an interrupted one had written is still there
    when `make` is called again, for it to go on from.

    Args:
        name: begins the folder's name.
        module: whose code makes it, `benchmarks.validation.…`.
        depends: what else it depends on, as JSON holds it.
        make: writes into the folder that it is given.
    """
    told = json.dumps([code_of(module), depends], sort_keys=True)
    place = Path(os.environ.get(VARIABLE) or PLACE)
    folder = place / f"{name}-{hashlib.sha256(told.encode()).hexdigest()[:16]}"
    if folder.is_dir():
        return folder
    place.mkdir(parents=True, exist_ok=True)
    with folder.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.is_dir():
            unfinished = folder.with_suffix(".unfinished")
            unfinished.mkdir(exist_ok=True)
            make(unfinished)
            unfinished.rename(folder)
    return folder
