"""Which definitions of this package a piece of code can reach, and a digest of them.

Read from the sources, nothing is imported. A definition is a function, a class with
its methods, or a constant at the top level of a module. It reaches what the names in it
stand for: in its module, through imports, as ``module.attribute``, as decorator, base
class or default. Where names do not say what is meant (a module handed on as a value or
named in a string, a star import, ``eval``), the whole module is reached; where the name
of a module is computed, all modules, or what is taken from it in all modules
(``import_module(name).METHOD``). Statements at the top level that do more than define a
name are reached with every module that is imported on the way.

Comments, docstrings, formatting, the type hints of functions and what settings say of
themselves do not count, but hints in classes do (dataclasses read them). The digest is of
the syntax tree, written in a form that is the same for all versions of Python, and does
not depend on where the files are.
"""

import ast
import hashlib
import os
from collections.abc import Callable, Container, Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import ClassVar

# Decorators that neither register what they decorate nor read its type hints.
QUIET_DECORATORS = {
    "cache",
    "cached_property",
    "classmethod",
    "contextmanager",
    "dataclass",
    "lru_cache",
    "property",
    "staticmethod",
    "wraps",
}
ANY_NAME = {"eval", "exec", "globals"}  # these can use each name of their module
ANY_MODULE = {"import_module", "__import__"}  # these can import each module
# Declarations of settings (`core.settings_base`): only the default, the first argument,
# counts; the others describe it to readers of the configuration and to its check.
DECLARATIONS = {"setting", "section"}
UNWRITTEN = {"ctx", "kind", "type_comment"}  # fields of syntax trees that say nothing


@dataclass
class Definition:
    """A statement of a module: its syntax tree as text, and what its names may stand for.

    Attributes
    ----------
    words : list of str
        The syntax tree, without what does not count.
    hints : set of str
        Names in type hints and descriptions, which do not count.
    uses : set of tuple of str
        Names and chains of attributes: ``numpy.pi`` is ``("numpy", "pi")``.
    imports : dict
        Local name to dotted name, of imports inside.
    modules : set of str
        Dotted names of imports inside, which may be modules.
    strings : set of str
        Strings that look like dotted names.
    takes_module : bool
        Whether it can use everything in its module.
    computed : set of str
        What it takes from modules whose names are computed; an empty name for everything.
    """

    words: list[str] = field(default_factory=list)
    hints: set[str] = field(default_factory=set)
    uses: set[tuple[str, ...]] = field(default_factory=set)
    imports: dict[str, str] = field(default_factory=dict)
    modules: set[str] = field(default_factory=set)
    strings: set[str] = field(default_factory=set)
    takes_module: bool = False
    computed: set[str] = field(default_factory=set)

    @cached_property
    def digest(self) -> str:
        """Digest of the syntax tree."""
        return hashlib.sha256(" ".join(self.words).encode()).hexdigest()


@dataclass
class Module:
    """The statements of a module, by the names that they define."""

    definitions: dict[str, list[Definition]] = field(default_factory=dict)
    imports: dict[str, str] = field(default_factory=dict)
    modules: set[str] = field(default_factory=set)  # imported when it is imported
    running: list[Definition] = field(default_factory=list)  # more than definitions
    stars: set[str] = field(default_factory=set)  # modules of star imports


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
                module = _read_module(ast.parse(path.read_bytes()), name, is_package=base)
                if name == self.package:
                    module.definitions.pop("__version__", None)  # a release changes no product
                return module
        return Module() if place.is_dir() else None


def syntax_digest(source: bytes) -> str:
    """Digest a source by itself, without comments and docstrings, 64 hexadecimal digits."""
    words = (_Writer("").definition(statement).words for statement in ast.parse(source).body)
    return hashlib.sha256(" ".join(word for some in words for word in some).encode()).hexdigest()


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


def _read_module(tree: ast.Module, name: str, *, is_package: bool) -> Module:
    """Sort the statements of a module."""
    module = Module()
    package = name if is_package else name.rpartition(".")[0]
    imports, used = [], set()
    for node in tree.body:
        found = _Writer(package).definition(node)
        if isinstance(node, ast.Import | ast.ImportFrom):
            imports.append((node, found))
        elif found.words and not _is_for_type_checking(node):
            used |= {use[0] for use in found.uses} | found.hints
            _sort_in(module, node, found)
    for node, found in imports:
        module.imports |= found.imports
        module.modules |= found.modules
        if isinstance(node, ast.ImportFrom) and node.names[0].name == "*":
            module.stars |= found.modules
        is_ours = all(one.split(".", 1)[0] == name.split(".", 1)[0] for one in found.modules)
        if not is_ours and not used & set(found.imports):
            module.running.append(found)  # imported for what that does
    return module


