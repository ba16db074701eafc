"""What models and benchmarks say of themselves in ``metadata.yml``: read as hostile, held against a schema.

The forms are those of Brain-Score's libraries:

- of a model's plugin: ``models:`` → identifier → :class:`ModelMetadata`;
- of a benchmark's plugin: ``benchmarks:`` → identifier → ``stimulus_set``, ``data`` and ``metric``, or ``data_id`` and
  ``metric_id``, by which they are taken from the plugins that register these;
- of a data set's plugin: ``defaults`` and ``data:`` → identifier, each with ``stimulus_set`` and ``data_assembly``;
- of a metric's plugin: :class:`MetricMetadata` itself.

A value that nobody knows is left out, or null. A placeholder would stand on the leaderboard as if it were one.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import yaml
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StrictBool,
    StrictFloat,
    StrictInt,
    ValidationError,
    model_validator,
)
from pydantic_core import PydanticCustomError

from brainscore_ops.plugins import rules
from brainscore_ops.plugins.layout import PluginKey, shown

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from brainscore_ops.plugins.catalogue import Catalogue
    from brainscore_ops.plugins.rules import Rule, SourceProblem
    from brainscore_ops.plugins.tree import SourceTree

_Kind = TypeVar("_Kind", bound="_Metadata")

FILES = ("metadata.yml", "metadata.yaml")
"""How the file is called; Brain-Score's generators write both."""

LARGEST_FILE = 200_000
"""Bytes; the vision library's largest has a tenth of that."""

_DEEPEST = 12
_PLACEHOLDER, _PART_OF_WHOLE = "placeholder", "part_of_whole"
_PLACEHOLDERS = frozenset(
    {
        "todo",
        "tbd",
        "tba",
        "tbc",
        "fixme",
        "xxx",
        "unknown",
        "n/a",
        "na",
        "placeholder",
        "dummy",
        "foo",
        "bar",
        "string",
    }
    | {"str", "int", "integer", "bool", "boolean", "?", "??", "???", "-", "--", "...", "…"}
)
_TEMPLATE_TEXT = re.compile(
    r"<.*>|\[.*\]|\{.*\}|(todo|fixme|tbd)\b.*|(your|my|insert|enter|replace|change|fill|add|describe)[ _-].*|lorem ipsum.*"
    r"|e\.?g\.?[ ,:].*|https?://(www\.)?example\.(com|org|net).*|https?://\S*(\.\.\.|…|<|your[-_]).*",
    re.IGNORECASE | re.DOTALL,
)


def _plain(value: object) -> object:
    """Null and the empty text are the same; a list of words is one text."""
    if isinstance(value, list) and value and all(isinstance(each, str) for each in value):
        value = ", ".join(value)
    return (value.strip() or None) if isinstance(value, str) else value


def _no_placeholder(value: str) -> str:
    if value.casefold() in _PLACEHOLDERS or _TEMPLATE_TEXT.fullmatch(value):
        raise PydanticCustomError(_PLACEHOLDER, "a placeholder")
    return value


def _as_number(value: object) -> object:
    # YAML reads yes and no as truth values, which Python takes for numbers; and 6.1e+7 as a fraction.
    if isinstance(value, bool):
        raise PydanticCustomError("truth_value", "a truth value")
    return int(value) if isinstance(value, float) and value.is_integer() else value


Text100 = Annotated[
    Annotated[str, AfterValidator(_no_placeholder), Field(max_length=100)] | None,
    BeforeValidator(_plain),
    Field(description="a text of at most 100 characters"),
]
Text1000 = Annotated[
    Annotated[str, AfterValidator(_no_placeholder), Field(max_length=1000)] | None,
    BeforeValidator(_plain),
    Field(description="a text of at most 1000 characters"),
]
Link = Annotated[
    Annotated[str, AfterValidator(_no_placeholder), Field(max_length=200, pattern=r"^https?://[^\s/]+\.\S+$")] | None,
    BeforeValidator(_plain),
    Field(description="a link that begins with https://, of at most 200 characters"),
]
Count64 = Annotated[
    Annotated[StrictInt, Field(ge=0, le=2**63 - 1)] | None,
    BeforeValidator(_as_number),
    Field(description=f"a whole number from 0 to {2**63 - 1}, without quotes or separators"),
]
"""What PostgreSQL's bigint takes: large models have more parameters than 32 bits count."""
Count32 = Annotated[
    Annotated[StrictInt, Field(ge=0, le=2**31 - 1)] | None,
    BeforeValidator(_as_number),
    Field(description=f"a whole number from 0 to {2**31 - 1}, without quotes or separators"),
]
Size = Annotated[
    Annotated[StrictFloat, Field(ge=0, allow_inf_nan=False)] | None,
    BeforeValidator(_as_number),
    Field(description="a number of at least 0"),
]
Truth = Annotated[StrictBool | None, Field(description="true or false")]


