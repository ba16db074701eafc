"""A runbook's parameters: checked before anything runs, and shown in its help and its notebook, all from one model."""

from __future__ import annotations

import difflib
import importlib
import json
import types
import typing
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any, Literal, Union, get_args, get_origin

import yaml
from pydantic import ValidationError

from brainscore_ops.errors import Problem, UsageError
from brainscore_ops.parameters import RunbookParameters
from brainscore_ops.runbooks.catalogue import BadRunbookError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from pydantic.fields import FieldInfo


class ParametersRefusedError(UsageError):
    """The parameters of a run are not the ones that its runbook has."""

    code = "bad-parameters"


@dataclass(frozen=True)
class ParameterHelp:
    """What there is to know of one parameter."""

    name: str
    type: str
    """As it is written in the notebook: ``int | None``."""
    required: bool
    default: Any
    """As JSON has it; None where it is required."""
    description: str


def load_parameters_model(name: str) -> type[RunbookParameters]:
    """The model that a runbook names, ``module:Class``.

    :raises BadRunbookError: where there is none
    """
    module, _, attribute = name.partition(":")
    try:
        model = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError, ValueError) as error:
        raise BadRunbookError(
            f"expected the model of the runbook's parameters at {name!r}: {error}", remedy="Correct its metadata."
        ) from error
    if not (isinstance(model, type) and issubclass(model, RunbookParameters)):
        raise BadRunbookError(f"expected a RunbookParameters at {name!r}, found {model!r}")
    return model


def check_parameters(model: type[RunbookParameters], given: Mapping[str, object]) -> RunbookParameters:
    """The parameters of a run, typed.

    A text stands for what it says, so that command lines can give any type: ``3``, ``true``, ``[a, b]`` (YAML), and ``null`` or
    ``None`` for nothing.

    :raises ParametersRefusedError: every unknown, missing and mistyped parameter at once
    """
    try:
        return model.model_validate(dict(given))
    except ValidationError as error:
        mistaken = {str(issue["loc"][0]) for issue in error.errors() if issue["loc"]}
    read = {name: _read(value) if name in mistaken else value for name, value in given.items()}
    # A required parameter stands as None in its notebook: nothing was given.
    read = {name: value for name, value in read.items() if not (value is None and _is_required(model, name))}
    try:
        return model.model_validate(read)
    except ValidationError as error:
        problems = [_problem(dict(issue), model, given) for issue in error.errors(include_url=False)]
    raise ParametersRefusedError(
        f"the parameters are not those of this runbook ({len(problems)} problem{'s' if len(problems) > 1 else ''})",
        problems=problems,
        remedy="`brainscore-ops run RUNBOOK --help` shows every parameter with its type.",
    )


def describe(model: type[RunbookParameters]) -> list[ParameterHelp]:
    """Every parameter of a runbook, the required ones first."""
    return sorted(
        (
            ParameterHelp(
                name=name,
                type=_type_name(field.annotation),
                required=field.is_required(),
                default=None if field.is_required() else _default(model, name, field),
                description=" ".join((field.description or "").split()),
            )
            for name, field in model.model_fields.items()
        ),
        key=lambda parameter: not parameter.required,
    )


def render_parameters_cell(model: type[RunbookParameters]) -> str:
    """The source of a runbook's ``parameters`` cell.

    The variables hold what JSON can say: a path, an enumeration or a date is a text there. A required parameter stands as None,
    which no check lets pass. That a value may be None is not part of its type here: papermill would not recognize it as a
    parameter.
    """
    return "\n".join(
        f"{parameter.name}: {parameter.type.removesuffix(' | None')} = {_literal(parameter.default)}  "
        f"# {'required: ' if parameter.required else ''}{parameter.description}"
        for parameter in describe(model)
    )


def render_injected_cell(parameters: RunbookParameters) -> str:
    """The source of the cell that gives a run's parameters their values."""
    values = parameters.model_dump(mode="json")
    return "\n".join(
        ["# The parameters of this run", *(f"{name} = {_literal(value)}" for name, value in values.items())]
    )