def _sort_in(module: Module, node: ast.stmt, found: Definition) -> None:
    """Add a statement to those of its module that are none of its imports."""
    if _is_main(node):
        module.definitions["__main__"] = [found]
        return
    names = set(_names_bound(node, module.definitions))
    for name in names:
        module.definitions.setdefault(name, []).append(found)
    if not names or _runs(node):
        module.running.append(found)
    if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        module.imports |= found.imports
        module.modules |= found.modules


def _names_bound(node: ast.stmt | ast.ExceptHandler, known: Container[str]) -> Iterator[str]:
    """Names that a statement defines in its module, or whose value it changes."""
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        yield node.name
    elif isinstance(node, ast.Assign | ast.AnnAssign | ast.AugAssign):
        for target in node.targets if isinstance(node, ast.Assign) else [node.target]:
            for part in target.elts if isinstance(target, ast.Tuple | ast.List) else [target]:
                root = part
                while isinstance(root, ast.Subscript | ast.Attribute | ast.Starred):
                    root = root.value
                if isinstance(root, ast.Name) and (root is part or root.id in known):
                    yield root.id
    else:
        for inner in ast.iter_child_nodes(node):
            if isinstance(inner, ast.Name) and isinstance(inner.ctx, ast.Store):
                yield inner.id
            elif isinstance(inner, ast.stmt | ast.ExceptHandler):
                yield from _names_bound(inner, known)


def _runs(node: ast.stmt) -> bool:
    """Whether a statement may do more than define its names."""
    if isinstance(node, ast.Assign | ast.AnnAssign | ast.AugAssign):
        return False
    if isinstance(node, ast.ClassDef) and node.keywords:
        return True
    decorators = getattr(node, "decorator_list", None)
    return decorators is None or not all(map(_is_quiet, decorators))


def _is_quiet(decorator: ast.expr) -> bool:
    """Whether a decorator is known to do nothing but decorate."""
    function = decorator.func if isinstance(decorator, ast.Call) else decorator
    return getattr(function, "attr", getattr(function, "id", None)) in QUIET_DECORATORS


def _is_main(node: ast.stmt) -> bool:
    return (
        isinstance(node, ast.If)
        and isinstance(node.test, ast.Compare)
        and getattr(node.test.left, "id", None) == "__name__"
    )


def _is_for_type_checking(node: ast.stmt) -> bool:
    return (
        isinstance(node, ast.If)
        and not node.orelse
        and "TYPE_CHECKING" in (getattr(node.test, "id", ""), getattr(node.test, "attr", ""))
    )


