"""Following a source's expressions: what each stands for, and what it does on the way."""

from __future__ import annotations

import ast
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any

from brainscore_ops.plugins.layout import REGISTRIES
from brainscore_ops.plugins.values import (
    METHODS,
    UNKNOWN,
    Builtin,
    Function,
    Imported,
    Marker,
    Method,
    Registry,
    Scope,
    TooMuchError,
    binary,
    bounded,
    call_builtin,
    call_method,
    compare,
    is_collection,
    is_key,
    is_scalar,
    items_of,
    same,
    text_of,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_MAX_STEPS = 100_000
_ITEMS_A_STEP = 50

Comprehension = ast.ListComp | ast.SetComp | ast.GeneratorExp | ast.DictComp


class Expressions(ABC):
    """Tells what expressions stand for. What only statements, or only registries, are about is left to those below."""

    def __init__(self) -> None:
        self._steps = 0

    # ---------------------------------------------------------------- left to others

    @abstractmethod
    def look_up(self, name: str, scope: Scope) -> Any:
        """What a name stands for."""

    @abstractmethod
    def member(self, module: str, name: str) -> Any:
        """What a name of another module of the library stands for."""

    @abstractmethod
    def assign(self, target: ast.expr, value: Any, scope: Scope) -> None:
        """Let a target stand for a value."""

    @abstractmethod
    def forget(self, collection: Any, scope: Scope) -> None:
        """Take a collection for unknown, under all its names, that was changed in a way that cannot be followed."""

    @abstractmethod
    def check_current(self, collection: Any) -> None:
        """Make sure that a collection that is about to be changed is the one that its names stand for.

        :raises TooMuchError: it is not: what changes cannot be followed
        """

    @abstractmethod
    def run(self, function: Function, arguments: list[Any] | None, keywords: dict[str, Any]) -> Any:
        """Follow a call of one of the source's own functions; with None, nothing is known about its arguments."""

    @abstractmethod
    def call_registry(
        self, method: Method, arguments: list[Any] | None, keywords: dict[str, Any], node: ast.expr, scope: Scope
    ) -> None:
        """A method of a registry is called; with None, nothing is known about its arguments."""

    @abstractmethod
    def call_stranger(self, values: Sequence[Any], node: ast.expr, scope: Scope) -> None:
        """Values are given to something that cannot be followed."""

    # ---------------------------------------------------------------- expressions

    def step(self, count: int = 1) -> None:
        """Count what is done, so that it has an end.

        :raises TooMuchError: it is more than any honest plugin needs
        """
        self._steps += count
        if self._steps > _MAX_STEPS:
            raise TooMuchError

    def truth(self, node: ast.expr, scope: Scope) -> bool | None:
        """Whether a condition holds; None where that cannot be told."""
        value = self.value(node, scope)
        return None if isinstance(value, Marker) else bool(value)

    def value(self, node: ast.expr, scope: Scope) -> Any:
        """What an expression stands for; what it does on the way is done."""
        self.step()
        try:
            value = self._evaluated(node, scope)
        except (TypeError, ValueError, ArithmeticError, LookupError, AttributeError):
            # Running the source might fail here as well; that is for its tests to find.
            return UNKNOWN
        if is_collection(value):
            self.step(len(value) // _ITEMS_A_STEP)
        return value

    def _evaluated(self, node: ast.expr, scope: Scope) -> Any:
        match node:
            case ast.Constant(value=value):
                return bounded(value) if is_scalar(value) else UNKNOWN
            case ast.Name(id=name):
                return self.look_up(name, scope)
            case ast.Attribute(value=owner, attr=name):
                return self._attribute(self.value(owner, scope), name)
            case ast.Subscript(value=owner, slice=index):
                return self._item(self.value(owner, scope), index, scope)
            case ast.Call():
                return self._call(node, scope)
            case ast.JoinedStr(values=parts):
                texts = [self.value(part, scope) for part in parts]
                return bounded("".join(texts)) if all(type(text) is str for text in texts) else UNKNOWN
            case ast.FormattedValue(value=value, conversion=conversion, format_spec=given):
                specification = self.value(given, scope) if given is not None else ""
                return text_of(self.value(value, scope), conversion, specification)
            case ast.List(elts=elements):
                return self._elements(elements, scope)
            case ast.Tuple(elts=elements):
                return tuple(self._elements(elements, scope))
            case ast.Set(elts=elements):
                return call_builtin("set", [self._elements(elements, scope)], {})
            case ast.Dict(keys=keys, values=values):
                return self._dict(keys, values, scope)
            case ast.ListComp() | ast.SetComp() | ast.GeneratorExp() | ast.DictComp():
                return self._comprehension(node, scope)
            case ast.BinOp(left=left, op=operation, right=right):
                return self.binary(type(operation), self.value(left, scope), self.value(right, scope))
            case ast.UnaryOp(op=operation, operand=operand):
                return _unary(operation, self.value(operand, scope))
            case ast.BoolOp(op=operation, values=values):
                return self._boolean(isinstance(operation, ast.And), values, scope)
            case ast.Compare(left=left, ops=operations, comparators=others):
                return self._compare(self.value(left, scope), operations, others, scope)
            case ast.IfExp(test=test, body=body, orelse=orelse):
                return self._conditional(test, body, orelse, scope)
            case ast.NamedExpr(target=target, value=value):
                named = self.value(value, scope)
                self.assign(target, named, scope)
                return named
            case ast.Lambda(args=parameters):
                return Function(node, scope, self.defaults(parameters, scope))
            case ast.Starred(value=value):
                return self.value(value, scope)
            case _:
                return UNKNOWN

    # ---------------------------------------------------------------- collections

    def _elements(self, elements: Sequence[ast.expr], scope: Scope) -> list[Any]:
        items: list[Any] = []
        for element in elements:
            value = self.value(element, scope)
            if isinstance(element, ast.Starred):
                more = items_of(value)
                items += [UNKNOWN] if more is None else more
            else:
                items.append(value)
        bounded(items)
        return items

    def _dict(self, keys: Sequence[ast.expr | None], values: Sequence[ast.expr], scope: Scope) -> Any:
        built: dict[Any, Any] = {}
        known = True
        for key, value in zip(keys, values, strict=True):
            given = self.value(value, scope)
            if key is None:
                known = known and type(given) is dict
                built.update(given if type(given) is dict else {})
                continue
            name = self.value(key, scope)
            known = known and is_key(name)
            if is_key(name):
                built[name] = given
        return bounded(built) if known else UNKNOWN

    def _comprehension(self, node: Comprehension, scope: Scope) -> Any:
        results: list[Any] = []
        known = True
        for inner, certain in self._rounds(node.generators, Scope(scope.file, scope)):
            known = known and certain
            if isinstance(node, ast.DictComp):
                results.append((self.value(node.key, inner), self.value(node.value, inner)))
            else:
                results.append(self.value(node.elt, inner))
            bounded(results)
        if not known:
            return UNKNOWN
        if isinstance(node, ast.DictComp):
            return call_builtin("dict", [results], {})
        return call_builtin("set", [results], {}) if isinstance(node, ast.SetComp) else results

    def _rounds(self, generators: Sequence[ast.comprehension], scope: Scope) -> Iterator[tuple[Scope, bool]]:
        """The rounds of a comprehension, each with whether it is certain that it happens just so."""
        first, *others = generators
        items = items_of(self.value(first.iter, scope))
        for item in [UNKNOWN] if items is None else items:
            self.step()
            self.assign(first.target, item, scope)
            truths = [self.truth(condition, scope) for condition in first.ifs]
            if False in truths:
                continue
            certain = items is not None and None not in truths
            if not others:
                yield scope, certain
                continue
            for inner, also in self._rounds(others, scope):
                yield inner, certain and also

    def _item(self, owner: Any, index: ast.expr, scope: Scope) -> Any:
        if isinstance(index, ast.Slice):
            given = (index.lower, index.upper, index.step)
            bounds = [self.value(each, scope) if each is not None else None for each in given]
            known = type(owner) in (str, list, tuple) and all(type(each) in (int, type(None)) for each in bounds)
            return owner[slice(*bounds)] if known else UNKNOWN
        key = self.value(index, scope)
        return owner[key] if (type(owner) is str or is_collection(owner)) and is_key(key) else UNKNOWN

    def _attribute(self, owner: Any, name: str) -> Any:
        if isinstance(owner, Imported):
            return self.member(owner.module, name)
        if name in REGISTRIES and isinstance(owner, Marker):
            return Registry(REGISTRIES[name])
        if isinstance(owner, Registry) or is_collection(owner) or name in METHODS.get(type(owner), ()):
            return Method(owner, name)
        if isinstance(owner, Builtin) and (owner.name, name) == ("chain", "from_iterable"):
            return Method(owner, name)
        return UNKNOWN

    # ---------------------------------------------------------------- operators

    def binary(self, operation: type[ast.operator], left: Any, right: Any) -> Any:
        """``left <operation> right``."""
        if isinstance(left, Marker) or isinstance(right, Marker):
            if operation is ast.Add and (type(left) is list or type(right) is list):
                # A list that begins, or goes on, with something that is not known.
                return [part for side in (left, right) for part in ([side] if isinstance(side, Marker) else side)]
            return UNKNOWN
        try:
            return binary(operation, left, right)
        except (TypeError, ValueError, ArithmeticError, LookupError):
            return UNKNOWN

    def _boolean(self, conjunction: bool, operands: Sequence[ast.expr], scope: Scope) -> Any:
        value: Any = UNKNOWN
        for position, operand in enumerate(operands):
            value = self.value(operand, scope)
            if isinstance(value, Marker):
                # The rest may run or not: it is followed for what it does.
                for other in operands[position + 1 :]:
                    self.value(other, scope)
                return UNKNOWN
            if bool(value) is not conjunction:
                return value
        return value

    def _compare(self, left: Any, operations: Sequence[ast.cmpop], others: Sequence[ast.expr], scope: Scope) -> Any:
        result: Any = True
        for operation, other in zip(operations, others, strict=True):
            right = self.value(other, scope)
            outcome = compare(type(operation), left, right)
            if outcome is False:
                return False
            result = UNKNOWN if outcome is UNKNOWN else result
            left = right
        return result

    def _conditional(self, test: ast.expr, body: ast.expr, orelse: ast.expr, scope: Scope) -> Any:
        truth = self.truth(test, scope)
        if truth is not None:
            return self.value(body if truth else orelse, scope)
        one, other = self.value(body, scope), self.value(orelse, scope)
        return one if same(one, other) else UNKNOWN

    # ---------------------------------------------------------------- calls

    def _call(self, node: ast.Call, scope: Scope) -> Any:
        called = self.value(node.func, scope)
        given = self._elements(node.args, scope)
        starred = any(isinstance(argument, ast.Starred) for argument in node.args)
        # How many arguments an unknown collection stands for is not known, nor which comes where.
        arguments = None if starred and any(each is UNKNOWN for each in given) else given
        keywords: dict[str, Any] = {}
        for keyword in node.keywords:
            value = self.value(keyword.value, scope)
            if keyword.arg is not None:
                keywords[keyword.arg] = value
            elif type(value) is dict and all(type(key) is str for key in value):
                keywords.update(value)
            else:
                arguments = None
        return self.call(called, arguments, keywords, node, scope)

    def call(
        self, called: Any, arguments: list[Any] | None, keywords: dict[str, Any], node: ast.expr, scope: Scope
    ) -> Any:
        """Follow a call; with None for arguments, nothing is known about them."""
        if isinstance(called, Function):
            return self.run(called, arguments, keywords)
        if isinstance(called, Method) and isinstance(called.owner, Registry):
            self.call_registry(called, arguments, keywords, node, scope)
            return UNKNOWN
        if isinstance(called, Method) and isinstance(called.owner, Builtin):
            return call_builtin(called.owner.name, items_of(arguments[0]) or [UNKNOWN], {}) if arguments else UNKNOWN
        if isinstance(called, Method):
            return self._call_method(called, arguments, keywords, scope)
        if isinstance(called, Builtin) and arguments is not None:
            return call_builtin(called.name, arguments, keywords)
        self.call_stranger([*(arguments or ()), *keywords.values()], node, scope)
        return UNKNOWN

    def _call_method(self, called: Method, arguments: list[Any] | None, keywords: dict[str, Any], scope: Scope) -> Any:
        self.check_current(called.owner)
        try:
            if arguments is not None:
                return call_method(called.owner, called.name, arguments, keywords)
        except (TypeError, ValueError, LookupError, ArithmeticError):
            pass
        self.forget(called.owner, scope)
        return UNKNOWN

    def defaults(self, parameters: ast.arguments, scope: Scope) -> dict[str, Any]:
        """The values of a function's parameters that a call may leave out."""
        positional = [*parameters.posonlyargs, *parameters.args]
        given = positional[len(positional) - len(parameters.defaults) :]
        pairs: list[tuple[ast.arg, ast.expr | None]] = [
            *zip(given, parameters.defaults, strict=True),
            *zip(parameters.kwonlyargs, parameters.kw_defaults, strict=True),
        ]
        return {parameter.arg: self.value(default, scope) for parameter, default in pairs if default is not None}


def _unary(operation: ast.unaryop, value: Any) -> Any:
    if isinstance(value, Marker):
        return UNKNOWN
    if isinstance(operation, ast.Not):
        return not value
    if isinstance(operation, ast.USub) and type(value) in (int, float):
        return -value
    return UNKNOWN
