"""The digest against a tiny package: what has to change it, and what must not."""

import subprocess
import sys
import time
from pathlib import Path

import pytest

from attribute_recovery.tracking.code import PackageCode, code_digest

FILES = {
    "__init__.py": '"""The package."""\n__version__ = "1"\n',
    "training/__init__.py": '"""Training."""\n',
    "training/train.py": '''
"""Trains."""
import torch
from tiny.training.loop import run_loop, unused_loop
from tiny import constants
from tiny.networks import Network as Net
from . import optimisers


def train(path: str) -> None:
    """Trains it."""
    # a comment
    network = Net(constants.WIDTH)
    from ..local import inside
    inside(network)
    run_loop(network, optimisers.sgd)


def unrelated() -> int:
    return 1


def recursive_a(n: int) -> int:
    return recursive_b(n - 1) if n else 0


def recursive_b(n: int) -> int:
    return recursive_a(n - 1) if n else 1
''',
    "training/loop.py": """
from tiny.training.steps import step

def run_loop(network, optimiser):
    step(network)

def unused_loop():
    return never_reached()

def never_reached():
    return 0
""",
    "training/steps.py": """
from __future__ import annotations
import tiny.training.train as circle

RATE: float = 0.1
OTHER = 3

def step(network):
    '''One step.'''
    return network.forward(RATE) if network else circle.recursive_a(3)
""",
    "training/optimisers.py": "def sgd():\n    return 1\n\ndef adam():\n    return 2\n",
    "constants.py": "WIDTH = 8\nDEPTH = 3\n",
    "networks.py": """
from dataclasses import dataclass
from tiny.base import Base

class Network(Base):
    '''A network.'''
    def __init__(self, width):
        self.width = width

    def forward(self, rate):
        '''Forward.'''
        return self.width * rate

class Unrelated:
    def forward(self):
        return 0
""",
    "base.py": "class Base:\n    def save(self):\n        return 'saved'\n",
    "local.py": "def inside(network):\n    return network\n\ndef beside():\n    return 1\n",
    "registry.py": """
NETWORKS = {}

def register(name):
    def put(function):
        NETWORKS[name] = function
        return function
    return put

def create(name):
    return NETWORKS[name]()
""",
    "registered.py": """
from tiny.registry import register

@register("small")
def small():
    return 1
""",
    "by_name.py": """
import importlib
import tiny.registered
from tiny import registry, star
from tiny.star import *

def create(name):
    return registry.create(name)

def load():
    return importlib.import_module("tiny.local").inside

def begin(name):
    return f"tiny.training.{name}"

def whole():
    return getattr(star, "exported")

def by_star():
    return starred()

def neighbours(name):
    return importlib.import_module("." + name, __package__)

def chosen():
    return CHOICE

try:
    import torch
    CHOICE = 1
except ImportError:
    CHOICE = 2

if __name__ == "__main__":
    print("run")
""",
    "star.py": "def starred():\n    return 1\n\ndef exported():\n    return 2\n",
    "effects.py": "import json\n\nTABLE = {}\nTABLE['a'] = 1\n\ndef read():\n    return 1\n",
}
TRAIN = "tiny.training.train:train"


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """A package on disk that is never imported: it imports torch, and a module that runs in a circle."""
    folder = tmp_path / "a folder" / "tiny"
    for name, text in FILES.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


def digest_of(package: Path, entry: str = TRAIN, *, data: list[str] | None = None) -> str:
    return code_digest(entry, package="tiny", package_dir=package, data=data or [])


def changed_by(package: Path, name: str, old: str, new: str, entry: str = TRAIN) -> bool:
    before = digest_of(package, entry)
    text = (package / name).read_text()
    assert text.count(old) == 1, f"{old!r} must stand once in {name}"
    (package / name).write_text(text.replace(old, new))
    return digest_of(package, entry) != before


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("training/train.py", "# a comment", "# another comment\n\n"),
        ("training/train.py", '"""Trains it."""', '"""Trains it well."""'),
        ("training/train.py", '    """Trains it."""\n', ""),
        ("training/train.py", '"""Trains."""', '"""Other."""'),
        ("training/steps.py", "'''One step.'''", "'''Two steps.'''"),
        ("networks.py", "'''Forward.'''", "'''tiny.star'''"),
        ("training/train.py", "return 1", "return 2"),
        ("training/loop.py", "return never_reached()", "return 5"),
        ("training/loop.py", "return 0", "return 5"),
        ("training/optimisers.py", "return 2", "return 3"),
        ("training/steps.py", "OTHER = 3", "OTHER = 4"),
        ("constants.py", "DEPTH = 3", "DEPTH = 4"),
        ("networks.py", "return 0", "return 1"),
        ("local.py", "return 1", "return 2"),
        ("star.py", "return 1", "return 2"),
        ("__init__.py", '"1"', '"2"'),
    ],
)
def test_what_the_entry_does_not_reach_leaves_the_digest(
    package: Path, name: str, old: str, new: str
) -> None:
    assert not changed_by(package, name, old, new)


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("training/train.py", "run_loop(network, optimisers.sgd)", "run_loop(network, optimisers.adam)"),
        ("training/train.py", "path: str", "path: bytes"),
        ("training/loop.py", "step(network)", "step(network, 1)"),
        ("training/steps.py", "network.forward(RATE)", "network.forward(-RATE)"),
        ("training/steps.py", "RATE: float = 0.1", "RATE: float = 0.2"),
        ("training/train.py", "if n else 0", "if n else 2"),
        ("training/train.py", "if n else 1", "if n else 2"),
        ("training/optimisers.py", "return 1", "return 3"),
        ("constants.py", "WIDTH = 8", "WIDTH = 9"),
        ("networks.py", "self.width * rate", "self.width + rate"),
        ("networks.py", "class Network(Base):", "class Network(Base, metaclass=type):"),
        ("base.py", "'saved'", "'not saved'"),
        ("local.py", "return network", "return None"),
    ],
)
def test_what_the_entry_reaches_changes_the_digest(package: Path, name: str, old: str, new: str) -> None:
    assert changed_by(package, name, old, new)


