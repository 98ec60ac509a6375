"""Which definitions of this package a piece of code can reach, and a digest of them.

Read from the sources, nothing is imported. A definition is a function, a class with
its methods, or a constant at the top level of a module. It reaches what the names in it
stand for: in its module, through imports, as ``module.attribute``, as decorator, base
class or default. Where names do not say what is meant (a module handed on as a value or
named in a string, a star import, ``eval``), the whole module is reached; where the name
of a module is computed, all modules, or what is taken from it in all modules
(``import_module(name).METHOD``). Statements at the top level that do more than define a
name are reached with every module that is imported on the way.

What counts of a definition says `tessphot_lib.core.code_syntax`; the digest is the same for
all versions of Python, and does not depend on where the files are.
"""

import ast
import hashlib
import os
from pathlib import Path

from tessphot_lib.core.code_syntax import Definition, Module, read_module


class Library:
    """The sources of a package.

    Parameters
    ----------
    root : Path
        The folder that holds the package.
    package : str
        Its name.
    """

    def __init__(self, root: Path, package: str) -> None:
        self.root = root
        self.package = package
        self._modules: dict[str, Module | None] = {}
        self._splits: dict[str, tuple[str, list[str]]] = {}

    def digest(self, module: str, entry: str) -> str:
        """Digest what `reached` names, 64 hexadecimal digits."""
        return self._reach(module, entry).digest()

    def reached(self, module: str, entry: str) -> set[str]:
        """Name what the functions of a module can reach whose names begin with ``entry``.

        What the whole module can reach, if it has none of these.

        Returns
        -------
        set of str
            ``module:name``; ``module:`` for what runs when a module is imported.
        """
        return {":".join(key) for key in self._reach(module, entry).lines}

    def _reach(self, module: str, entry: str) -> "_Reach":
        start, reach = self.module(module), _Reach(self)
        names = [] if start is None else [n for n in start.definitions if n.startswith(entry)]
        for name in names:
            reach.name(module, name)
        if not names:
            reach.whole(module)
        reach.follow()
        return reach

    def modules(self) -> list[str]:
        """Dotted names of all modules, sorted."""
        each = (path.relative_to(self.root).with_suffix("").parts for path in self._files())
        return sorted(".".join(parts[:-1] if parts[-1] == "__init__" else parts) for parts in each)

    def sources_digest(self) -> str:
        """Digest all sources as they are."""
        digest = hashlib.sha256()
        for path in self._files():
            source = path.read_bytes()
            name = path.relative_to(self.root).as_posix()
            digest.update(f"{name} {len(source)}\n".encode())
            digest.update(source)
        return digest.hexdigest()

    def _files(self) -> list[Path]:
        """All modules, sorted; folders may be links."""
        folders = os.walk(self.root / self.package, followlinks=True)
        found = (Path(folder, name) for folder, _, names in folders for name in names)
        return sorted(path for path in found if path.suffix == ".py")

    def split(self, dotted: str) -> tuple[str, list[str]]:
        """Divide a dotted name into the longest module that there is, and the rest."""
        found = self._splits.get(dotted)
        if found is None:
            head, _, last = dotted.rpartition(".")
            if self.module(dotted) is not None or not head:
                found = dotted, []
            else:
                module, rest = self.split(head)
                found = module, [*rest, last]
            self._splits[dotted] = found
        return found

    def known(self, name: str) -> Module:
        """Read a module or package that there is."""
        module = self.module(name)
        if module is None:
            raise KeyError(name)
        return module

    def module(self, name: str) -> Module | None:
        """Read a module or package; None if this package has none of that name."""
        if name not in self._modules:
            self._modules[name] = self._read(name)
        return self._modules[name]

    def _read(self, name: str) -> Module | None:
        if name.split(".", 1)[0] != self.package:
            return None
        place = self.root.joinpath(*name.split("."))
        for path, base in ((place.with_suffix(".py"), False), (place / "__init__.py", True)):
            if path.is_file():
                module = read_module(ast.parse(path.read_bytes()), name, is_package=base)
                if name == self.package:
                    module.definitions.pop("__version__", None)  # a release changes no product
                return module
        return Module() if place.is_dir() else None


