"""The house rules that a machine can hold: floors, mirrored tests, lengths."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src" / "attribute_recovery"
MODULES = sorted(path for path in SOURCE.rglob("*.py") if path.name != "__init__.py")
FLOORS = {
    "statistics": 1,
    "tracking": 1,
    "config": 1,
    "dataset": 2,
    "training": 2,
    "report": 2,
    "generator": 3,
    "recognizer": 3,
    "embeddings": 4,
    "attributes": 4,
    "decoder": 5,
    "recovery": 6,
    "significance": 7,
    "counterfactuals": 7,
    "folds": 8,
    "cli": 8,
}
LONGEST_FUNCTION = 60
LONGEST_FILE = 400


def room(parts: tuple[str, ...]) -> str:
    """The folder, or the module, right below the package; `config_files` and the like belong to `config`."""
    first = parts[0].removesuffix(".py")
    return "config" if first.startswith("config_") else first


def imported_rooms(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        names = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
        names += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom) and node.module == "attribute_recovery":
            names += [f"attribute_recovery.{alias.name}" for alias in node.names]
        found |= {
            room(tuple(name.split(".")[1:])) for name in names if name.startswith("attribute_recovery.")
        }
    return found


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_imports_go_down_or_stay_on_the_floor(path):
    own = room(path.relative_to(SOURCE).parts)
    for other in imported_rooms(path):
        assert FLOORS[other] <= FLOORS[own], f"{own} imports {other}, which is on a floor above"


def test_rooms_of_one_floor_do_not_import_each_other_in_a_circle():
    graph: dict[str, set[str]] = {name: set() for name in FLOORS}
    for path in MODULES:
        own = room(path.relative_to(SOURCE).parts)
        graph[own] |= imported_rooms(path) - {own}
    while leaves := [name for name, others in graph.items() if not others & graph.keys()]:
        for name in leaves:
            del graph[name]
    assert not graph


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_each_module_has_its_test(path):
    relative = path.relative_to(SOURCE)
    assert (ROOT / "tests" / relative.parent / f"test_{relative.name}").is_file()


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_files_and_functions_are_short(path):
    text = path.read_text()
    assert len(text.splitlines()) < LONGEST_FILE
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef):
            docstring = node.body[0].end_lineno if ast.get_docstring(node) else node.lineno
            length = (node.end_lineno or 0) - max(docstring or 0, node.body[0].lineno - 1)
            assert length <= LONGEST_FUNCTION, f"{node.name} has {length} lines"
