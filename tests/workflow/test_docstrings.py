"""The sections that a docstring has are held against the signature by pydoclint."""

import ast
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
# What pydoclint says where a section is missing altogether; a docstring may do without one.
SECTION = {"DOC103": "Args:", "DOC201": "Returns:", "DOC203": "Returns:", "DOC402": "Yields:"}
# Told by DOC103 too, with the names.
TOLD_TWICE = ("DOC101", "DOC102")


def docstrings(path: Path) -> dict[int, str]:
    """Docstrings by the line that the definition begins on."""
    nodes = ast.walk(ast.parse(path.read_text()))
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    return {node.lineno: ast.get_docstring(node) or "" for node in nodes if isinstance(node, kinds)}


def names_differ(message: str) -> bool:
    """Whether signature and docstring name other arguments; `low, high: ends` names two."""
    signature = re.search(r"in the function signature but not in the docstring: \[(.*?)\]\.", message)
    docstring = re.search(r"in the docstring but not in the function signature: \[(.*?)\]\.", message)
    if signature is None or docstring is None:
        return True
    return set(re.findall(r"(\w+): ", signature.group(1))) != set(re.findall(r"\w+", docstring.group(1)))


def test_documented_arguments_are_those_of_the_signature():
    done = subprocess.run(
        [sys.executable, "-m", "pydoclint.main", "--quiet", "--config", "pyproject.toml", "src"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    faults, path, known = [], Path(), {}
    for line in (done.stdout + done.stderr).splitlines():
        if line.endswith(".py"):
            path = ROOT / line.strip()
            known = docstrings(path)
        elif found := re.match(r"\s+(\d+): (DOC\d+): (.*)", line):
            number, code, message = int(found.group(1)), found.group(2), found.group(3)
            absent = code in SECTION and SECTION[code] not in known.get(number, "")
            same = code == "DOC103" and not names_differ(message)
            if code not in TOLD_TWICE and not absent and not same:
                faults.append(f"{path.relative_to(ROOT)}:{number}: {code} {message}")
    assert not faults, "\n".join(faults)
