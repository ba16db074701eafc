"""What somebody sends in: looked into without unpacking it, and taken only if all of it is sound plugins.

The rules are about what a plugin is (:mod:`brainscore_ops.plugins.layout`) and about what an archive may do to whoever
unpacks it. Whatever is wrong is told at once, in words for the person who sent it.
"""

from __future__ import annotations

import hashlib
import unicodedata
from collections import Counter
from dataclasses import dataclass, field
from typing import IO, TYPE_CHECKING, Any

from brainscore_ops.display import Code, Shown, Table
from brainscore_ops.errors import Problem, RefusedError, UsageError
from brainscore_ops.plugins import rules
from brainscore_ops.plugins.catalogue import Catalogue, read_catalogue
from brainscore_ops.plugins.layout import (
    IDENTIFIER_KINDS,
    PLUGIN_TYPES,
    Owner,
    PluginKey,
    collision_key,
    is_noise,
    is_test_file,
    locate,
    path_fault,
    plugin_name_fault,
    plugin_name_like,
    shown,
)
from brainscore_ops.plugins.metadata import read_metadata
from brainscore_ops.plugins.namespace import Namespace
from brainscore_ops.plugins.tree import MemoryTree
from brainscore_ops.plugins.zipped import (
    DamagedError,
    Member,
    TooLargeError,
    TooManyMembersError,
    inflate,
    list_members,
)

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence
    from pathlib import Path

    from brainscore_ops.plugins.rules import Rule

_LISTED = 10
_DEEPEST_ROOT = 3
_INIT = "__init__.py"


class ArchiveRefusedError(RefusedError):
    """An archive is not taken; ``problems`` holds everything that is wrong with it."""

    code = "archive-refused"

    @classmethod
    def from_problems(cls, problems: Sequence[Problem], count: int) -> ArchiveRefusedError:
        """A refusal that lists problems, which may stand for more of the same."""
        message = f"Expected a zip file with plugins; found {count} {'problem' if count == 1 else 'problems'} in it"
        return cls(message, remedy="Correct the archive and send it again.", problems=problems)


class ArchiveNotFoundError(UsageError):
    """There is no such file."""

    code = "archive-not-found"


@dataclass(frozen=True)
class ArchiveLimits:
    """How much an archive may hold."""

    archive_bytes: int = 100_000_000
    unpacked_bytes: int = 500_000_000
    member_bytes: int = 100_000_000
    """Of one file: git hosts take none that is larger."""
    members: int = 5_000
    plugins: int = 50
    ratio: int = 200
    """Times that a file, or the whole, may grow when it is unpacked; small ones may grow more."""
    ratio_floor_bytes: int = 10_000_000
    """Up to here the ratio does not matter: a text file of zeros is no bomb."""
    path_characters: int = 240


@dataclass(frozen=True)
class Archive(Shown):
    """An archive that was found sound."""

    digest: str
    """SHA-256 of the archive's file, in hexadecimal."""
    files: Mapping[str, bytes] = field(repr=False)
    """Path in the repository (``<library>/<type>/<plugin>/…``) to content, sorted by path."""
    plugins: tuple[PluginKey, ...]
    identifiers: Catalogue
    """What the archive's plugins register."""
    notes: tuple[str, ...] = ()
    """What was left out or changed, in words."""

    def table(self) -> Table:
        sizes = [f"{path}  {len(content):,} bytes" for path, content in self.files.items()]
        registers = self.identifiers.to_json()
        return Table(
            "The archive is sound",
            [
                ("plugins", "\n".join(map(str, self.plugins))),
                ("registers", "\n".join(f"{kind}: {name}" for kind in IDENTIFIER_KINDS for name in registers[kind])),
                ("files", "\n".join([f"{len(sizes)} files, {sum(map(len, self.files.values())):,} bytes", *sizes])),
                ("left out", "\n".join(self.notes)),
                ("digest", Code(self.digest)),
            ],
        )

    def to_json(self) -> dict[str, Any]:
        """What was found, as a JSON document; files by name and size."""
        return {
            "digest": self.digest,
            "plugins": [str(plugin) for plugin in self.plugins],
            "identifiers": self.identifiers.to_json(),
            "files": {path: len(content) for path, content in self.files.items()},
            "notes": list(self.notes),
        }