class _Metadata(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ModelMetadata(_Metadata):
    """A model, in the words of ``brainscore_modelmeta``."""

    architecture: Text100 = None
    model_family: Text100 = None
    total_parameter_count: Count64 = None
    trainable_parameter_count: Count64 = None
    total_layers: Count32 = None
    trainable_layers: Count32 = None
    model_size_mb: Size = None
    training_dataset: Text100 = None
    task_specialization: Text100 = None
    brainscore_link: Link = None
    hugging_face_link: Link = None
    extra_notes: Text1000 = None
    runnable: Truth = None

    @model_validator(mode="after")
    def _trains_no_more_than_there_is(self) -> ModelMetadata:
        for part, whole in (
            ("trainable_parameter_count", "total_parameter_count"),
            ("trainable_layers", "total_layers"),
        ):
            of, total = getattr(self, part), getattr(self, whole)
            if of is not None and total is not None and of > total:
                about = {"key": part, "expected": f"at most {whole}, which is {total}", "found": of}
                raise PydanticCustomError(_PART_OF_WHOLE, "more than there is", about)
        return self


class StimulusSetMetadata(_Metadata):
    """A benchmark's stimuli, in the words of ``brainscore_benchmark_stimuli_meta``."""

    num_stimuli: Count32 = None
    datatype: Text100 = None
    stimuli_subtype: Text100 = None
    total_size_mb: Size = None
    brainscore_link: Link = None
    extra_notes: Text1000 = None


class DataMetadata(_Metadata):
    """A benchmark's data, in the words of ``brainscore_benchmark_data_meta``."""

    benchmark_type: Text100 = None
    task: Text100 = None
    region: Text100 = None
    hemisphere: Text100 = None
    num_recording_sites: Count32 = None
    duration_ms: Size = None
    species: Text100 = None
    datatype: Text100 = None
    num_subjects: Count32 = None
    pre_processing: Text100 = None
    brainscore_link: Link = None
    extra_notes: Text1000 = None
    data_publicly_available: Truth = None


class MetricMetadata(_Metadata):
    """A benchmark's metric, in the words of ``brainscore_benchmark_metric_meta``."""

    type: Text100 = None
    reference: Text100 = None
    public: Truth = None
    brainscore_link: Link = None
    extra_notes: Text1000 = None


@dataclass(frozen=True)
class BenchmarkMetadata:
    """A benchmark; None for a part of which nothing is said."""

    stimulus_set: StimulusSetMetadata | None = None
    data: DataMetadata | None = None
    metric: MetricMetadata | None = None


@dataclass(frozen=True)
class Metadata:
    """What a library's plugins say of themselves. What has a problem is left out."""

    models: Mapping[str, ModelMetadata] = field(default_factory=dict)
    benchmarks: Mapping[str, BenchmarkMetadata] = field(default_factory=dict)
    problems: tuple[SourceProblem, ...] = ()


def read_metadata(
    tree: SourceTree, catalogue: Catalogue, plugins: Collection[PluginKey], *, whole: bool = True
) -> Metadata:
    """Read the metadata of plugins.

    :param catalogue: what the tree's plugins register
    :param plugins: those whose metadata is asked for; others are read where a benchmark refers to them
    :param whole: whether the tree is the whole library, so that a data set that is not in it does not exist
    """
    return _Reader(tree, catalogue, whole=whole).read(sorted(plugins))


class _Reader:
    def __init__(self, tree: SourceTree, catalogue: Catalogue, *, whole: bool) -> None:
        self._tree = tree
        self._catalogue = catalogue
        self._whole = whole
        self._files: dict[PluginKey, _File | None] = {}

    def read(self, plugins: list[PluginKey]) -> Metadata:
        models: dict[str, ModelMetadata] = {}
        benchmarks: dict[str, BenchmarkMetadata] = {}
        for plugin in plugins:
            file = self._file(plugin)
            if file is None:
                continue
            if plugin.type == "models":
                models |= self._models(file, plugin)
            elif plugin.type == "benchmarks":
                benchmarks |= self._benchmarks(file, plugin)
            elif plugin.type == "data":
                self._check_data(file, plugin)
            else:
                file.parse(MetricMetadata, ())
        # A data set's file may have been read for a benchmark's sake alone: it is judged where it is asked for.
        asked = [file for plugin in plugins if (file := self._files.get(plugin))]
        return Metadata(models, benchmarks, tuple(problem for file in asked for problem in file.problems))

    def _models(self, file: _File, plugin: PluginKey) -> dict[str, ModelMetadata]:
        found = {}
        for identifier in self._entries(file, plugin, "models"):
            before = len(file.problems)
            file.unify_links(("models", identifier))
            parsed = file.parse(ModelMetadata, ("models", identifier))
            if parsed is not None and len(file.problems) == before:
                found[identifier] = parsed
        return found

    def _benchmarks(self, file: _File, plugin: PluginKey) -> dict[str, BenchmarkMetadata]:
        found = {}
        for identifier in self._entries(file, plugin, "benchmarks"):
            at = ("benchmarks", identifier)
            before = len(file.problems)
            parts = file.mapping(at)
            for key in _others(parts, {"stimulus_set", "data", "metric", "data_id", "metric_id"}):
                file.report(rules.METADATA_UNKNOWN_KEY, (*at, key), key=shown(str(key)), **_known_parts())
            own = BenchmarkMetadata(
                stimulus_set=file.parse_part(StimulusSetMetadata, (*at, "stimulus_set")),
                data=file.parse_part(DataMetadata, (*at, "data")),
                metric=file.parse_part(MetricMetadata, (*at, "metric")),
            )
            stimuli, data = self._of_data(file, at, parts.get("data_id"))
            metric = self._of_metric(file, at, parts.get("metric_id"))
            if len(file.problems) == before:
                found[identifier] = BenchmarkMetadata(
                    own.stimulus_set or stimuli, own.data or data, own.metric or metric
                )
        return found

    def _of_data(
        self, file: _File, at: tuple[Any, ...], identifier: object
    ) -> tuple[StimulusSetMetadata | None, DataMetadata | None]:
        plugin = self._registered(file, (*at, "data_id"), identifier, ("data", "stimulus_sets"))
        source = self._file(plugin) if plugin else None
        if source is None:
            return None, None
        return (
            source.parse_over(StimulusSetMetadata, ("defaults", "stimulus_set"), ("data", identifier, "stimulus_set")),
            source.parse_over(DataMetadata, ("defaults", "data_assembly"), ("data", identifier, "data_assembly")),
        )

    def _of_metric(self, file: _File, at: tuple[Any, ...], identifier: object) -> MetricMetadata | None:
        plugin = self._registered(file, (*at, "metric_id"), identifier, ("metrics",))
        source = self._file(plugin) if plugin else None
        return source.parse(MetricMetadata, ()) if source else None

    def _check_data(self, file: _File, plugin: PluginKey) -> None:
        known = {"defaults", "data"}
        for key in _others(file.mapping(()), known):
            file.report(rules.METADATA_UNKNOWN_KEY, (key,), key=shown(str(key)), known=", ".join(sorted(known)))
        entries = [("defaults",), *(("data", identifier) for identifier in self._entries(file, plugin, "data"))]
        for at in entries:
            file.parse_part(StimulusSetMetadata, (*at, "stimulus_set"))
            file.parse_part(DataMetadata, (*at, "data_assembly"))

    def _entries(self, file: _File, plugin: PluginKey, key: str) -> list[str]:
        """The identifiers that a file says something of: those that its plugin registers."""
        if plugin.type != "data":
            for other in _others(file.mapping(()), {key}):
                file.report(rules.METADATA_UNKNOWN_KEY, (other,), key=shown(str(other)), known=key)
        registered = {name for names in self._catalogue.plugins.get(plugin, {}).values() for name in names}
        for identifier in _others(file.mapping((key,)), registered):
            file.report(
                rules.METADATA_UNKNOWN_IDENTIFIER,
                (key, identifier),
                identifier=shown(str(identifier)),
                registered=", ".join(map(shown, sorted(registered))) or "nothing",
            )
        return sorted(name for name in file.mapping((key,)) if name in registered)

    def _registered(
        self, file: _File, at: tuple[Any, ...], identifier: object, kinds: tuple[str, ...]
    ) -> PluginKey | None:
        if identifier is None:
            return None
        for kind in kinds:
            if isinstance(identifier, str) and identifier in self._catalogue.of_kind(kind):
                return self._catalogue.plugin_of(kind, identifier)
        if self._whole:
            file.report(
                rules.METADATA_WRONG_VALUE,
                at,
                key=shown(str(at[-1])),
                expected=f"the identifier of one of the library's {kinds[0]}",
                found=shown(str(identifier)),
            )
        return None

    def _file(self, plugin: PluginKey) -> _File | None:
        if plugin not in self._files:
            paths = [f"{plugin.path(self._catalogue.library)}/{name}" for name in FILES]
            found = list(self._tree.read_many(paths).items())
            file = _File(*found[0]) if found else None
            if file and len(found) > 1:
                file.report(rules.METADATA_TWICE, ())
            self._files[plugin] = file
        return self._files[plugin]


class _File:
    """One metadata.yml: its values, the lines that they stand on, and what is wrong."""

    def __init__(self, path: str, content: bytes) -> None:
        self.path = path
        self.problems: list[SourceProblem] = []
        self._lines: dict[tuple[Any, ...], int] = {}
        self._document: Any = {}
        try:
            self._document, self._lines = _load(content)
        except _UnreadableError as error:
            self.report(rules.METADATA_UNREADABLE, (), fault=str(error))

    def report(self, rule: Rule, at: tuple[Any, ...], **found: object) -> None:
        while at and at not in self._lines:
            at = at[:-1]
        self.problems.append(rule.source_problem(self.path, self._lines.get(at, 1), **found))

    def value(self, at: tuple[Any, ...]) -> Any:
        found = self._document
        for key in at:
            found = found.get(key) if isinstance(found, dict) else None
        return found

    def mapping(self, at: tuple[Any, ...]) -> dict[Any, Any]:
        """The mapping at a place; an empty one where there is nothing, or (which is a problem) something else."""
        found = self.value(at)
        if found is None or isinstance(found, dict):
            return found or {}
        name = ".".join(map(str, at)) or "the file"
        fault = f"{shown(name)} holds {shown(str(found))}, and no names with values"
        known = [problem.message for problem in self.problems]
        self.report(rules.METADATA_UNREADABLE, at, fault=fault)
        if self.problems[-1].message in known:  # a place may be looked at more than once
            self.problems.pop()
        return {}

    def unify_links(self, at: tuple[Any, ...]) -> None:
        """Both spellings of the link to Hugging Face are one; where both are given they have to agree."""
        entry = self.mapping(at)
        if "huggingface_link" not in entry:
            return
        one, other = entry.pop("huggingface_link"), entry.get("hugging_face_link")
        if one and other and str(one).rstrip("/") != str(other).rstrip("/"):
            self.report(
                rules.METADATA_LINKS_DISAGREE, (*at, "huggingface_link"), one=shown(str(one)), other=shown(str(other))
            )
        entry["hugging_face_link"] = other or one
        line = self._lines.get((*at, "huggingface_link"))
        if line is not None:
            self._lines.setdefault((*at, "hugging_face_link"), line)

    def parse_part(self, kind: type[_Kind], at: tuple[Any, ...]) -> _Kind | None:
        """As :meth:`parse`; None as well where there is nothing."""
        return None if self.value(at) is None else self.parse(kind, at)

    def parse_over(self, kind: type[_Kind], defaults: tuple[Any, ...], at: tuple[Any, ...]) -> _Kind | None:
        """What stands at one place, over what stands at another."""
        entry = {**self.mapping(defaults), **self.mapping(at)}
        return self._validated(kind, entry, at) if entry else None

    def parse(self, kind: type[_Kind], at: tuple[Any, ...]) -> _Kind | None:
        """What stands at a place, as the schema has it; None where it has a problem, which is told."""
        before = len(self.problems)
        entry = self.mapping(at)
        return self._validated(kind, entry, at) if len(self.problems) == before else None

    def _validated(self, kind: type[_Kind], entry: dict[Any, Any], at: tuple[Any, ...]) -> _Kind | None:
        before = len(self.problems)
        for key in _others(entry, kind.model_fields):
            known = ", ".join(kind.model_fields)
            self.report(rules.METADATA_UNKNOWN_KEY, (*at, key), key=shown(str(key)), known=known)
        try:
            parsed = kind.model_validate({key: value for key, value in entry.items() if key in kind.model_fields})
        except ValidationError as error:
            # A union of a type and null tells of each part: the key is told once.
            for key in dict.fromkeys(str(issue["loc"][0]) if issue["loc"] else "" for issue in error.errors()):
                self._report_value(kind, entry, (*at, key), error)
            return None
        return parsed if len(self.problems) == before else None

    def _report_value(
        self, kind: type[_Kind], entry: dict[Any, Any], at: tuple[Any, ...], error: ValidationError
    ) -> None:
        key = at[-1]
        issues = [issue for issue in error.errors() if (str(issue["loc"][0]) if issue["loc"] else "") == key]
        if issues[0]["type"] == _PART_OF_WHOLE:
            about = issues[0]["ctx"]
            self.report(rules.METADATA_WRONG_VALUE, (*at[:-1], about["key"]), **about)
        elif issues[0]["type"] == _PLACEHOLDER:
            self.report(rules.METADATA_PLACEHOLDER, at, key=shown(key), found=shown(str(entry[key])))
        else:
            expected = str(kind.model_fields[key].description)
            found = shown(entry[key]) if isinstance(entry[key], str) else shown(str(entry[key])).strip("'")
            self.report(rules.METADATA_WRONG_VALUE, at, key=shown(key), expected=expected, found=found)


class _UnreadableError(ValueError):
    """The file is no YAML that is taken."""


def _load(content: bytes) -> tuple[Any, dict[tuple[Any, ...], int]]:
    """A document of plain values, and the line (from 1) of each of its keys."""
    if len(content) > LARGEST_FILE:
        raise _UnreadableError(f"it has {len(content)} bytes; at most {LARGEST_FILE} are read")
    try:
        loader = _Loader(content.decode("utf-8"))
        node = loader.get_single_node()
        lines = {(): 1, **dict(_lines(node, ()))}
        return loader.construct_document(node) if node else {}, lines
    except UnicodeDecodeError:
        raise _UnreadableError("it is no text in UTF-8") from None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        raise _UnreadableError(f"{error.problem}{f' in line {mark.line + 1}' if mark else ''}") from None
    except (yaml.YAMLError, ValueError) as error:
        raise _UnreadableError(str(error).splitlines()[0][:200]) from None
    except RecursionError:
        raise _UnreadableError("it is nested without end") from None


def _lines(node: yaml.Node | None, at: tuple[Any, ...]) -> Iterator[tuple[tuple[Any, ...], int]]:
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            inside = (*at, key.value)
            yield inside, key.start_mark.line + 1
            yield from _lines(value, inside)


class _Loader(yaml.SafeLoader):
    """YAML without what makes a small file large or ambiguous: references to other places, keys that stand twice."""

    _depth = 0

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.AliasEvent):
            mark = self.peek_event().start_mark  # type: ignore[no-untyped-call]
            raise yaml.composer.ComposerError(None, None, "a reference to another place (*) is not taken", mark)
        self._depth += 1
        if self._depth > _DEEPEST:
            raise yaml.YAMLError(f"it is nested more than {_DEEPEST} deep")
        node = super().compose_node(parent, index)
        self._depth -= 1
        return node

    def construct_mapping(self, node: Any, deep: bool = False) -> Any:
        seen: set[str] = set()
        for key, _ in node.value:
            if key.value in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"{shown(str(key.value))} stands twice", key.start_mark
                )
            seen.add(str(key.value))
        return super().construct_mapping(node, deep=deep)


def _others(found: Mapping[Any, Any], known: Collection[str]) -> list[Any]:
    return sorted((key for key in found if key not in known), key=str)


def _known_parts() -> dict[str, str]:
    return {"known": "stimulus_set, data, metric, data_id, metric_id"}
