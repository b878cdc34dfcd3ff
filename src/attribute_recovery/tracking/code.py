"""The digest of what a function can reach in the package, so that a rule runs again when its code changes.

Snakemake sees edits to a script and none to what the script imports. The digest goes into the rule's
`params`; it is taken over syntax trees, so that a comment does not retrain a network, and statically, so that
reading the Snakefile does not import torch. Where a reference cannot be told apart, more is included rather
than less. Not followed: objects that the package gets from outside, and names put together at run time.
"""

import hashlib
import importlib.util
import re
from collections.abc import Sequence
from pathlib import Path

from attribute_recovery.tracking.digest import file_entries
from attribute_recovery.tracking.syntax import DYNAMIC_IMPORTS, Import, Module

PACKAGE = "attribute_recovery"


def code_digest(
    entry: str, *, data: Sequence[str | Path] = (), package: str = PACKAGE, package_dir: Path | None = None
) -> str:
    """SHA-256 over the syntax trees of all that a function can reach inside the package.

    Args:
        entry: `package.module:function`, `package.module:Class`, or `package.module` for all of it.
        data: Files and folders of the package that the code reads, relative to the package's folder.
        package: Name of the package; what lies outside of it is not followed.
        package_dir: Its folder; found without importing it if None.

    Returns:
        64 hexadecimal digits.

    Raises:
        ValueError: The package, the entry or a data file is not there.
    """
    return PackageCode(package, package_dir=package_dir).digest(entry, data=data)


class PackageCode:
    """The source of one package, each file read once; for several digests in a row.

    Attributes:
        package: Name of the package.

    Args:
        package: Name of the package.
        package_dir: Its folder; found without importing it if None.

    Raises:
        ValueError: There is no such package.
    """

    def __init__(self, package: str = PACKAGE, *, package_dir: Path | None = None) -> None:
        self.package = package
        self._folder = package_dir if package_dir is not None else _package_folder(package)
        self._modules: dict[str, Module | None] = {}

    def digest(self, entry: str, *, data: Sequence[str | Path] = ()) -> str:
        """As `code_digest`.

        Args:
            entry: `package.module:name`, or `package.module`.
            data: Files and folders relative to the package's folder.

        Returns:
            64 hexadecimal digits.

        Raises:
            ValueError: The entry or a data file is not there.
        """
        digest = hashlib.sha256(f"{entry}\n".encode())
        for module, index in self._reach(entry):
            digest.update(f"{module.name}\n{module.dump(index)}\n".encode())
        for file in file_entries([self._folder / path for path in data], self._folder):
            # Bytecode holds the time of its source, so it is another one after each installation.
            if "__pycache__" in file.path:
                continue
            digest.update(f"{file.path}\n{file.sha256}\n".encode())
        return digest.hexdigest()

    def reached(self, entry: str) -> list[str]:
        """The names that the digest of `entry` covers, sorted; to see why a rule ran again.

        Args:
            entry: `package.module:name`, or `package.module`.

        Returns:
            `package.module:name` each; `:line 3` stands for a statement that binds no name.

        Raises:
            ValueError: The entry is not there.
        """
        return sorted({f"{module.name}:{module.label(index)}" for module, index in self._reach(entry)})

    def module(self, name: str) -> Module | None:
        """The parsed module of that dotted name; None if the package has none."""
        if name not in self._modules:
            path = self._module_path(name)
            self._modules[name] = Module(path, name) if path else None
        return self._modules[name]

    def modules_below(self, name: str) -> list[Module]:
        """The module of that name and, if it is a package or a plain folder, all below it."""
        first, *rest = name.split(".")
        if first != self.package:
            return []
        dotted = [name, *map(self._dotted_name, sorted(self._folder.joinpath(*rest).rglob("*.py")))]
        return [module for each in dict.fromkeys(dotted) if (module := self.module(each))]

    def _reach(self, entry: str) -> list[tuple[Module, int]]:
        module_name, _, name = entry.partition(":")
        module = self.module(module_name)
        if module is None:
            raise ValueError(f"entry {entry!r}: the package {self.package} has no module {module_name}")
        first = name.split(".")[0]
        if first and first not in module.bindings and first not in module.imports:
            raise ValueError(f"entry {entry!r}: the module {module_name} does not define {first}")
        return _Walk(self).reach(module, first)

    def _module_path(self, name: str) -> Path | None:
        first, *rest = name.split(".")
        if first != self.package:
            return None
        base = self._folder.joinpath(*rest)
        for path in (base / "__init__.py", base.with_suffix(".py")) if rest else (base / "__init__.py",):
            if path.is_file():
                return path
        return None

    def _dotted_name(self, file: Path) -> str:
        parts = file.relative_to(self._folder).with_suffix("").parts
        return ".".join([self.package, *(part for part in parts if part != "__init__")])


