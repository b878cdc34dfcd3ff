"""One module's definitions, imports and references, on small sources."""

from pathlib import Path

import pytest

from attribute_recovery.tracking.syntax import Import, Module


def module(tmp_path: Path, source: str, *, name: str = "pkg.sub.mod", file: str = "mod.py") -> Module:
    (tmp_path / file).write_text(source)
    return Module(tmp_path / file, name)


def test_names_are_bound_by_definitions_assignments_and_blocks(tmp_path: Path) -> None:
    source = "def f(): ...\nclass C: ...\na, (b, *c) = 1, (2, 3)\nd: int = 1\nd += 1\nif a:\n    e = 1\n"
    found = module(tmp_path, source)
    expected = {"f": [0], "C": [1], "a": [2], "b": [2], "c": [2], "d": [3, 4], "e": [5]}
    assert found.bindings == expected
    assert found.effects == []
    assert found.label(2) == "a, b, c"


@pytest.mark.parametrize(
    ("source", "effect"),
    [
        ("print(1)", True),
        ("TABLE['a'] = 1", True),
        ("for name in (): x = name", True),
        ("if 1:\n    print(2)", True),
        ("try:\n    import json\nexcept ImportError:\n    json = None", False),
        ("'''words'''", False),
        ("if __name__ == '__main__':\n    print(1)", False),
        ("from pkg.registry import register\n@register\ndef f(): ...", True),
        ("from functools import cache\n@cache\ndef f(): ...", False),
    ],
)
def test_effects_are_what_acts_by_the_import_alone(tmp_path: Path, source: str, effect: bool) -> None:
    assert bool(module(tmp_path, source).effects) is effect


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("import a.b", Import("a", None, "a", "a.b")),
        ("import a.b as c", Import("a.b", None, "c", "a.b")),
        ("from a.b import c as d", Import("a.b", "c", "d", "a.b")),
        ("from . import c", Import("pkg.sub", "c", "c", "pkg.sub")),
        ("from ..x import c", Import("pkg.x", "c", "c", "pkg.x")),
    ],
)
def test_imports_are_made_absolute(tmp_path: Path, source: str, expected: Import) -> None:
    assert module(tmp_path, source).all_imports() == [expected]
    inside = module(tmp_path, f"def f():\n    {source}")
    assert inside.all_imports() == []
    assert inside.uses(0).imports == (expected,)


def test_a_package_s_own_imports_start_at_itself(tmp_path: Path) -> None:
    found = module(tmp_path, "from .x import c\nfrom .y import *", name="pkg.sub", file="__init__.py")
    assert [entry.module for entry in found.all_imports()] == ["pkg.sub.x", "pkg.sub.y"]
    assert found.stars == ["pkg.sub.y"]


def test_uses_hold_the_longest_chains_and_the_strings_but_no_docstrings(tmp_path: Path) -> None:
    source = "def f(x: T = D) -> R:\n    '''Words.'''\n    return a.b.c(x)[0].d + g(f'pkg.{x}')\n"
    uses = module(tmp_path, source).uses(0)
    assert uses.chains == {("T",), ("D",), ("R",), ("a", "b", "c"), ("x",), ("g",)}
    assert uses.strings == {"pkg."}


def test_dumps_pass_over_comments_docstrings_and_lines(tmp_path: Path) -> None:
    plain = module(tmp_path, "class C:\n    def f(self):\n        return 1\n")
    wordy = module(
        tmp_path, "\n\nclass C:\n    '''D.'''\n    def f(self):\n        '''E.'''\n        return 1  # x\n"
    )
    other = module(tmp_path, "class C:\n    def f(self):\n        return 2\n")
    assert plain.dump(0) == wordy.dump(0)
    assert plain.dump(0) != other.dump(0)
