"""Which path of a domain library belongs to what: the plugin layout that all Brain-Score libraries share.

``<library>/{models,benchmarks,data,metrics}/<plugin>/…`` is a plugin; what stands directly in one of these four folders
and the library's ``*_helpers`` folders is shared by plugins; everything else is the library itself or not the library at all.
"""

from __future__ import annotations

import keyword
import re
import unicodedata
from dataclasses import dataclass
from enum import StrEnum

PLUGIN_TYPES = ("models", "benchmarks", "data", "metrics")

REGISTRIES = {
    "model_registry": "models",
    "benchmark_registry": "benchmarks",
    "data_registry": "data",
    "stimulus_set_registry": "stimulus_sets",
    "metric_registry": "metrics",
}
"""A registry's name in the library, and the kind of identifier that it holds."""

IDENTIFIER_KINDS = tuple(REGISTRIES.values())

KINDS_OF_TYPE = {
    "models": ("models",),
    "benchmarks": ("benchmarks",),
    "data": ("data", "stimulus_sets"),
    "metrics": ("metrics",),
}
"""What a plugin may register: a library looks an identifier up only in the folder of its type."""

_HELPERS = {"model": "models", "benchmark": "benchmarks", "data": "data", "metric": "metrics"}
_NOISE_FOLDERS = frozenset(
    {"__MACOSX", "__pycache__", ".git", ".ipynb_checkpoints", ".pytest_cache", ".mypy_cache", ".ruff_cache", ".idea"}
)
_NOISE_FILES = frozenset({".ds_store", "thumbs.db", "desktop.ini"})
_NOT_ON_WINDOWS = frozenset('<>:"|?*')
_NOISE_ENDINGS = (".pyc", ".pyo")
_REACHING = {
    # Python imports these by name, whoever put them on the path.
    "sitecustomize.py": "changes the whole interpreter, not only its plugin",
    "usercustomize.py": "changes the whole interpreter, not only its plugin",
    # pytest loads these for all tests of its run.
    "conftest.py": "changes all tests that run beside it, not only its plugin's",
    "pytest.ini": "changes how tests are run",
    ".pytest.ini": "changes how tests are run",
    "tox.ini": "changes how tests are run",
    "setup.cfg": "changes how tests are run",
    # git reads these in every folder: what is checked out is then not what was committed, or is elsewhere.
    ".gitattributes": "changes what git checks out",
    ".gitmodules": "names other repositories",
    ".lfsconfig": "names other servers",
}
"""Files that reach beyond the plugin in whose folder they stand, and what they do; by name, in lower case."""

_DEVICES = frozenset(
    {"con", "prn", "aux", "nul", *(f"{port}{number}" for port in ("com", "lpt") for number in "123456789")}
)
"""Names that Windows keeps for devices, whatever ending they have."""
_INVISIBLE = frozenset({"Cc", "Cf", "Cs", "Cn", "Zl", "Zp"})
_GIT_FOLDERS = frozenset({".git", "git~1"})
_TEST_FILE = re.compile(r"test.*\.py", re.DOTALL)


@dataclass(frozen=True, order=True)
class PluginKey:
    """A plugin of a library: its type's folder and its own."""

    type: str
    name: str

    def path(self, library: str) -> str:
        """The plugin's folder from the root of the repository: ``brainscore_example/models/zipf_frequency``."""
        return f"{library}/{self.type}/{self.name}"

    def __str__(self) -> str:
        return f"{self.type}/{self.name}"


class Owner(StrEnum):
    """What a path belongs to."""

    PLUGIN = "plugin"
    SHARED = "shared"
    OTHER = "other"


@dataclass(frozen=True)
class Place:
    """Where a path belongs."""

    owner: Owner
    plugin: PluginKey | None = None
    """The plugin, for a plugin's file."""
    types: tuple[str, ...] = ()
    """The plugin types that a shared file reaches."""
    reason: str = ""
    """Why the path is no plugin's, in words."""


def locate(path: str, library: str) -> Place:
    """Tell what a path, from the root of the repository, belongs to.

    Only the spelling counts here: that the path is a plain file, that the library is there, and that nothing collides
    with it has to be seen in a tree.
    """
    fault = path_fault(path)
    if fault:
        return Place(Owner.OTHER, reason=fault)
    root, *inner = path.split("/")
    if any(part.lower() in _GIT_FOLDERS for part in inner):
        return Place(Owner.OTHER, reason="it reaches into git's own folder")
    if root != library or not inner:
        return Place(Owner.OTHER, reason=f"it is outside the library's package, {library}/")
    folder = inner[0]
    if folder.endswith("_helpers") and len(inner) > 1:
        of_type = _HELPERS.get(folder.removesuffix("_helpers"))
        return Place(
            Owner.SHARED, types=(of_type,) if of_type else PLUGIN_TYPES, reason="helpers are shared by plugins"
        )
    if folder not in PLUGIN_TYPES:
        return Place(
            Owner.OTHER, reason="it is in none of the folders of plugins: models/, benchmarks/, data/, metrics/"
        )
    if len(inner) == 1:
        return Place(Owner.OTHER, reason=f"a file stands where the folder {library}/{folder}/ belongs")
    if len(inner) == 2 or inner[1].endswith("_helpers"):
        return Place(Owner.SHARED, types=(folder,), reason=f"it is shared by all plugins in {library}/{folder}/")
    fault = plugin_name_fault(inner[1])
    if fault:
        return Place(Owner.OTHER, reason=fault)
    fault = _reach_fault(inner[2:])
    if fault:
        return Place(Owner.OTHER, reason=fault)
    return Place(Owner.PLUGIN, plugin=PluginKey(folder, inner[1]))


