"""The made-up experiment, written anew for each test."""

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest


@pytest.fixture(scope="session")
def made() -> ModuleType:
    """The module beside this file that writes a made-up experiment."""
    spec = importlib.util.spec_from_file_location(
        "report_experiment", Path(__file__).with_name("experiment.py")
    )
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def experiment(made: ModuleType, tmp_path: Path) -> Path:
    """The folder of a complete experiment with one recognizer, `default`."""
    folder: Path = made.write_experiment(tmp_path / "experiment")
    return folder