def inspect_archive(
    path: Path,
    *,
    library: str,
    existing: Catalogue | Collection[tuple[str, str]] | None = None,
    taken: Collection[tuple[str, str]] = (),
    limits: ArchiveLimits | None = None,
) -> Archive:
    """Look into an archive. Nothing is written to disk, and no size that the archive gives of itself is believed.

    Accepted are plugins under any folder or none (``models/x/…``, ``my-upload/models/x/…``,
    ``repository/library/models/x/…``), archives without entries for folders, backslashes throughout (as some Windows
    programs write), and what computers leave behind, which is left out. File names are brought to Unicode's composed
    form (NFC).

    :param library: the package that the plugins are for
    :param existing: what the library has: its catalogue (plugins of the same name are then refused too), or
        (kind, identifier) pairs
    :param taken: further (kind, identifier) pairs that are not to be had, such as those in the database
    :raises ArchiveRefusedError: something is wrong; all of it is in ``problems``
    :raises ArchiveNotFoundError: there is no such file
    """
    limits = limits or ArchiveLimits()
    problems = _Problems()
    if not path.is_file():
        raise ArchiveNotFoundError(f"Expected a zip file at {path}; found none", remedy="Correct the path.")
    with path.open("rb") as file:
        members = _sort(_members(file, limits, problems), limits, problems)
        _check_names(members, problems)
        contents = _inflate_all(file, members, limits, problems)
        file.seek(0)
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    files = _in_repository(contents, library, problems)
    plugins = _check_plugins(files, library, limits, problems)
    identifiers = _read_identifiers(files, library, problems)
    _check_new(plugins, identifiers, existing, taken, problems)
    _check_metadata(files, identifiers, problems)
    if problems:
        raise problems.refusal()
    sound = {name: content for name, content in sorted(files.items()) if content is not None}
    return Archive(digest, sound, plugins, identifiers, tuple(members.notes))


class _Problems:
    """Everything that is wrong so far. Of each kind ten are told, and the rest counted."""

    def __init__(self) -> None:
        self._found: dict[Problem, None] = {}

    def add(self, rule: Rule, where: str = "", **found: object) -> None:
        self.append(rule.problem(where, **found))

    def append(self, problem: Problem) -> None:
        self._found[problem] = None

    def __bool__(self) -> bool:
        return bool(self._found)

    def refusal(self) -> ArchiveRefusedError:
        counts = Counter(problem.code for problem in self._found)
        told: Counter[str] = Counter()
        listed = []
        for problem in self._found:
            told[problem.code] += 1
            if told[problem.code] <= _LISTED:
                listed.append(problem)
            elif told[problem.code] == _LISTED + 1:
                more = f"The same is wrong in {counts[problem.code] - _LISTED} more places."
                listed.append(Problem(problem.code, more, remedy=problem.remedy))
        return ArchiveRefusedError.from_problems(listed, sum(counts.values()))


# -------------------------------------------------------------------- the zip file


def _members(file: IO[bytes], limits: ArchiveLimits, problems: _Problems) -> list[Member]:
    """The members of a file that is worth looking into; otherwise the refusal."""
    size = file.seek(0, 2)
    if size > limits.archive_bytes:
        problems.add(rules.ARCHIVE_TOO_LARGE, most=_megabytes(limits.archive_bytes), size=_megabytes(size))
        raise problems.refusal()
    try:
        return list_members(file, limits.members)
    except TooManyMembersError as error:
        problems.add(rules.ARCHIVE_TOO_MANY_MEMBERS, most=limits.members, count=error)
    except DamagedError as error:
        problems.add(rules.ARCHIVE_DAMAGED, fault=error)
    raise problems.refusal()


@dataclass(frozen=True)
class _Sorted:
    """The members of an archive by what they are; paths are in Unicode's composed form, with '/'."""

    files: dict[str, Member]
    folders: set[str]
    unreadable: set[str]
    """Files that are there and refused, so that nobody is told that they are missing."""
    notes: list[str]


def _sort(members: Sequence[Member], limits: ArchiveLimits, problems: _Problems) -> _Sorted:
    """Tell files, folders and what computers leave behind apart; whatever is no plain file or folder is a problem."""
    found = _Sorted({}, set(), set(), [])
    backslashes = _only_backslashes(member.name for member in members)
    if backslashes:
        found.notes.append("Backslashes in the names of files were read as '/'.")
    ignored: list[str] = []
    for member in members:
        name = member.name.replace("\\", "/") if backslashes else member.name
        path = unicodedata.normalize("NFC", name.removeprefix("./").removesuffix("/"))
        if not _is_plain_path(member, path, limits, problems):
            continue
        if not _is_plain_member(member, problems):
            found.unreadable.add(path)
        if member.is_folder:
            found.folders.add(path)
        elif is_noise(path):
            ignored.append(path)
        elif path in found.files:
            _report_collision(found.files[path].name, member.name, problems)
        else:
            found.files[path] = member
    if ignored:
        more = f" and {len(ignored) - 3} more" if ignored[3:] else ""
        found.notes.append(f"Left out, as no part of a plugin: {', '.join(map(shown, ignored[:3]))}{more}.")
    return found