def _reach_fault(parts: list[str]) -> str | None:
    """Why a file in a plugin's folder is more, or something else, than its plugin's; None for an ordinary one.

    :param parts: the path from the plugin's folder
    """
    name = parts[-1].lower()
    if name in _REACHING:
        return f"{parts[-1]} {_REACHING[name]}"
    # Python prefers these to the source that is read and reviewed; a plugin's digest does not see byte code.
    if name.endswith(_NOISE_ENDINGS) or "__pycache__" in (part.lower() for part in parts):
        return "it is byte code, which Python can run in place of the source"
    if name.startswith("__init__.") and name != "__init__.py":
        return f"Python can run {parts[-1]} in place of __init__.py"
    if ".github" in (part.lower() for part in parts):
        return "it reaches into the forge's own folder"
    return None


def path_fault(path: str) -> str | None:
    """Why a path can be no plugin's file, wherever it points; None for an ordinary one."""
    # Separators and formatting characters hide what a name really is; surrogates are bytes that are no text.
    plain = path.isascii() and path.isprintable()
    if not plain and any(unicodedata.category(character) in _INVISIBLE for character in path):
        return "its name holds control, invisible or undecodable characters"
    if "\\" in path:
        return "its name holds a backslash"
    if path.startswith("/") or re.match(r"[A-Za-z]:", path):
        return "it is an absolute path"
    parts = path.split("/")
    if ".." in parts:
        return "it leads out of its folder by '..'"
    if "" in parts or "." in parts:
        return "it has an empty part, or a part '.'"
    if any(part != part.strip() or part.endswith(".") for part in parts):
        return "a part of its name begins or ends with a space, or ends with a dot"
    if not _NOT_ON_WINDOWS.isdisjoint(path) or any(part.split(".")[0].lower() in _DEVICES for part in parts):
        return "Windows cannot have a file of this name"
    return None


def plugin_name_fault(name: str) -> str | None:
    """Why a folder of this name can be no plugin; None where it can.

    A plugin is imported as ``<library>.<type>.<name>``, and its name must be one name on every file system.
    """
    if not (name.isascii() and name.isidentifier()) or keyword.iskeyword(name):
        return f"the folder's name {shown(name)} is no Python identifier: letters a to z, digits and '_' are"
    if name.startswith("__"):
        return f"the folder's name {shown(name)} is reserved by Python"
    if name.endswith("_helpers"):
        return f"the folder's name {shown(name)} is reserved: folders named *_helpers are shared by plugins"
    return None


def plugin_name_like(name: str) -> str:
    """A name for a plugin's folder that is much like one that cannot be: what to propose instead."""
    like = re.sub(r"[^A-Za-z0-9_]", "_", name[:40].removesuffix("_helpers")).strip("_")
    return like if like and plugin_name_fault(like) is None else f"my_{like or 'plugin'}"


def is_test_file(path: str) -> bool:
    """Whether pytest is given this file: ``test*.py``, anywhere in a plugin."""
    return _TEST_FILE.fullmatch(path.rsplit("/", 1)[-1]) is not None


def is_noise(path: str) -> bool:
    """Whether a file is what computers leave behind: no part of a plugin, in an archive or in its digest."""
    *folders, name = path.split("/")
    return (
        any(folder in _NOISE_FOLDERS for folder in folders)
        or name.lower() in _NOISE_FILES
        or name.startswith("._")
        or name.endswith(_NOISE_ENDINGS)
    )


def collision_key(name: str) -> str:
    """What a name becomes on a file system that knows no case and one Unicode form: equal keys collide there."""
    if name.isascii():
        return name.lower()
    folded = unicodedata.normalize("NFKD", name).casefold()
    return unicodedata.normalize("NFKC", folded)


def shown(name: str, limit: int = 120) -> str:
    """A name from outside, quoted for a message: nothing in it acts on a terminal, and it has an end."""
    text = "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode("ascii")
        for character in name[: limit + 1]
    )
    return f"'{text[:limit]}…'" if len(text) > limit else f"'{text}'"
