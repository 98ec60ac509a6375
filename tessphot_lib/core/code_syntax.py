"""Sources of modules as text: what counts of their syntax, and what the names in it may stand for.

Comments, docstrings, formatting, the type hints of functions and what settings say of
themselves do not count, but hints in classes do (dataclasses read them). The text is of the
syntax tree, in a form that is the same for all versions of Python.
"""

import ast
import hashlib
from collections.abc import Callable, Container, Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
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


def syntax_digest(source: bytes) -> str:
    """Digest a source by itself, without comments and docstrings, 64 hexadecimal digits."""
    words = (_Writer("").definition(statement).words for statement in ast.parse(source).body)
    return hashlib.sha256(" ".join(word for some in words for word in some).encode()).hexdigest()


def read_module(tree: ast.Module, name: str, *, is_package: bool) -> Module:
    """Sort the statements of a module, given with its dotted name."""
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