def _only_backslashes(names: Iterable[str]) -> bool:
    """Whether an archive was written by one of the Windows programs that separate folders so."""
    text = "".join(names)
    return "\\" in text and "/" not in text


def _is_plain_path(member: Member, path: str, limits: ArchiveLimits, problems: _Problems) -> bool:
    fault = None if member.is_folder and path in ("", ".") else path_fault(path)
    if fault:
        problems.add(rules.PATH_REFUSED, member.name, fault=fault)
    elif len(path) > limits.path_characters:
        problems.add(rules.PATH_TOO_LONG, member.name, most=limits.path_characters, length=len(path))
    else:
        return True
    return False


def _is_plain_member(member: Member, problems: _Problems) -> bool:
    if member.is_link:
        problems.add(rules.MEMBER_IS_LINK, member.name)
    elif member.is_special or (member.is_folder and member.info.file_size):
        problems.add(rules.MEMBER_IS_SPECIAL, member.name)
    elif member.is_folder:
        return True
    elif member.is_encrypted:
        problems.add(rules.MEMBER_ENCRYPTED, member.name)
    elif not member.is_readable:
        problems.add(rules.MEMBER_METHOD, member.name)
    else:
        return True
    return False


def _check_names(found: _Sorted, problems: _Problems) -> None:
    """No two paths are one on some computers, and no file stands where a folder is needed."""
    names = Namespace(found.files, found.folders)
    for path in sorted({*found.files, *found.folders}):
        twin = names.twin(path)
        # Of two names the later one is told, once, however many files are in a folder of that name.
        if twin and twin[0] > twin[1]:
            _report_collision(twin[1], twin[0], problems)
    for path in found.files:
        if names.is_folder(path):
            problems.add(rules.PATH_FILE_AND_FOLDER, path)


def _report_collision(first: str, second: str, problems: _Problems) -> None:
    if first == second:
        problems.add(rules.MEMBER_TWICE, second)
        return
    composed = [unicodedata.normalize("NFC", name) for name in (first, second)]
    by_case = composed[0] != composed[1] and composed[0].lower() == composed[1].lower()
    difference = "upper and lower case" if by_case else "Unicode form (the same letters, written differently)"
    problems.add(rules.PATH_COLLISION, second, other=shown(first), difference=difference)


def _inflate_all(
    file: IO[bytes], found: _Sorted, limits: ArchiveLimits, problems: _Problems
) -> dict[str, bytes | None]:
    """The files' contents by path in the archive; None where the content is refused."""
    contents: dict[str, bytes | None] = dict.fromkeys(found.files)
    size = file.seek(0, 2)
    whole = left = min(limits.unpacked_bytes, max(limits.ratio_floor_bytes, limits.ratio * size))
    for path, member in found.files.items():
        if path in found.unreadable:
            continue
        by_ratio = max(limits.ratio_floor_bytes, limits.ratio * member.info.compress_size)
        most = min(limits.member_bytes, by_ratio, left)
        try:
            content = inflate(file, member, most)
        except DamagedError as error:
            problems.add(rules.MEMBER_DAMAGED, path, fault=error)
        except TooLargeError:
            if most == left:
                problems.add(rules.ARCHIVE_EXPANDS_TOO_MUCH, most=_megabytes(whole), size=_megabytes(size))
                break
            if most == by_ratio:
                problems.add(rules.MEMBER_EXPANDS_TOO_MUCH, path, ratio=limits.ratio)
            else:
                problems.add(rules.MEMBER_TOO_LARGE, path, most=_megabytes(limits.member_bytes))
        else:
            contents[path] = content
            left -= len(content)
    return contents


def _megabytes(size: int) -> str:
    return f"{size / 1e6:.0f} MB" if size >= 1_000_000 else f"{size / 1e3:.1f} kB"


# -------------------------------------------------------------------- the plugins in it