class _Reach:
    """What has been reached so far, in a library."""

    def __init__(self, library: Library) -> None:
        self.library = library
        self.lines: dict[tuple[str, str], list[str]] = {}  # of each definition, by name
        self.waiting: list[tuple[str, str]] = []
        self.imported: set[str] = set()
        self.wholes: set[str] = set()

    def follow(self) -> None:
        """Follow all names, to what they lead to."""
        while self.waiting:
            module, name = self.waiting.pop()
            found = self.library.known(module)
            statements = found.definitions[name] if name else found.running
            self.lines[module, name] = [self._line(module, one) for one in statements]

    def digest(self) -> str:
        """Digest the definitions, and what their names stand for."""
        lines = (f"{' '.join(key)} {line}\n" for key, all_ in self.lines.items() for line in all_)
        return hashlib.sha256("".join(sorted(lines)).encode()).hexdigest()

    def name(self, module: str, name: str) -> None:
        """Reach what a module defines by a name, or with none what runs in it."""
        if (module, name) not in self.lines:
            self.lines[module, name] = []
            self.waiting.append((module, name))
            self.importing(module)

    def whole(self, module: str) -> None:
        """Reach all that can be had from a module."""
        found = self.library.module(module)
        if found is None or module in self.wholes:
            return
        self.wholes.add(module)
        self.importing(module)
        for name in found.definitions:
            self.name(module, name)
        for target in found.imports.values():
            self.target(target)

    def importing(self, module: str) -> None:
        """Reach what runs when a module is imported: its own, its packages', its imports'."""
        waiting = [module]
        while waiting:
            name = waiting.pop()
            found = self.library.module(name)
            if found is None or name in self.imported:
                continue
            self.imported.add(name)
            waiting += [name.rpartition(".")[0], *(self.library.split(m)[0] for m in found.modules)]
            for star in found.stars:
                self.target(star)
            if found.running:
                self.name(name, "")

    def target(self, dotted: str) -> str:
        """Reach what a dotted name stands for, and say where that is."""
        module, rest = self.library.split(dotted)
        found = self.library.module(module)
        if found is None:
            return dotted
        if rest and rest[0] in found.definitions:
            self.name(module, rest[0])
            return f"{module}:{rest[0]}"
        if rest and rest[0] in found.imports:
            return self.target(".".join([found.imports[rest[0]], *rest[1:]]))
        self.whole(module)
        return f"{module}:"

    def _line(self, module: str, statement: Definition) -> str:
        """Reach what is used in a statement; its digest, and where its names lead."""
        found = self.library.known(module)
        edges = set()
        for use in statement.uses:
            for imports in (statement.imports, found.imports):
                if use[0] in imports:
                    edges.add(f"{use[0]}={self._imported(imports[use[0]], use[1:])}")
            if use[0] in found.definitions:
                self.name(module, use[0])
        for imported in statement.modules:
            self.importing(self.library.split(imported)[0])
        for string in statement.strings:
            if self.library.module(string) is not None:
                self.whole(string)
        if statement.takes_module:
            self.whole(module)
        if statement.computed:
            for other in self.library.modules():
                self._take(other, statement.computed)
        return f"{statement.digest} {' '.join(sorted(edges))}"

    def _take(self, module: str, names: set[str]) -> None:
        """Reach what can be had from a module by some names, if it has them."""
        found = self.library.known(module)
        for name in names:
            if not name:
                self.whole(module)
            elif name in found.definitions or name in found.imports:
                self.target(f"{module}.{name}")

    def _imported(self, dotted: str, rest: tuple[str, ...]) -> str:
        """Reach what attributes of an imported name stand for."""
        if dotted.split(".", 1)[0] != self.library.package:
            return dotted
        return self.target(".".join([dotted, *rest]))