class _Walk:
    """One walk from an entry over everything that it reaches."""

    def __init__(self, code: PackageCode) -> None:
        self._code = code
        self._seen: set[tuple[str, int]] = set()
        self._pending: list[tuple[Module, int]] = []
        self._followed: dict[tuple[str, tuple[str, ...]], bool] = {}
        self._run: set[str] = set()

    def reach(self, module: Module, name: str) -> list[tuple[Module, int]]:
        reached = []
        if name:
            self._follow_name(module, (name,))
        else:
            self._add_module(module)
        while self._pending:
            current, index = self._pending.pop()
            reached.append((current, index))
            self._follow_uses(current, index)
        return sorted(reached, key=lambda unit: (unit[0].name, unit[1]))

    def _add(self, module: Module, index: int) -> None:
        if (module.name, index) not in self._seen:
            self._seen.add((module.name, index))
            self._pending.append((module, index))
            self._run_module(module.name)

    def _add_module(self, module: Module) -> None:
        for index in module.all_statements():
            self._add(module, index)
        self._run_module(module.name)

    def _run_module(self, name: str) -> None:
        """Includes the effects of a module's import: its own, its parents' and those of what it imports."""
        pending = [name]
        while pending:
            current = pending.pop()
            if current in self._run:
                continue
            self._run.add(current)
            module = self._code.module(current)
            if "." in current:
                pending.append(current.rpartition(".")[0])
            if module is None:
                continue
            for index in module.effects:
                self._add(module, index)
            pending.extend(
                entry.loads if entry.name is None else f"{entry.loads}.{entry.name}"
                for entry in module.all_imports()
            )

    def _follow_uses(self, module: Module, index: int) -> None:
        uses = module.uses(index)
        inner: dict[str, list[Import]] = {}
        for entry in uses.imports:
            inner.setdefault(entry.binds, []).append(entry)
            self._run_module(entry.loads)
            if entry.name == "*":
                self._follow_module(entry.module, ())
        # Sorted, so that the walk is the same in every process, whatever the hashes of strings there.
        for chain in sorted(uses.chains):
            for entry in inner.get(chain[0], []):
                self._follow_import(entry, chain[1:])
            self._follow_name(module, chain)
            if not DYNAMIC_IMPORTS.isdisjoint(chain):
                self._add_neighbours(module)
        for text in sorted(uses.strings):
            self._follow_string(text)

    def _follow_name(self, module: Module, chain: tuple[str, ...]) -> bool:
        """Follows a name as the module sees it; False if the module does not bind it."""
        key = (module.name, chain)
        if key not in self._followed:
            # Set before, since modules may import from each other in a circle.
            self._followed[key] = chain[0] in module.bindings or chain[0] in module.imports
            for index in module.bindings.get(chain[0], []):
                self._add(module, index)
            for entry in module.imports.get(chain[0], []):
                self._follow_import(entry, chain[1:])
            if not self._followed[key]:
                stars = [star for name in module.stars if (star := self._code.module(name))]
                self._followed[key] = True in [self._follow_name(star, chain) for star in stars]
        return self._followed[key]

    def _follow_import(self, entry: Import, rest: tuple[str, ...]) -> None:
        self._follow_module(entry.module, rest if entry.name is None else (entry.name, *rest))

    def _follow_module(self, name: str, chain: tuple[str, ...]) -> None:
        module = self._code.module(name)
        below = f"{name}.{chain[0]}" if chain else ""
        if module is None:
            # A folder without __init__.py may still hold modules.
            if chain and name.split(".")[0] == self._code.package:
                self._follow_module(below, chain[1:])
            return
        self._run_module(name)
        if chain and self._follow_name(module, chain):
            return
        if chain and self._code.module(below):
            self._follow_module(below, chain[1:])
            return
        self._add_module(module)

    def _follow_string(self, text: str) -> None:
        """A string like `package.decoder.train:run` may be imported by name, `package.` begin a name."""
        match = re.fullmatch(r"([A-Za-z_]\w*)((?:\.\w*)*)(:[\w.]+)?", text)
        if match is None or match.group(1) != self._code.package:
            return
        name = match.group(1) + match.group(2)
        if name.endswith("."):
            modules = self._code.modules_below(name.rstrip("."))
        else:
            while self._code.module(name) is None and "." in name:
                name = name.rpartition(".")[0]
            modules = [module] if (module := self._code.module(name)) else []
        for each in modules:
            self._add_module(each)

    def _add_neighbours(self, module: Module) -> None:
        home = module.name if module.is_package else module.name.rpartition(".")[0]
        for each in self._code.modules_below(home):
            self._add_module(each)


def _package_folder(package: str) -> Path:
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise ValueError(f"package {package!r} is not installed")
    return Path(next(iter(spec.submodule_search_locations)))
