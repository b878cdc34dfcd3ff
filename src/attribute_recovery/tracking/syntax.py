"""One module's source as definitions and the names that each of them uses; nothing is imported or run."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

DYNAMIC_IMPORTS = frozenset({"import_module", "__import__"})


@dataclass(frozen=True)
class Import:
    """What an import statement binds.

    Attributes:
        module: Absolute dotted name of the module imported (from).
        name: What is taken from it; None where the module itself is bound, `*` for a star import.
        binds: The local name.
        loads: The modules that the statement runs besides, such as `a.b` of `import a.b`.
    """

    module: str
    name: str | None
    binds: str
    loads: str


@dataclass(frozen=True)
class Uses:
    """What a statement refers to.

    Attributes:
        chains: Dotted names, `("np", "linalg", "norm")` for `np.linalg.norm`.
        imports: Imports inside it.
        strings: Its string constants; of an f-string the constant parts.
    """

    chains: frozenset[tuple[str, ...]]
    imports: tuple[Import, ...]
    strings: frozenset[str]


class Module:
    """A parsed module.

    Args:
        path: Its file.
        name: Its absolute dotted name.

    Attributes:
        name: Its absolute dotted name.
        is_package: Whether it is an `__init__.py`.
        bindings: For each name bound at the top level otherwise than by import, the statements that bind it.
        imports: For each name that a top-level import binds, those imports.
        stars: Modules of which all names are imported.
        effects: Statements that do more than bind a name, and so act by the mere import of the module.
    """

    def __init__(self, path: Path, name: str) -> None:
        self.name = name
        self.is_package = path.name == "__init__.py"
        self._statements = ast.parse(path.read_bytes(), filename=str(path)).body
        self._dumps: dict[int, str] = {}
        self._uses: dict[int, Uses] = {}
        self.bindings: dict[str, list[int]] = {}
        self.imports: dict[str, list[Import]] = {}
        self.stars: list[str] = []
        self.effects: list[int] = []
        for index, statement in enumerate(self._statements):
            self._index(index, statement)
        self.effects += [i for i, s in enumerate(self._statements) if self._is_registered(s)]

    def all_statements(self) -> range:
        """Indices of all top-level statements."""
        return range(len(self._statements))

    def all_imports(self) -> list[Import]:
        """The imports at the top level, star imports too."""
        stars = [Import(module, "*", "*", module) for module in self.stars]
        return [entry for entries in self.imports.values() for entry in entries] + stars

    def dump(self, index: int) -> str:
        """The syntax tree of a top-level statement as text, without docstrings, comments and line numbers."""
        if index not in self._dumps:
            # Collecting the names is what removes the docstrings.
            self.uses(index)
            self._dumps[index] = ast.dump(self._statements[index], annotate_fields=False)
        return self._dumps[index]

    def uses(self, index: int) -> Uses:
        """What a top-level statement refers to."""
        if index not in self._uses:
            self._uses[index] = self._collect(self._statements[index])
        return self._uses[index]

    def label(self, index: int) -> str:
        """The names that a top-level statement binds, or its line."""
        names = [name for name, indices in self.bindings.items() if index in indices]
        return ", ".join(names) or f"line {self._statements[index].lineno}"

    def _index(self, index: int, statement: ast.stmt) -> None:
        if isinstance(statement, ast.Import | ast.ImportFrom):
            self._add_imports(statement)
        elif isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            self.bindings.setdefault(statement.name, []).append(index)
        elif isinstance(statement, ast.Assign | ast.AnnAssign | ast.AugAssign):
            self._index_assignment(index, statement)
        elif isinstance(statement, ast.If | ast.Try | ast.With | ast.For | ast.While):
            self._index_block(index, statement)
        elif not _is_string(statement) and not isinstance(statement, ast.Pass):
            self.effects.append(index)

    def _index_assignment(self, index: int, statement: ast.Assign | ast.AnnAssign | ast.AugAssign) -> None:
        targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
        for target in targets:
            for name in _bound_names(target):
                self.bindings.setdefault(name, []).append(index)
            if any(isinstance(node, ast.Subscript | ast.Attribute) for node in ast.walk(target)):
                self.effects.append(index)

    def _index_block(self, index: int, statement: ast.stmt) -> None:
        if _is_main_guard(statement):
            return
        if isinstance(statement, ast.With | ast.For | ast.While):
            self.effects.append(index)
        for inner in _inner_statements(statement):
            self._index(index, inner)

    def _is_registered(self, statement: ast.stmt) -> bool:
        """Whether a decorator of the package may put the definition where others find it unnamed."""
        if not isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            return False
        root = self.name.split(".")[0]
        for decorator in statement.decorator_list:
            for chain in _chains(decorator.func if isinstance(decorator, ast.Call) else decorator):
                origins = {entry.module.split(".")[0] for entry in self.imports.get(chain[0], [])}
                if chain[0] in self.bindings or root in origins:
                    return True
        return False

    def _add_imports(self, statement: ast.Import | ast.ImportFrom) -> None:
        for entry in self._imports_of(statement):
            if entry.name == "*":
                self.stars.append(entry.module)
            else:
                self.imports.setdefault(entry.binds, []).append(entry)

    def _imports_of(self, statement: ast.Import | ast.ImportFrom) -> Iterator[Import]:
        if isinstance(statement, ast.Import):
            for alias in statement.names:
                bound = alias.name if alias.asname else alias.name.split(".")[0]
                yield Import(bound, None, alias.asname or bound, alias.name)
            return
        module = statement.module or ""
        if statement.level:
            parts = self.name.split(".")
            kept = len(parts) - statement.level + self.is_package
            module = ".".join(parts[:kept] + ([module] if module else []))
        for alias in statement.names:
            yield Import(module, alias.name, alias.asname or alias.name, module)

    def _collect(self, statement: ast.stmt) -> Uses:
        chains: set[tuple[str, ...]] = set()
        imports: list[Import] = []
        strings: set[str] = set()
        for node in _nodes(statement, chains):
            if isinstance(node, ast.Import | ast.ImportFrom):
                imports.extend(self._imports_of(node))
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                strings.add(node.value)
        return Uses(frozenset(chains), tuple(imports), frozenset(strings))


def _nodes(node: ast.AST, chains: set[tuple[str, ...]]) -> Iterator[ast.AST]:
    """The nodes below `node` but for names; these and attribute accesses on them go into `chains`.

    Of a chain the longest only. Docstrings are removed on the way: one walk for all, since the Snakefile
    waits for it.
    """
    pending: list[ast.AST] = [node]
    while pending:
        current = pending.pop()
        attributes: list[str] = []
        while isinstance(current, ast.Attribute):
            attributes.append(current.attr)
            current = current.value
        if isinstance(current, ast.Name):
            chains.add((current.id, *reversed(attributes)))
            continue
        if isinstance(current, ast.stmt | ast.ExceptHandler | ast.match_case):
            _remove_docstrings(current)
        yield current
        pending.extend(ast.iter_child_nodes(current))


def _chains(node: ast.AST) -> set[tuple[str, ...]]:
    chains: set[tuple[str, ...]] = set()
    for _ in _nodes(node, chains):
        pass
    return chains


def _bound_names(target: ast.expr) -> Iterator[str]:
    if isinstance(target, ast.Name):
        yield target.id
    elif isinstance(target, ast.Tuple | ast.List):
        for element in target.elts:
            yield from _bound_names(element)
    elif isinstance(target, ast.Starred):
        yield from _bound_names(target.value)


def _inner_statements(statement: ast.stmt) -> Iterator[ast.stmt]:
    for child in ast.iter_child_nodes(statement):
        if isinstance(child, ast.stmt):
            yield child
        elif isinstance(child, ast.ExceptHandler):
            yield from child.body


def _is_string(statement: ast.stmt) -> bool:
    return (
        isinstance(statement, ast.Expr)
        and isinstance(statement.value, ast.Constant)
        and isinstance(statement.value.value, str)
    )


def _is_main_guard(statement: ast.stmt) -> bool:
    return isinstance(statement, ast.If) and any(chain == ("__name__",) for chain in _chains(statement.test))


def _remove_docstrings(node: ast.AST) -> None:
    for field in ("body", "orelse", "finalbody"):
        block = getattr(node, field, None)
        if block:
            setattr(node, field, [inner for inner in block if not _is_string(inner)])