def _literal(value: object) -> str:
    """A value as Python source, as the formatter has it: with double quotes."""
    match value:
        case str():
            return json.dumps(value, ensure_ascii=False)
        case list():
            return f"[{', '.join(map(_literal, value))}]"
        case dict():
            return f"{{{', '.join(f'{_literal(key)}: {_literal(item)}' for key, item in value.items())}}}"
        case _:
            return repr(value)


def _read(value: object) -> object:
    if not isinstance(value, str):
        return value
    if value == "None":
        return None
    try:
        return yaml.safe_load(value)
    except yaml.YAMLError:
        return value


def _is_required(model: type[RunbookParameters], name: str) -> bool:
    field = model.model_fields.get(name)
    return field is not None and field.is_required() and type(None) not in get_args(field.annotation)


def _problem(issue: dict[str, Any], model: type[RunbookParameters], given: Mapping[str, object]) -> Problem:
    where = ".".join(map(str, issue["loc"]))
    name = str(issue["loc"][0]) if issue["loc"] else ""
    help_of = {parameter.name: parameter for parameter in describe(model)}
    if issue["type"] == "extra_forbidden" and where == name:
        close = difflib.get_close_matches(name, help_of, n=2)
        remedy = f"Did you mean {' or '.join(close)}?" if close else f"It has {', '.join(help_of)}."
        return Problem("unknown-parameter", "this runbook has no such parameter.", where=where, remedy=remedy)
    if issue["type"] == "missing" and where == name:
        message = f"a value is required: {help_of[name].type}, {help_of[name].description}."
        return Problem("missing-parameter", message, where=where)
    if name not in help_of:
        return Problem("mistyped-parameter", f"{issue['msg']}.")  # a rule over several of them
    if (
        issue["type"] == "value_error" and "ctx" in issue
    ):  # a rule of ours, whose message says what it expected and found
        return Problem("mistyped-parameter", f"{issue['ctx']['error']}.", where=where)
    found = _shorten(repr(given.get(name)))
    return Problem("mistyped-parameter", f"expected {help_of[name].type}, found {found}: {issue['msg']}.", where=where)


def _shorten(text: str, longest: int = 80) -> str:
    return text if len(text) <= longest else f"{text[: longest - 1]}…"


def _default(model: type[RunbookParameters], name: str, field: FieldInfo) -> Any:
    value = field.get_default(call_default_factory=True, validated_data={})
    # Only a model knows how to write its fields as JSON: an unchecked one with this value alone.
    return model.model_construct(_fields_set={name}, **{name: value}).model_dump(mode="json", include={name})[name]


_JSON_TYPES: dict[Any, str] = {
    type(None): "None",
    None: "None",
    Any: "object",
    bool: "bool",
    int: "int",
    float: "float",
}


def _type_name(annotation: Any) -> str:
    """A type as the JSON form of its values has it."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin in (Union, types.UnionType):
        return _union(_type_name(argument) for argument in arguments)
    if origin is Literal:
        return _union(_type_name(type(argument)) for argument in arguments)
    if origin is typing.Annotated:
        return _type_name(arguments[0])
    if origin is dict or annotation is dict:
        inner = ", ".join(_type_name(argument) for argument in arguments)
        return f"dict[{inner}]" if inner else "dict"
    if origin in (list, tuple, set, frozenset) or annotation in (list, tuple, set, frozenset):
        inner = _union(_type_name(argument) for argument in arguments if argument is not Ellipsis)
        return f"list[{inner}]" if inner else "list"
    if isinstance(annotation, type) and issubclass(annotation, Enum):
        return _union(_type_name(type(member.value)) for member in annotation)
    return _JSON_TYPES.get(annotation, "str")


def _union(names: Iterable[str]) -> str:
    # Every name once; None last.
    return " | ".join(sorted(dict.fromkeys(names), key=lambda name: name == "None"))
