"""Following a source's statements, from the first to the last, without running them.

Where a condition is not known both ways are followed, and only what they agree on is known afterwards. The source's own
functions are followed where they are called; other modules of the library where a name of theirs is needed.
"""

from __future__ import annotations

import ast
import copy
import warnings
from abc import abstractmethod
from typing import TYPE_CHECKING, Any

from brainscore_ops.plugins import rules
from brainscore_ops.plugins.expressions import Expressions
from brainscore_ops.plugins.layout import REGISTRIES
from brainscore_ops.plugins.values import (
    BUILTINS,
    ITERTOOLS,
    METHODS,
    UNKNOWN,
    Builtin,
    Function,
    Imported,
    Registry,
    Scope,
    TooMuchError,
    is_collection,
    is_key,
    items_of,
    same,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from brainscore_ops.plugins.rules import Rule, SourceProblem

_MAX_CALLS = 20
_MAX_SOURCE_BYTES = 1_000_000

# How a block of statements ends, if not at its end.
_RETURN, _BREAK, _CONTINUE, _RAISE = "return", "break", "continue", "raise"
_LOOP_ENDINGS = frozenset({_BREAK, _CONTINUE})


class Interpreter(Expressions):
    """Follows the modules of a library.

    :param read: gives the content of a file of the repository, or None where there is none
    :param library: the library's package
    :param plugin: the folder of the plugin that is followed
    """

    def __init__(self, read: Callable[[str], bytes | None], library: str, plugin: str) -> None:
        super().__init__()
        self.registered: dict[tuple[str, str], tuple[str, int]] = {}
        """What is registered on the way that is being followed: (kind, identifier) to file and line."""
        self.problems: dict[SourceProblem, None] = {}
        self.foreign = 0
        """Whether the file that is being followed is no file of the plugin: it is read for its names only."""
        self.library = library
        self._read = read
        self._plugin = plugin
        self._modules: dict[str, Scope | None] = {}
        self._outdated: dict[int, Any] = {}
        """Collections that were replaced, under all their names, by what became of them on several ways."""
        self._escaped: set[str] = set()
        """How ways ended that may have been taken, while others led on: to be met at the loop's or function's end."""
        self._returned: list[list[Any]] = []
        """What the calls that are being followed have returned so far, the innermost last."""

    @abstractmethod
    def call_item(self, target: ast.Subscript, owner: Any, key: Any, value: Any, scope: Scope) -> None:
        """``owner[key] = value`` for something that is no plain collection."""

    @abstractmethod
    def augment_registry(self, registry: Registry, node: ast.AugAssign, value: Any, scope: Scope) -> None:
        """``registry |= value``."""

    @abstractmethod
    def delete_item(self, target: ast.Subscript, owner: Any, scope: Scope) -> None:
        """``del owner[…]``."""

    @abstractmethod
    def pass_over(self, nodes: Iterable[ast.AST]) -> None:
        """Statements are met that certainly never run."""

    def report(self, rule: Rule, file: str, line: int, **found: object) -> None:
        """A rule is broken. What is wrong with other plugins is reported when they are read themselves."""
        if not self.foreign:
            self.problems[rule.source_problem(file, line, **found)] = None

    # ---------------------------------------------------------------- modules

    def follow(self, file: str, module: str) -> ast.Module | None:
        """Follow a module from its first to its last statement; None where it cannot be read."""
        tree = self._parse(file)
        if tree is not None:
            scope = self._modules[module] = Scope(file)
            scope.names["__name__"] = module.replace("/", ".")
            self._block(tree.body, scope)
        return tree

    def _parse(self, file: str) -> ast.Module | None:
        source = self._read(file)
        if source is None:
            return None
        if len(source) > _MAX_SOURCE_BYTES:
            self.report(rules.SOURCE_TOO_LONG, file, 1, most=_MAX_SOURCE_BYTES, size=len(source))
            return None
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                return ast.parse(source)
        except SyntaxError as error:
            self.report(rules.SYNTAX_ERROR, file, error.lineno or 1, error=error.msg)
        except (ValueError, RecursionError, MemoryError) as error:
            # Zero bytes, and brackets without end.
            self.report(rules.SYNTAX_ERROR, file, 1, error=type(error).__name__)
        return None

    def _module(self, path: str) -> Scope | None:
        """The names of another module of the library, followed when first needed; None where there is none."""
        if path not in self._modules:
            # A module that imports itself in a circle has no names yet.
            self._modules[path] = None
            file = next((each for each in _files_of(path) if self._read(each) is not None), None)
            if file is not None:
                foreign = not file.startswith(f"{self._plugin}/")
                self.foreign += foreign
                try:
                    self.follow(file, path)
                finally:
                    self.foreign -= foreign
        return self._modules[path]

    def member(self, module: str, name: str) -> Any:
        if name in REGISTRIES:
            return Registry(REGISTRIES[name])
        # The library's own __init__.py is not followed: identifiers do not depend on it.
        scope = None if module == self.library else self._module(module)
        if scope is not None and name in scope.names:
            value = scope.names[name]
            if not (isinstance(value, Imported) and (value.module, value.name) == (module, name)):
                return self._resolved(value)
        inner = f"{module}/{name}"
        exists = module == self.library or any(self._read(file) is not None for file in _files_of(inner))
        return Imported(inner, "") if exists else UNKNOWN

    def _import(self, node: ast.Import, scope: Scope) -> None:
        for alias in node.names:
            module = alias.name if alias.asname else alias.name.partition(".")[0]
            path = module.replace(".", "/")
            scope.names[alias.asname or module] = Imported(path, "") if self._is_inside(path) else UNKNOWN

    def _import_from(self, node: ast.ImportFrom, scope: Scope) -> None:
        path = _imported_path(node, scope.file)
        inside = self._is_inside(path)
        for alias in node.names:
            name = alias.asname or alias.name
            if alias.name == "*":
                scope.stars += [path] if inside else []
            elif alias.name in REGISTRIES and (inside or path.startswith("brainscore")):
                if not inside:
                    found = {"library": self.library, "registry": alias.name, "module": path.replace("/", ".")}
                    self.report(rules.REGISTRY_OF_ANOTHER_LIBRARY, scope.file, node.lineno, **found)
                self._bind(name, Registry(REGISTRIES[alias.name]), scope)
            elif path == "itertools" and alias.name in ITERTOOLS:
                self._bind(name, Builtin(alias.name), scope)
            elif path == "typing" and alias.name == "TYPE_CHECKING":
                self._bind(name, False, scope)
            else:
                self._bind(name, Imported(path, alias.name) if inside else UNKNOWN, scope)

    def _is_inside(self, path: str) -> bool:
        return path == self.library or path.startswith(f"{self.library}/")

    # ---------------------------------------------------------------- names

    def look_up(self, name: str, scope: Scope) -> Any:
        for each in scope.chain():
            if name in each.names:
                return self._resolved(each.names[name])
        for module in scope.module.stars:
            found = self.member(module, name)
            if found is not UNKNOWN:
                return found
        if name in BUILTINS:
            return Builtin(name)
        return Registry(REGISTRIES[name]) if name in REGISTRIES else UNKNOWN

    def _resolved(self, value: Any) -> Any:
        return self.member(value.module, value.name) if isinstance(value, Imported) and value.name else value

    def _bind(self, name: str, value: Any, scope: Scope) -> None:
        owner = scope
        if name in scope.outside:
            owner = next((each for each in scope.chain()[1:] if name in each.names), scope.module)
        owner.names[name] = value

    def forget(self, collection: Any, scope: Scope) -> None:
        for names in (each.names for each in scope.chain()):
            names.update({name: UNKNOWN for name, value in names.items() if value is collection})
        if type(collection) is list:
            # It may be within another one, where it goes on with something that is not known.
            collection.append(UNKNOWN)

    def assign(self, target: ast.expr, value: Any, scope: Scope) -> None:
        match target:
            case ast.Name(id=name):
                self._bind(name, value, scope)
            case ast.Tuple(elts=targets) | ast.List(elts=targets):
                items = items_of(value) or []
                known = len(items) == len(targets)
                for position, each in enumerate(targets):
                    # Behind a star nothing is at its place any more.
                    known = known and not isinstance(each, ast.Starred)
                    self.assign(each, items[position] if known else UNKNOWN, scope)
            case ast.Starred(value=starred):
                self.assign(starred, value, scope)
            case ast.Subscript(value=container, slice=key):
                self._assign_item(target, self.value(container, scope), self.value(key, scope), value, scope)
            case ast.Attribute(value=owner):
                self.value(owner, scope)
                self.call_stranger([value], target, scope)
            case _:
                pass

    def _assign_item(self, target: ast.Subscript, container: Any, key: Any, value: Any, scope: Scope) -> None:
        if not is_collection(container):
            self.call_item(target, container, key, value, scope)
            return
        self.check_current(container)
        try:
            if not is_key(key):
                raise TypeError
            container[key] = value
        except (TypeError, LookupError):
            self.forget(container, scope)

    # ---------------------------------------------------------------- statements

    def _block(self, statements: Sequence[ast.stmt], scope: Scope) -> str | None:
        """Follow statements; how they end, if not after the last one."""
        for statement in statements:
            self.step()
            ending = self._statement(statement, scope) or self._compound(statement, scope)
            if ending:
                return ending
        return None

    def _statement(self, node: ast.stmt, scope: Scope) -> str | None:
        match node:
            case ast.Assign(targets=targets, value=value):
                assigned = self.value(value, scope)
                for target in targets:
                    self.assign(target, assigned, scope)
            case ast.AnnAssign(target=target, value=value) if value is not None:
                self.assign(target, self.value(value, scope), scope)
            case ast.AugAssign():
                self._augmented(node, scope)
            case ast.Expr(value=value) | ast.Assert(test=value):
                self.value(value, scope)
                self._forget_arguments(value, scope)
            case ast.Import():
                self._import(node, scope)
            case ast.ImportFrom():
                self._import_from(node, scope)
            case ast.Delete(targets=targets):
                for target in targets:
                    self._delete(target, scope)
            case ast.Global(names=names) | ast.Nonlocal(names=names):
                scope.outside.update(names)
            case ast.Return(value=value):
                returned = self.value(value, scope) if value is not None else None
                if self._returned:
                    self._returned[-1].append(returned)
                return _RETURN
            case ast.Raise(exc=raised):
                if raised is not None:
                    self.value(raised, scope)
                return _RAISE
            case ast.Break():
                return _BREAK
            case ast.Continue():
                return _CONTINUE
            case _:
                pass
        return None

    def _compound(self, node: ast.stmt, scope: Scope) -> str | None:
        match node:
            case ast.If(test=test, body=body, orelse=orelse):
                return self._if(test, body, orelse, scope)
            case ast.For():
                return self._for(node, scope)
            case ast.While(test=test, body=body, orelse=orelse):
                if self.truth(test, scope) is not False:
                    return self._uncertain_loop(None, body, orelse, scope)
                self.pass_over(body)
                return self._block(orelse, scope)
            case ast.Try() | ast.TryStar():
                return self._try(node, scope)
            case ast.With(items=items, body=body):
                for item in items:
                    self.value(item.context_expr, scope)
                    if item.optional_vars is not None:
                        self.assign(item.optional_vars, UNKNOWN, scope)
                return self._block(body, scope)
            case ast.Match(subject=subject, cases=cases):
                self.value(subject, scope)
                for name in _captured_names(node):
                    self._bind(name, UNKNOWN, scope)
                return self._branches([*(case.body for case in cases), []], scope)
            case ast.FunctionDef(name=name):
                function = Function(node, scope, self.defaults(node.args, scope))
                self._bind(name, self._decorated(function, node.decorator_list, scope), scope)
            case ast.ClassDef(name=name, body=body):
                self._block(body, Scope(scope.file, scope))
                self._decorated(UNKNOWN, node.decorator_list, scope)
                self._bind(name, UNKNOWN, scope)
            case ast.AsyncFunctionDef(name=name):
                self._bind(name, UNKNOWN, scope)
            case _:
                pass
        return None

    def _forget_arguments(self, node: ast.expr, scope: Scope) -> None:
        """A function that cannot be followed, and whose result nobody wants, is called for what it changes."""
        match node:
            case ast.Call(func=ast.Name() | ast.Attribute(value=ast.Name()), args=arguments):
                if self.value(node.func, scope) is UNKNOWN and ast.unparse(node.func) != "print":
                    for argument in (each for each in arguments if isinstance(each, ast.Name)):
                        given = self.look_up(argument.id, scope)
                        if is_collection(given):
                            self.forget(given, scope)
            case _:
                pass

    def _augmented(self, node: ast.AugAssign, scope: Scope) -> None:
        value = self.value(node.value, scope)
        if isinstance(node.target, ast.Subscript):
            self.assign(node.target, UNKNOWN, scope)
            return
        before = self.value(node.target, scope)
        if isinstance(before, Registry):
            self.augment_registry(before, node, value, scope)
        else:
            self.assign(node.target, self.binary(type(node.op), before, value), scope)

    def _delete(self, target: ast.expr, scope: Scope) -> None:
        if isinstance(target, ast.Name):
            scope.names.pop(target.id, None)
        elif isinstance(target, ast.Subscript):
            owner = self.value(target.value, scope)
            self.forget(owner, scope) if is_collection(owner) else self.delete_item(target, owner, scope)

    # ---------------------------------------------------------------- ways

    def _if(self, test: ast.expr, body: list[ast.stmt], orelse: list[ast.stmt], scope: Scope) -> str | None:
        truth = self.truth(test, scope)
        if truth is None:
            return self._branches([body, orelse], scope)
        self.pass_over(orelse if truth else body)
        return self._block(body if truth else orelse, scope)

    def _for(self, node: ast.For, scope: Scope) -> str | None:
        items = items_of(self.value(node.iter, scope))
        if items is None:
            return self._uncertain_loop(node.target, node.body, node.orelse, scope)
        if not items:
            self.pass_over(node.body)
        for item in items:
            self.step()
            self.assign(node.target, item, scope)
            ending = self._block(node.body, scope)
            if self._escaped & _LOOP_ENDINGS:
                self._escaped -= _LOOP_ENDINGS
                self._forget_changed([node], scope)
            if ending == _BREAK:
                return None
            if ending in (_RETURN, _RAISE):
                return ending
        return self._block(node.orelse, scope)

    def _uncertain_loop(
        self, target: ast.expr | None, body: list[ast.stmt], orelse: list[ast.stmt], scope: Scope
    ) -> str | None:
        """A loop of which nobody knows how often it runs: followed once, with everything that it changes unknown."""
        self._forget_changed(body, scope)
        if target is not None:
            self.assign(target, UNKNOWN, scope)
        self._branches([body, []], scope, joined=_LOOP_ENDINGS)
        self._escaped -= _LOOP_ENDINGS
        return self._block(orelse, scope)

    def _forget_changed(self, statements: Sequence[ast.stmt], scope: Scope) -> None:
        """Take for unknown what statements may change that run nobody knows how far, or how often."""
        bound, changed = _changed_names(statements)
        for name in bound:
            if any(name in each.names for each in scope.chain()):
                self._bind(name, UNKNOWN, scope)
        for collection in filter(is_collection, [self.look_up(name, scope) for name in changed]):
            self.forget(collection, scope)

    def _try(self, node: ast.Try | ast.TryStar, scope: Scope) -> str | None:
        for handler in node.handlers:
            if handler.name:
                self._bind(handler.name, UNKNOWN, scope)
        body = [*node.body, *node.orelse]
        handlers = [handler.body for handler in node.handlers]
        ending = self._branches([body, *handlers], scope, broken_off=body) if handlers else self._block(body, scope)
        return self._block(node.finalbody, scope) or ending

    def _branches(
        self,
        ways: Sequence[Sequence[ast.stmt]],
        scope: Scope,
        *,
        joined: frozenset[str] = frozenset(),
        broken_off: Sequence[ast.stmt] = (),
    ) -> str | None:
        """Follow several ways of which nobody knows which is taken, and keep what is true after all of them.

        :param joined: how a way may end and yet lead on to what follows
        :param broken_off: the first way, where it is the others that it may break off and lead to
        """
        scopes = scope.chain()
        self.step(sum(len(value) for each in scopes for value in each.names.values() if is_collection(value)))
        names_before = [each.names for each in scopes]
        registered_before = registered = self.registered
        outcomes: list[tuple[str | None, list[dict[str, Any]]]] = []
        for way in ways:
            for each, names in zip(scopes, copy.deepcopy(names_before), strict=True):
                each.names = names
            self.registered = dict(registered_before)
            if outcomes and broken_off:
                self._forget_changed(broken_off, scope)
                for each, names in zip(scopes, outcomes[0][1], strict=True):
                    each.names = _merged([each.names, {name: names[name] for name in names if name in each.names}])
            ending = self._block(way, scope)
            outcomes.append((None if ending in joined else ending, [each.names for each in scopes]))
            registered = {**self.registered, **registered}
        # An identifier that is registered on several ways is registered once; one on a single way may be registered.
        self.registered = registered
        leading_on = [names for ending, names in outcomes if ending is None]
        if leading_on:
            self._escaped.update(ending for ending, _ in outcomes if ending is not None)
        for position, (each, before) in enumerate(zip(scopes, names_before, strict=True)):
            kept = _merged([names[position] for names in leading_on or [names for _, names in outcomes]])
            each.names = self._kept(kept, before)
        if leading_on:
            return None
        endings = {ending for ending, _ in outcomes if ending is not None}
        if len(endings) > 1:
            # Each way ends what is followed, and nobody knows how.
            self._escaped |= endings
        return _RETURN if _RETURN in endings else min(endings)

    def _kept(self, names: dict[str, Any], before: dict[str, Any]) -> dict[str, Any]:
        """The names after several ways, with the very collections from before where they are as they were.

        Whoever still holds one that is not is about to change what nobody sees any more: see :meth:`check_current`.
        """
        for name, collection in before.items():
            if is_collection(collection):
                if same(names.get(name, UNKNOWN), collection):
                    names[name] = collection
                else:
                    self._outdated[id(collection)] = collection
        return names

    def check_current(self, collection: Any) -> None:
        if id(collection) in self._outdated:
            raise TooMuchError

    # ---------------------------------------------------------------- functions

    def _decorated(self, value: Any, decorators: Sequence[ast.expr], scope: Scope) -> Any:
        for decorator in reversed(decorators):
            value = self.call(self.value(decorator, scope), [value], {}, decorator, scope)
        return value

    def run(self, function: Function, arguments: list[Any] | None, keywords: dict[str, Any]) -> Any:
        node = function.node
        if len(self._returned) >= _MAX_CALLS or _is_generator(node):
            return UNKNOWN
        scope = Scope(function.scope.file, function.scope)
        scope.names.update(_bound(node.args, function.defaults, arguments, keywords))
        if isinstance(node, ast.Lambda):
            return self.value(node.body, scope)
        self._returned.append([])
        escaped_before, self._escaped = self._escaped, set()
        try:
            ending = self._block(node.body, scope)
        finally:
            returned = self._returned.pop()
            escaped = _RETURN in self._escaped
            self._escaped = escaped_before
        if escaped:
            self._forget_changed(node.body, scope)
        first, *others = returned if ending == _RETURN else [*returned, None]
        return first if all(same(first, other) for other in others) else UNKNOWN


def _bound(
    parameters: ast.arguments, defaults: dict[str, Any], arguments: list[Any] | None, keywords: dict[str, Any]
) -> dict[str, Any]:
    """The names that a function's parameters get in a call."""
    positional = [each.arg for each in (*parameters.posonlyargs, *parameters.args)]
    names = [*positional, *(each.arg for each in parameters.kwonlyargs)]
    rest, more = parameters.vararg, parameters.kwarg
    bound: dict[str, Any] = dict.fromkeys([*names, *(each.arg for each in (rest, more) if each)], UNKNOWN)
    if arguments is None:
        return bound
    bound |= defaults
    bound |= zip(positional, arguments, strict=False)
    bound |= {name: value for name, value in keywords.items() if name in names}
    if rest is not None:
        bound[rest.arg] = tuple(arguments[len(positional) :])
    if more is not None:
        bound[more.arg] = {name: value for name, value in keywords.items() if name not in names}
    return bound


def _merged(ways: list[dict[str, Any]]) -> dict[str, Any]:
    """The names after several ways: what they agree on; a name that only some of them give keeps what those give it."""
    merged = dict(ways[0])
    for way in ways[1:]:
        for name, value in way.items():
            if name not in merged:
                merged[name] = value
            elif not same(merged[name], value):
                merged[name] = UNKNOWN
    return merged


def _files_of(module: str) -> tuple[str, str]:
    return f"{module}.py", f"{module}/__init__.py"


def _imported_path(node: ast.ImportFrom, file: str) -> str:
    """The path, without its ending, of the module that is imported from."""
    module = (node.module or "").replace(".", "/")
    if not node.level:
        return module
    package = file.split("/")[: -node.level]
    return "/".join([*package, module] if module else package)


def _captured_names(node: ast.Match) -> set[str]:
    patterns = (each.name for each in ast.walk(node) if isinstance(each, ast.MatchAs | ast.MatchStar))
    return {name for name in patterns if name}


def _changed_names(statements: Sequence[ast.stmt]) -> tuple[set[str], set[str]]:
    """The names that statements bind, and those whose items they may change."""
    bound, changed = set(), set()
    for node in (each for statement in statements for each in ast.walk(statement)):
        match node:
            case ast.Name(id=name, ctx=ast.Store()):
                bound.add(name)
            case ast.Subscript(value=ast.Name(id=name), ctx=ast.Store()):
                changed.add(name)
            case ast.Call(func=ast.Attribute(value=ast.Name(id=name), attr=method)):
                if any(method in METHODS[kind] for kind in (list, dict, set)):
                    changed.add(name)
            case _:
                pass
    return bound, changed


def _is_generator(node: ast.FunctionDef | ast.Lambda) -> bool:
    return any(isinstance(each, ast.Yield | ast.YieldFrom | ast.Await) for each in ast.walk(node))
