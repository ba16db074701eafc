"""What a source file's expressions stand for, as far as it can be told without running them.

Values are Python's own plain ones (text, numbers, lists, …); what cannot be told is :data:`UNKNOWN`, and everything that is
more than a plain value is a :class:`Marker`. The source is a stranger's: every operation here is bounded in time and
memory, by looking at sizes before it is done.
"""

from __future__ import annotations

import itertools
import math
import operator
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NoReturn

if TYPE_CHECKING:
    import ast
    from collections.abc import Callable, Iterable, Mapping

MAX_TEXT = 2_000
MAX_ITEMS = 20_000
_MAX_NUMBER = 1 << 63


class TooMuchError(Exception):
    """More to follow than any honest plugin has."""


class Marker:
    """A value that is no plain one: it has no text, no truth and no equal, so that it cannot slip into an identifier."""

    def _refuse(self, *_: object) -> NoReturn:
        raise TypeError("not a plain value")

    __bool__ = __eq__ = __format__ = __hash__ = __lt__ = __repr__ = __str__ = _refuse

    def __deepcopy__(self, _: object) -> Marker:
        return self


class _Unknown(Marker):
    pass


UNKNOWN = _Unknown()
"""What cannot be told without running the source."""


@dataclass(eq=False, repr=False)
class Registry(Marker):
    """One of the library's registries."""

    kind: str


@dataclass(eq=False, repr=False)
class Method(Marker):
    """A method of a value, not called yet."""

    owner: Any
    name: str


@dataclass(eq=False, repr=False)
class Builtin(Marker):
    """A function of Python's own that only computes."""

    name: str


@dataclass(eq=False, repr=False)
class Function(Marker):
    """A function or lambda that the source defines."""

    node: ast.FunctionDef | ast.Lambda
    scope: Scope
    defaults: dict[str, Any]


@dataclass(eq=False, repr=False)
class Imported(Marker):
    """A name that is imported from another file of the library: looked up only when it is needed."""

    module: str
    """The module's path without its ending: ``brainscore_example/models/x/names``."""
    name: str
    """The name in it; empty for the module itself."""


class Scope:
    """The names of a module, class, function or comprehension."""

    def __init__(self, file: str, parent: Scope | None = None) -> None:
        self.file = file
        self.parent = parent
        self.names: dict[str, Any] = {}
        self.stars: list[str] = []
        """Modules of which everything is imported."""
        self.outside: set[str] = set()
        """Names that are declared global or nonlocal."""

    @property
    def module(self) -> Scope:
        return self.parent.module if self.parent else self

    def chain(self) -> list[Scope]:
        """The scope and those around it, the innermost first."""
        return [self, *(self.parent.chain() if self.parent else [])]


def is_scalar(value: object) -> bool:
    """Whether a value is text, a number, a truth value or None."""
    return value is None or type(value) in (str, int, float, bool)


def is_key(value: object) -> bool:
    """Whether a value may be a key, and is compared and hashed quickly."""
    return is_scalar(value) or (type(value) is tuple and all(map(is_scalar, value)))


def is_collection(value: object) -> bool:
    return type(value) in (list, tuple, dict, set)


def bounded(value: Any) -> Any:
    """The value, or :data:`UNKNOWN` for a long text or great number.

    :raises TooMuchError: it is a collection of very many things
    """
    if type(value) is str and len(value) > MAX_TEXT:
        return UNKNOWN
    if type(value) is int and abs(value) > _MAX_NUMBER:
        return UNKNOWN
    if is_collection(value) and len(value) > MAX_ITEMS:
        raise TooMuchError
    return value


def same(one: Any, other: Any) -> bool:
    """Whether two values are the same for certain."""
    budget = itertools.count()

    def compare(a: Any, b: Any) -> bool:
        if next(budget) > MAX_ITEMS or type(a) is not type(b):
            return False
        if a is b:
            return True
        if isinstance(a, Registry):
            return bool(a.kind == b.kind)
        if isinstance(a, Marker):
            return False
        if isinstance(a, (list, tuple)):
            return len(a) == len(b) and all(map(compare, a, b))
        if isinstance(a, dict):
            return a.keys() == b.keys() and all(compare(a[key], b[key]) for key in a)
        return bool(a == b)

    return compare(one, other)


def items_of(value: Any) -> list[Any] | None:
    """What a loop over the value meets, in its order; None where that cannot be told."""
    if type(value) is str or is_collection(value):
        return list(value)
    return None


