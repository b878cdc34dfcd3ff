"""What `make` says before anything is installed."""

import subprocess


def test_another_python_gets_one_sentence(clone):
    (clone.folder / ".venv").unlink()
    other = clone.folder / "python3.12"
    other.write_text("#!/bin/sh\nexit 1\n")
    other.chmod(0o755)
    done = subprocess.run(
        ["make", "--no-print-directory", "run", "PYTHON=./python3.12"],
        cwd=clone.folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode != 0
    sentence, make_says = done.stderr.splitlines()
    assert sentence.startswith("Python 3.11 is needed and was not found at ./python3.12; ")
    assert "***" in make_says
    assert not (clone.folder / ".venv").exists()


def test_make_alone_lists_what_there_is(clone):
    done = subprocess.run(["make"], cwd=clone.folder, capture_output=True, text=True, check=True)
    for target in ("run", "test", "ui", "lock", "clean"):
        assert f"make {target} " in done.stdout
