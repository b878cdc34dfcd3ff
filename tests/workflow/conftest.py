"""Clones of the workflow in a folder with a space in its name, with or without results of the tiny config."""

import fcntl
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
PARTS = ("Snakefile", "Makefile", "rules", "scripts", "config", "envs")
TINY = "config/tiny.yaml"


@dataclass(frozen=True)
class Clone:
    """A copy of the workflow's files; what runs in it is the installed package."""

    folder: Path

    @property
    def results(self) -> Path:
        return self.folder / "results" / "tiny"

    def command(self, *arguments: str) -> list[str]:
        return [str(self.folder / ".venv/bin/python"), "-m", *arguments]

    def call(self, *arguments: str, timeout: float = 900) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self.command(*arguments),
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )

    def run(self, config: str = TINY, *arguments: str) -> subprocess.CompletedProcess[str]:
        return self.call("attribute_recovery.cli", "run", "--config", config, *arguments)

    def planned(self, config: str) -> set[str]:
        """The rules that a run would run."""
        done = self.run(config, "--dry-run")
        assert done.returncode == 0, done.stderr
        text = done.stdout + done.stderr
        return set(re.findall(r"^(\w+) +\d+$", text, re.MULTILINE)) - {"all", "total"}

    def write_config(self, name: str, text: str) -> str:
        path = self.folder / "config" / name
        path.write_text(f"extends: tiny.yaml\n{text}\n")
        return str(path.relative_to(self.folder))

    def start(self, config: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            self.command("attribute_recovery.cli", "run", "--config", config),
            cwd=self.folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            # A shell's background job ignores SIGINT, and so would all that it starts.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )

    def records(self, rule: str) -> list[dict[str, Any]]:
        """The journal's records of a rule, in order of their starts."""
        found = [json.loads(path.read_text()) for path in self.results.glob(f"records/*/{rule}-*.json")]
        return sorted(found, key=lambda record: str(record["started"]))

    def running_job(self, rule: str, *, halt: bool = False) -> dict[str, Any]:
        """Waits until a job of the rule runs, and stops its process there if asked; its record."""
        deadline = time.monotonic() + 300
        while time.monotonic() < deadline:
            for record in self.records(rule):
                if record["status"] == "running":
                    if halt:
                        os.kill(record["process"]["pid"], signal.SIGSTOP)
                    return record
            time.sleep(0.02)
        raise AssertionError(f"no job of {rule} was seen running")


@pytest.fixture(scope="session")
def face_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Faces of the tiny world as somebody would bring them: PNGs in a folder for each person."""
    import numpy as np
    from PIL import Image

    from attribute_recovery.config import WorldDataset, load_config
    from attribute_recovery.dataset.prepare import draw_people, population_of
    from attribute_recovery.dataset.world.renderer import Renderer

    folder = tmp_path_factory.mktemp("brought") / "faces"
    dataset = load_config(ROOT / TINY).dataset
    assert isinstance(dataset, WorldDataset)
    population = population_of(dataset.world)
    people, values = draw_people(population, dataset.world, 1)
    renderer = Renderer(dataset.image_size, dataset.world.supersample, compiled=False)
    images = np.concatenate(list(renderer.uint8(population.schema.encode(values))))
    for image_id, image in zip(people["image_id"], images, strict=True):
        path = folder / f"{image_id}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(path)
    return folder


def new_clone(folder: Path) -> Clone:
    folder.mkdir(parents=True)
    for part in PARTS:
        source = ROOT / part
        copy = shutil.copytree if source.is_dir() else shutil.copy2
        copy(source, folder / part)
    (folder / ".venv").symlink_to(sys.prefix)
    return Clone(folder)


@pytest.fixture
def clone(tmp_path: Path) -> Clone:
    """Without results."""
    return new_clone(tmp_path / "a clone")


@pytest.fixture(scope="session")
def first_run(tmp_path_factory: pytest.TempPathFactory) -> tuple[Clone, subprocess.CompletedProcess[str]]:
    """The tiny configuration from nothing to the report, made by the first of pytest's processes that needs
    it; not to be changed."""
    base = tmp_path_factory.getbasetemp()
    # A process of pytest-xdist has its own folder in one that all of them share.
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "first"
    with folder.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.exists():
            done = new_clone(folder / "a clone").run()
            (folder / "done.json").write_text(json.dumps([done.returncode, done.stdout, done.stderr]))
    code, out, err = json.loads((folder / "done.json").read_text())
    return Clone(folder / "a clone"), subprocess.CompletedProcess([], code, out, err)


@pytest.fixture
def finished(first_run: tuple[Clone, subprocess.CompletedProcess[str]], tmp_path: Path) -> Clone:
    """A clone of its own with the results of the first run."""
    made, done = first_run
    assert done.returncode == 0, done.stdout + done.stderr
    shutil.copytree(made.folder, tmp_path / "a copy", symlinks=True)
    return Clone(tmp_path / "a copy")