def binary(operation: type[ast.operator], left: Any, right: Any) -> Any:
    """``left <operation> right``."""
    name = operation.__name__
    if name == "Mod" and type(left) is str:
        values = right if type(right) is tuple else (right,)
        modest = not re.search(r"%[^a-zA-Z%]*(\*|\d{4})", left)
        return bounded(left % right) if modest and all(map(is_scalar, values)) else UNKNOWN
    if name == "Mult" and (type(left) is int or type(right) is int):
        times, sequence = (left, right) if type(left) is int else (right, left)
        if type(sequence) in (str, list, tuple) and len(sequence) * max(times, 0) > MAX_ITEMS:
            raise TooMuchError
    if name == "BitOr" and type(left) is dict and type(right) is dict:
        return bounded({**left, **right})
    if name in _OPERATIONS and type(left) in _ADDABLE and type(right) in _ADDABLE:
        return bounded(_OPERATIONS[name](left, right))
    return UNKNOWN


def compare(operation: type[ast.cmpop], left: Any, right: Any) -> Any:
    """``left <operation> right``, for plain values."""
    name = operation.__name__
    if name in ("Is", "IsNot"):
        if left is None or right is None:
            known = not isinstance(left, Marker) and not isinstance(right, Marker)
            return (left is right) is (name == "Is") if known else UNKNOWN
        return UNKNOWN
    if name in ("In", "NotIn"):
        contained = is_scalar(left) and (type(right) is str or is_collection(right))
        return (left in right) is (name == "In") if contained else UNKNOWN
    if is_scalar(left) and is_scalar(right):
        return _COMPARISONS[name](left, right)
    return UNKNOWN


def text_of(value: Any, conversion: int, specification: str) -> Any:
    """What ``f"{value!r:>10}"`` stands for."""
    if not is_scalar(value) or type(specification) is not str or re.search(r"\d{4}", specification):
        return UNKNOWN
    if conversion in _CONVERSIONS:
        value = _CONVERSIONS[conversion](value)
    return bounded(format(value, specification))


def call_builtin(name: str, arguments: list[Any], keywords: Mapping[str, Any]) -> Any:
    """One of Python's own functions, if it only computes and its arguments are known."""
    if name == "dict":
        return _dict(arguments, keywords)
    if name == "sorted" and len(arguments) == 1:
        items = list(_items(arguments[0]))
        _sort(items, keywords)
        return items
    if keywords or any(isinstance(argument, Marker) for argument in arguments):
        return UNKNOWN
    return bounded(_BUILTINS[name](*arguments))


def call_method(owner: Any, name: str, arguments: list[Any], keywords: Mapping[str, Any]) -> Any:
    """A method of a plain value; lists, dictionaries and sets are changed in place.

    :raises TypeError: and other errors: the call cannot be followed
    """
    if name not in METHODS.get(type(owner), ()):
        raise TypeError(name)
    if type(owner) is str:
        return _text_method(owner, name, arguments, keywords)
    if name == "sort" and not arguments:
        _sort(owner, keywords)
        return None
    if keywords and name != "update":
        raise TypeError(name)
    if type(owner) is list and name == "extend" and isinstance(arguments[0], Marker):
        # The list goes on with something that is not known.
        owner.append(UNKNOWN)
        return None
    if name in ("update", "union", "difference", "extend") and not all(map(is_collection, arguments)):
        raise TypeError(name)
    if name in ("add", "index", "count", "remove", "setdefault") and not is_key(arguments[0]):
        raise TypeError(name)
    result = getattr(owner, name)(*arguments, **keywords)
    bounded(owner)
    if name in ("keys", "values", "items"):
        result = list(result)
    return bounded(result)


def _text_method(owner: str, name: str, arguments: list[Any], keywords: Mapping[str, Any]) -> Any:
    if name == "join":
        parts = items_of(arguments[0])
        if parts is None or not all(type(part) is str for part in parts):
            raise TypeError(name)
        return bounded(owner.join(parts))
    if not all(map(is_scalar, [*arguments, *keywords.values()])):
        raise TypeError(name)
    # A great width, or one that is given as an argument.
    if name == "format" and re.search(r"\{[^{}]*(\d{4}|\{)", owner.replace("{{", "")):
        raise TypeError(name)
    if any(type(argument) is int and abs(argument) > MAX_TEXT for argument in arguments):
        raise TypeError(name)
    return bounded(getattr(owner, name)(*arguments, **keywords))


def _sort(items: list[Any], keywords: Mapping[str, Any]) -> None:
    reverse = keywords.get("reverse", False)
    if set(keywords) - {"reverse"} or not is_scalar(reverse) or not all(map(is_key, items)):
        raise TypeError("sort")
    items.sort(reverse=bool(reverse))