@pytest.mark.parametrize(
    ("function", "name", "old", "new", "changes"),
    [
        ("create", "registered.py", "return 1", "return 2", True),
        ("create", "registry.py", "NETWORKS[name]()", "NETWORKS[name]", True),
        ("load", "local.py", "return 1", "return 2", True),
        ("begin", "training/optimisers.py", "return 2", "return 3", True),
        ("begin", "constants.py", "WIDTH = 8", "WIDTH = 9", True),
        ("whole", "star.py", "return 2", "return 3", True),
        ("by_star", "star.py", "return 1", "return 3", True),
        ("by_star", "star.py", "return 2", "return 3", False),
        ("neighbours", "effects.py", "TABLE['a'] = 1", "TABLE['a'] = 2", True),
        ("chosen", "by_name.py", "CHOICE = 2", "CHOICE = 3", True),
        ("by_star", "by_name.py", "CHOICE = 2", "CHOICE = 3", False),
        ("by_star", "by_name.py", '"run"', '"other"', False),
    ],
)
def test_names_that_cannot_be_told_apart_include_more(
    package: Path, function: str, name: str, old: str, new: str, changes: bool
) -> None:
    assert changed_by(package, name, old, new, f"tiny.by_name:{function}") is changes


def test_effects_of_a_module_count_for_each_of_its_functions(package: Path) -> None:
    assert changed_by(package, "effects.py", "TABLE['a'] = 1", "TABLE['a'] = 2", "tiny.effects:read")


def test_a_class_or_a_whole_module_can_be_the_entry(package: Path) -> None:
    assert changed_by(package, "base.py", "'saved'", "'lost'", "tiny.networks:Network")
    assert changed_by(package, "constants.py", "DEPTH = 3", "DEPTH = 4", "tiny.constants")


def test_data_files_count_by_name_and_content(package: Path) -> None:
    (package / "weights").mkdir()
    (package / "weights" / "world.safetensors").write_bytes(b"weights")
    without, before = digest_of(package), digest_of(package, data=["weights"])
    assert without != before
    (package / "weights" / "world.safetensors").write_bytes(b"other")
    assert digest_of(package, data=["weights"]) != before
    assert digest_of(package) == without


def test_bytecode_beside_data_does_not_count(package: Path) -> None:
    """It holds the time of its source: after each installation of the package everything would run again."""
    (package / "weights" / "__pycache__").mkdir(parents=True)
    (package / "weights" / "world.safetensors").write_bytes(b"weights")
    before = digest_of(package, data=["weights"])
    (package / "weights" / "__pycache__" / "__init__.cpython-311.pyc").write_bytes(b"installed today")
    assert digest_of(package, data=["weights"]) == before


@pytest.mark.parametrize(
    ("entry", "sentence"),
    [
        ("tiny.nowhere:train", "has no module tiny.nowhere"),
        ("tiny.training.train:nothing", "does not define nothing"),
        ("torch.nn:Linear", "has no module torch.nn"),
    ],
)
def test_an_entry_that_is_not_there_is_named(package: Path, entry: str, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        digest_of(package, entry)


def test_missing_data_and_a_missing_package_are_errors(package: Path) -> None:
    with pytest.raises(ValueError, match="does not exist"):
        digest_of(package, data=["nothing.bin"])
    with pytest.raises(ValueError, match="not installed"):
        PackageCode("no_such_package_here")


def test_what_is_reached_can_be_listed(package: Path) -> None:
    names = PackageCode("tiny", package_dir=package).reached(TRAIN)
    assert "tiny.training.steps:RATE" in names
    assert "tiny.local:inside" in names
    assert "tiny.local:beside" not in names


def test_the_digest_is_the_same_in_every_process(package: Path) -> None:
    """Names come out of sets, whose order differs with the hash seed."""
    program = (
        "import sys, pathlib; from attribute_recovery.tracking.code import code_digest;"
        "p = pathlib.Path(sys.argv[1]);"
        "print([code_digest(e, package='tiny', package_dir=p) for e in sys.argv[2:]])"
    )
    entries = [TRAIN, "tiny.by_name:by_star", "tiny.by_name:begin"]
    outputs = {
        subprocess.run(
            [sys.executable, "-c", program, str(package), *entries],
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": ":".join(sys.path)},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("0", "1", "2")
    }
    assert len(outputs) == 1


def test_this_package_is_found_quickly_and_without_torch() -> None:
    program = (
        "import sys; from attribute_recovery.tracking.code import code_digest;"
        "code_digest('attribute_recovery.tracking.records:recorded_job');"
        "heavy = {'torch', 'mlflow', 'pandas', 'attribute_recovery.tracking.records'};"
        "sys.exit(bool(heavy & set(sys.modules)))"
    )
    subprocess.run([sys.executable, "-c", program], env={"PYTHONPATH": ":".join(sys.path)}, check=True)
    begun = time.process_time()
    digest = code_digest("attribute_recovery.tracking.records:recorded_job")
    assert time.process_time() - begun < 1
    assert digest == code_digest("attribute_recovery.tracking.records:recorded_job")