class _Writer:
    """Writes the syntax tree of one statement as words, and collects its names."""

    def __init__(self, package: str) -> None:
        self.package = package
        self.found = Definition()

    def definition(self, node: ast.stmt) -> Definition:
        """Write a statement of a module."""
        self._write(node)
        return self.found

    def _write(self, node: ast.AST) -> None:
        special = self.SPECIAL.get(type(node))
        if special is None or not special(self, node):
            self._write_fields(node, node._fields)

    def _write_fields(self, node: ast.AST, fields: Iterable[str]) -> None:
        """Write ``(Kind field value ...)``; what is empty is left out, as versions differ."""
        words = self.found.words
        words.append("(" + type(node).__name__)
        for name in fields:
            value = getattr(node, name, None)
            if value is None or value == [] or name in UNWRITTEN:
                continue
            words.append(name)
            if isinstance(value, ast.AST):
                self._write(value)
            elif isinstance(value, list):
                words.append("[")
                for item in value:
                    if isinstance(item, ast.AST):
                        self._write(item)
                    else:
                        words.append(str(item))  # a name in ``global``, or the key of ``**``
                words.append("]")
            else:
                words.append(str(value))
        words.append(")")

    def _name(self, node: ast.Name) -> bool:
        self.found.words.append(node.id)
        self.found.uses.add((node.id,))
        if node.id in ANY_NAME:
            self.found.takes_module = True
        return True

    def _attribute(self, node: ast.Attribute) -> bool:
        chain, root = [node.attr], node.value
        while isinstance(root, ast.Attribute):
            chain.append(root.attr)
            root = root.value
        if not isinstance(root, ast.Name):
            if _has_computed_name(root):
                self.found.computed.add(chain[-1])
                self.found.words.append(".".join(reversed(chain)))
                self._write_fields(root, root._fields)
                return True
            return False
        chain.append(root.id)
        chain.reverse()
        self.found.words.append(".".join(chain))
        self.found.uses.add(tuple(chain))
        return True

    def _constant(self, node: ast.Constant) -> bool:
        value = node.value
        self.found.words.append(ascii(value))
        if type(value) is str and all(part.isidentifier() for part in value.split(".")):
            self.found.strings.add(value)
        return True

    def _call(self, node: ast.Call) -> bool:
        if _has_computed_name(node):
            self.found.computed.add("")
        if getattr(node.func, "id", None) not in DECLARATIONS or not node.args:
            return False
        self._write(node.func)
        self._write(node.args[0])
        for description in (*node.args[1:], *node.keywords):
            self._leave_out(description)
        return True

    def _expression(self, node: ast.Expr) -> bool:
        return isinstance(node.value, ast.Constant)  # a docstring, or nothing

    def _nothing(self, _: ast.AST) -> bool:
        return True

    def _import(self, node: ast.Import) -> bool:
        for alias in node.names:
            self.found.modules.add(alias.name)
            local = alias.asname or alias.name.split(".", 1)[0]
            self.found.imports[local] = alias.name if alias.asname else local
        return False

    def _import_from(self, node: ast.ImportFrom) -> bool:
        base = self.package.split(".")[: len(self.package.split(".")) - node.level + 1]
        base = [*(base if node.level else []), *([node.module] if node.module else [])]
        self.found.modules.add(".".join(base))
        for alias in node.names:
            if alias.name != "*":
                dotted = ".".join([*base, alias.name])
                self.found.modules.add(dotted)
                self.found.imports[alias.asname or alias.name] = dotted
        return False

    def _function(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
        hints = [one for one in (*_hints_of(node.args), node.returns) if one is not None]
        if all(map(_is_quiet, node.decorator_list)):
            for hint in hints:
                self._leave_out(hint)
        else:
            for hint in hints:
                self._write(hint)
        self._write_fields(node, [name for name in node._fields if name != "returns"])
        return True

    def _argument(self, node: ast.arg) -> bool:
        self.found.words.append(node.arg)
        return True

    def _class(self, node: ast.ClassDef) -> bool:
        for statement in node.body:
            if isinstance(statement, ast.AnnAssign):
                self._write(statement.annotation)
        return False

    def _annotated(self, node: ast.AnnAssign) -> bool:
        self._leave_out(node.annotation)
        self._write_fields(node, ("target", "value"))
        return True

    def _leave_out(self, hint: ast.AST) -> None:
        self.found.hints |= {one.id for one in ast.walk(hint) if isinstance(one, ast.Name)}

    SPECIAL: ClassVar[dict[type, Callable]] = {
        ast.Name: _name,
        ast.Attribute: _attribute,
        ast.Constant: _constant,
        ast.Call: _call,
        ast.Expr: _expression,
        ast.Pass: _nothing,
        ast.Import: _import,
        ast.ImportFrom: _import_from,
        ast.FunctionDef: _function,
        ast.AsyncFunctionDef: _function,
        ast.arg: _argument,
        ast.ClassDef: _class,
        ast.AnnAssign: _annotated,
    }


def _has_computed_name(node: ast.expr) -> bool:
    """Whether this imports a module whose name is not written there."""
    if not isinstance(node, ast.Call):
        return False
    if getattr(node.func, "attr", getattr(node.func, "id", None)) not in ANY_MODULE:
        return False
    name = node.args[0] if node.args else None
    return not isinstance(name, ast.Constant) or str(name.value).startswith(".")


def _hints_of(arguments: ast.arguments) -> Iterator[ast.expr | None]:
    """Type hints of the arguments of a function."""
    each = (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs)
    for one in (*each, arguments.vararg, arguments.kwarg):
        if one is not None:
            yield one.annotation
