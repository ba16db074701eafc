"""What a plugin registers when it is imported, told without importing it.

The plugin's ``__init__.py`` is followed statement by statement (:mod:`brainscore_ops.plugins.interpreter`), as far as it is
made of plain values: loops over lists, f-strings, comprehensions, functions of its own, names from other files of the
library. What cannot be followed, and every registration that was not reached, is reported: none is passed over in silence.
"""

from __future__ import annotations

import ast
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from brainscore_ops.plugins import rules
from brainscore_ops.plugins.interpreter import Interpreter
from brainscore_ops.plugins.layout import REGISTRIES, shown
from brainscore_ops.plugins.values import Marker, Method, Registry, Scope, TooMuchError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from brainscore_ops.plugins.rules import SourceProblem

_FILLING = frozenset({"update", "setdefault", "__setitem__", "__ior__"})
_EMPTYING = frozenset({"pop", "popitem", "clear", "__delitem__"})
_READING = frozenset({"get", "keys", "values", "items", "copy", "__contains__", "__getitem__", "__len__"})


@dataclass(frozen=True)
class Registration:
    """An identifier that a plugin registers."""

    kind: str
    """models, benchmarks, data, stimulus_sets or metrics."""
    identifier: str
    file: str
    line: int


@dataclass(frozen=True)
class Findings:
    """What a plugin registers, and what is wrong or could not be read."""

    registrations: tuple[Registration, ...]
    problems: tuple[SourceProblem, ...]


def read_registrations(file: str, read: Callable[[str], bytes | None], library: str) -> Findings:
    """Tell what a plugin registers.

    :param file: the path of its ``__init__.py``, from the root of the repository
    :param read: gives the content of a file of the repository, or None where there is none: asked for ``file``, and for
        other files of the library only where an identifier depends on them
    :param library: the library's package
    """
    plugin = file.rpartition("/")[0]
    registrar = _Registrar(read, library, plugin)
    try:
        tree = registrar.follow(file, plugin)
        if tree is not None:
            registrar.report_unreached(tree, file)
    except (TooMuchError, RecursionError):
        registrar.report(rules.SOURCE_TOO_COMPLEX, file, 1)
    found = (Registration(kind, name, *place) for (kind, name), place in registrar.registered.items())
    return Findings(tuple(found), tuple(registrar.problems))


class _Registrar(Interpreter):
    """Notes what is registered while a plugin is followed."""

    def __init__(self, read: Callable[[str], bytes | None], library: str, plugin: str) -> None:
        super().__init__(read, library, plugin)
        self._reached: set[int] = set()

    def report_unreached(self, tree: ast.Module, file: str) -> None:
        """Report every place of a source that fills a registry and was never come to."""
        for site in _filling_sites(tree):
            if id(site) not in self._reached:
                self.report(rules.REGISTRATION_NOT_REACHED, file, site.lineno, source=_source(site))

    def pass_over(self, nodes: Iterable[ast.AST]) -> None:
        self._reached.update(id(each) for node in nodes for each in ast.walk(node))

    def call_item(self, target: ast.Subscript, owner: Any, key: Any, value: Any, scope: Scope) -> None:
        if isinstance(owner, Registry):
            self._reached.add(id(target))
            self._register(owner, key, target.slice, scope)
        else:
            self.call_stranger([value], target, scope)

    def augment_registry(self, registry: Registry, node: ast.AugAssign, value: Any, scope: Scope) -> None:
        self._reached.add(id(node))
        self._register_all(registry, value, node.value, scope)

    def delete_item(self, target: ast.Subscript, owner: Any, scope: Scope) -> None:
        if isinstance(owner, Registry):
            self._report(rules.REGISTRATION_REMOVED, target, scope)

    def call_registry(
        self, method: Method, arguments: list[Any] | None, keywords: dict[str, Any], node: ast.expr, scope: Scope
    ) -> None:
        self._reached.add(id(node))
        registry, name = method.owner, method.name
        if name in _EMPTYING:
            self._report(rules.REGISTRATION_REMOVED, node, scope)
        elif name in _FILLING and arguments is None:
            self._report(rules.IDENTIFIER_UNRESOLVED, node, scope)
        elif name in ("update", "__ior__"):
            for mapping in [*(arguments or ()), keywords]:
                self._register_all(registry, mapping, node, scope)
        elif name in _FILLING and arguments:
            self._register(registry, arguments[0], node, scope)
        elif name not in _READING:
            self._report(rules.REGISTRY_HANDED_ON, node, scope)

    def call_stranger(self, values: Sequence[Any], node: ast.expr, scope: Scope) -> None:
        for value in values:
            if isinstance(value, Registry) or (isinstance(value, Method) and isinstance(value.owner, Registry)):
                self._report(rules.REGISTRY_HANDED_ON, node, scope)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ("exec", "eval"):
            self._report(rules.SOURCE_HIDDEN, node, scope)

    def _register_all(self, registry: Registry, mapping: Any, node: ast.expr, scope: Scope) -> None:
        identifiers = _keys(mapping)
        if identifiers is None:
            self._report(rules.IDENTIFIER_UNRESOLVED, node, scope)
            return
        for identifier in identifiers:
            self._register(registry, identifier, node, scope)

    def _register(self, registry: Registry, identifier: Any, node: ast.expr, scope: Scope) -> None:
        if isinstance(identifier, Marker):
            self._report(rules.IDENTIFIER_UNRESOLVED, node, scope)
        elif type(identifier) is not str or not identifier or not identifier.isprintable():
            self._report(rules.IDENTIFIER_NO_TEXT, node, scope)
        elif not self.foreign:
            place = (scope.file, node.lineno)
            first = self.registered.setdefault((registry.kind, identifier), place)
            if first is not place:
                where = f"{first[0]}:{first[1]}"
                self.report(
                    rules.IDENTIFIER_TWICE, *place, identifier=shown(identifier), kind=registry.kind, first=where
                )

    def _report(self, rule: rules.Rule, node: ast.expr, scope: Scope) -> None:
        self.report(rule, scope.file, node.lineno, source=_source(node))


def _keys(mapping: Any) -> list[Any] | None:
    """The keys of what ``dict.update`` takes; None where they cannot be told."""
    if type(mapping) is dict:
        return list(mapping)
    if type(mapping) in (list, tuple) and all(type(pair) in (list, tuple) and len(pair) == 2 for pair in mapping):
        return [pair[0] for pair in mapping]
    return None


def _filling_sites(tree: ast.Module) -> list[ast.expr | ast.AugAssign]:
    """Every place of a source that fills something with a registry's name, or with the name it is imported by."""
    names = set(REGISTRIES)
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            names |= {alias.asname for alias in node.names if alias.name in REGISTRIES and alias.asname}

    def is_registry(node: ast.expr) -> bool:
        if isinstance(node, ast.Name):
            return node.id in names
        return isinstance(node, ast.Attribute) and node.attr in REGISTRIES

    sites: list[ast.expr | ast.AugAssign] = []
    for node in ast.walk(tree):
        match node:
            case ast.Subscript(value=owner, ctx=ast.Store()) if is_registry(owner):
                sites.append(node)
            case ast.Call(func=ast.Attribute(value=owner, attr=name)) if name in _FILLING and is_registry(owner):
                sites.append(node)
            case ast.AugAssign(target=owner) if is_registry(owner):
                sites.append(node)
            case _:
                pass
    return sites


def _source(node: ast.AST) -> str:
    return shown(ast.unparse(node))