def _dict(arguments: list[Any], keywords: Mapping[str, Any]) -> Any:
    if not arguments:
        return dict(keywords)
    pairs = arguments[0].items() if type(arguments[0]) is dict else items_of(arguments[0])
    if pairs is None or not all(type(pair) in (tuple, list) and len(pair) == 2 and is_key(pair[0]) for pair in pairs):
        return UNKNOWN
    return {**dict(pairs), **keywords}


def _range(*bounds: int) -> list[int]:
    numbers = range(*bounds)
    if len(numbers) > MAX_ITEMS:
        raise TooMuchError
    return list(numbers)


def _zip(*collections: Any) -> list[Any]:
    return list(zip(*map(_items, collections), strict=False))


def _product(*collections: Any) -> list[Any]:
    if math.prod(len(_items(each)) for each in collections) > MAX_ITEMS:
        raise TooMuchError
    return list(itertools.product(*map(_items, collections)))


def _chain(*collections: Any) -> list[Any]:
    return list(itertools.chain(*map(_items, collections)))


def _set(*collections: Any) -> set[Any]:
    members = _chain(*collections)
    if not all(map(is_key, members)):
        raise TypeError("set")
    return set(members)


def _items(value: Any) -> list[Any]:
    items = items_of(value)
    if items is None:
        raise TypeError("no collection")
    return items


def _scalar(function: Callable[..., Any]) -> Callable[..., Any]:
    def call(*arguments: Any) -> Any:
        if not all(map(is_scalar, arguments)):
            raise TypeError(function.__name__)
        return function(*arguments)

    return call


def _of_scalars(function: Callable[..., Any]) -> Callable[..., Any]:
    def call(*arguments: Any) -> Any:
        members: Iterable[Any] = _items(arguments[0]) if len(arguments) == 1 else arguments
        if not all(map(is_scalar, members)):
            raise TypeError(function.__name__)
        return function(members)

    return call


_ADDABLE = (str, int, float, bool, list, tuple)
_OPERATIONS: dict[str, Callable[[Any, Any], Any]] = {
    "Add": operator.add,
    "Sub": operator.sub,
    "Mult": operator.mul,
    "Div": operator.truediv,
    "FloorDiv": operator.floordiv,
    "Mod": operator.mod,
}
_CONVERSIONS: dict[int, Callable[[object], str]] = {ord("r"): repr, ord("s"): str, ord("a"): ascii}
_COMPARISONS: dict[str, Callable[[Any, Any], bool]] = {
    "Eq": operator.eq,
    "NotEq": operator.ne,
    "Lt": operator.lt,
    "LtE": operator.le,
    "Gt": operator.gt,
    "GtE": operator.ge,
}
_BUILTINS: dict[str, Callable[..., Any]] = {
    "abs": _scalar(abs),
    "all": _of_scalars(all),
    "any": _of_scalars(any),
    "bool": _scalar(bool),
    "chain": _chain,
    "enumerate": lambda items, start=0: list(enumerate(_items(items), start)),
    "float": _scalar(float),
    "frozenset": _set,
    "int": _scalar(int),
    "len": lambda value: len(_items(value)),
    "list": lambda *items: _chain(*items),
    "max": _of_scalars(max),
    "min": _of_scalars(min),
    "product": _product,
    "range": _range,
    "reversed": lambda items: _items(items)[::-1],
    "round": _scalar(round),
    "set": _set,
    "sorted": _items,
    "str": _scalar(str),
    "sum": _of_scalars(sum),
    "tuple": lambda *items: tuple(_chain(*items)),
    "zip": _zip,
}
BUILTINS = frozenset({"dict", *_BUILTINS} - {"chain", "product"})
"""Python's own functions that are followed without an import."""
ITERTOOLS = frozenset({"chain", "product"})
"""Those that are followed once they are imported from itertools."""
_METHODS: dict[type, str] = {
    str: "capitalize casefold count endswith find format isdigit join lower lstrip partition removeprefix removesuffix "
    "replace rpartition rsplit rstrip split splitlines startswith strip swapcase title upper zfill",
    list: "append clear copy count extend index insert pop remove reverse sort",
    tuple: "count index",
    dict: "clear copy get items keys pop popitem setdefault update values",
    set: "add clear copy difference discard union update",
}
METHODS: dict[type, frozenset[str]] = {kind: frozenset(names.split()) for kind, names in _METHODS.items()}
"""The methods of plain values that are followed."""