def _in_repository(files: Mapping[str, bytes | None], library: str, problems: _Problems) -> dict[str, bytes | None]:
    """The plugins' files by their path in the repository; whatever is no plugin's is a problem."""
    roots = _roots(files)
    if not roots:
        if files or not problems:
            tops = dict.fromkeys(path.split("/")[0] + ("/" if "/" in path else "") for path in files)
            problems.add(rules.NO_PLUGIN, found=_few(tops) or "nothing")
        return {}
    if len(roots) > 1:
        problems.add(rules.SEVERAL_ROOTS, roots=_few(roots))
    found: dict[str, bytes | None] = {}
    for path, content in files.items():
        inside = path.removeprefix(roots[0])
        target = f"{library}/{inside}"
        place = locate(target, library)
        folder, name, *rest = [*inside.split("/"), "", ""]
        if not path.startswith(roots[0]):
            problems.add(
                rules.FILE_OUTSIDE_PLUGINS, path, fault=f"it is not in {shown(roots[0])}, where the plugins are"
            )
        elif place.owner is Owner.PLUGIN:
            found[target] = content
        elif folder in PLUGIN_TYPES and any(rest) and (fault := plugin_name_fault(name)):
            problems.add(rules.PLUGIN_NAME, f"{folder}/{name}/", fault=fault, example=plugin_name_like(name))
        else:
            problems.add(rules.FILE_OUTSIDE_PLUGINS, path, fault=place.reason)
    return found


def _roots(files: Iterable[str]) -> list[str]:
    """What may stand before the plugin types' folders: "" or "my-upload/"; several where nobody can tell which."""
    split = [path.split("/") for path in files]
    # A plugin's __init__.py tells most surely where the plugins are.
    of_inits = {
        tuple(parts[:-3]) for parts in split if parts[-1] == _INIT and parts[-3:-2] and parts[-3] in PLUGIN_TYPES
    }
    of_files = {
        tuple(parts[:depth])
        for parts in split
        for depth in range(min(len(parts) - 2, _DEEPEST_ROOT + 1))
        if parts[depth] in PLUGIN_TYPES
    }
    candidates = {parts for parts in of_inits if len(parts) <= _DEEPEST_ROOT} or of_files
    shortest = min(map(len, candidates), default=0)
    return sorted("".join(f"{part}/" for part in parts) for parts in candidates if len(parts) == shortest)


def _few(names: Iterable[str]) -> str:
    names = list(names)
    return ", ".join(map(shown, names[:5])) + (", ..." if names[5:] else "")


def _check_plugins(
    files: Mapping[str, bytes | None], library: str, limits: ArchiveLimits, problems: _Problems
) -> tuple[PluginKey, ...]:
    """The plugins; each has what every plugin must have."""
    paths: dict[PluginKey, list[str]] = {}
    for path in files:
        plugin = locate(path, library).plugin
        if plugin is not None:
            paths.setdefault(plugin, []).append(path)
    if len(paths) > limits.plugins:
        problems.add(rules.TOO_MANY_PLUGINS, most=limits.plugins, count=len(paths))
        raise problems.refusal()
    for plugin in sorted(paths):
        if f"{plugin.path(library)}/{_INIT}" not in files:
            problems.add(rules.PLUGIN_NO_INIT, f"{plugin}/")
        if not any(map(is_test_file, paths[plugin])):
            problems.add(rules.PLUGIN_NO_TEST, f"{plugin}/")
    return tuple(sorted(paths))


def _read_identifiers(files: Mapping[str, bytes | None], library: str, problems: _Problems) -> Catalogue:
    readable = {path: content for path, content in files.items() if content is not None}
    if not readable:
        return Catalogue(library)
    identifiers = read_catalogue(MemoryTree(readable), library)
    for problem in identifiers.problems:
        # That one is missing has been told; that one is refused as well.
        if problem.code != rules.PLUGIN_NO_INIT.code:
            problems.append(problem.as_problem())
    return identifiers


def _check_metadata(files: Mapping[str, bytes | None], identifiers: Catalogue, problems: _Problems) -> None:
    readable = {path: content for path, content in files.items() if content is not None}
    # A benchmark may refer to data that is in the library: only what is in the archive is judged.
    found = read_metadata(MemoryTree(readable), identifiers, identifiers.plugins, whole=False)
    for problem in found.problems:
        problems.append(problem.as_problem())


def _check_new(
    plugins: Sequence[PluginKey],
    identifiers: Catalogue,
    existing: Catalogue | Collection[tuple[str, str]] | None,
    taken: Collection[tuple[str, str]],
    problems: _Problems,
) -> None:
    """Neither a plugin nor an identifier is there already."""
    in_library = existing.pairs() if isinstance(existing, Catalogue) else existing or ()
    if isinstance(existing, Catalogue):
        folders = {(plugin.type, collision_key(plugin.name)) for plugin in existing.plugins}
        for plugin in plugins:
            if (plugin.type, collision_key(plugin.name)) in folders:
                problems.add(rules.PLUGIN_EXISTS, f"{plugin}/", library=existing.library)
    for kind, identifier in sorted(identifiers.pairs()):
        if (kind, identifier) in in_library or (kind, identifier) in taken:
            where = f"{identifiers.plugin_of(kind, identifier)}/"
            problems.add(rules.IDENTIFIER_EXISTS, where, identifier=shown(identifier), kind=kind)
