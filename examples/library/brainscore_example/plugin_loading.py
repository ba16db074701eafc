"""Finds the plugin that registers an identifier."""

from __future__ import annotations

import os
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from brainscore_core.plugin_management.import_plugin import import_plugin

if TYPE_CHECKING:
    from collections.abc import Callable

LIBRARY = "brainscore_example"
Loaded = TypeVar("Loaded")


class UnknownIdentifierError(LookupError):
    """No plugin registers the identifier."""


def resolve(
    plugin_type: str, registry_prefix: str, identifier: str, registry: dict[str, Callable[[], Loaded]]
) -> Callable[[], Loaded]:
    """Return what is registered under `identifier`, importing its plugin from the folder `plugin_type` if need be.

    `brainscore_core` finds a plugin by the text `<prefix>_registry['<identifier>']`. A plugin may also register in a
    loop or through a constant: where that text is nowhere, the other plugins of the type are imported, those first
    that mention the identifier, until one registers it. Raises UnknownIdentifierError if none does.
    """
    # Requirements belong to whoever set up the environment; brainscore_core would otherwise call pip here.
    os.environ.setdefault("BS_INSTALL_DEPENDENCIES", "no")
    if identifier in registry:
        return registry[identifier]
    try:
        import_plugin(LIBRARY, plugin_type, identifier, registry_prefix)
    except AssertionError:  # how brainscore_core says that it found no such text
        problems = _import_until_registered(plugin_type, identifier, registry)
    else:
        problems = []
    if identifier not in registry:
        raise UnknownIdentifierError(
            "; ".join([f"no plugin in {LIBRARY}/{plugin_type} registers {identifier!r}", *problems])
        )
    return registry[identifier]


def _import_until_registered(plugin_type: str, identifier: str, registry: dict[str, Callable[[], Loaded]]) -> list[str]:
    """Import plugin after plugin; return why some could not be imported (their requirements may not be installed)."""
    inits = Path(__file__).parent.joinpath(plugin_type).glob("*/__init__.py")
    problems = []
    for init in sorted(inits, key=lambda path: (identifier not in path.read_text(encoding="utf-8"), path)):
        try:
            import_module(f"{LIBRARY}.{plugin_type}.{init.parent.name}")
        except Exception as error:  # another plugin's fault must not hide the one that is looked for
            problems.append(f"{init.parent.name} could not be imported: {error!r}")
        if identifier in registry:
            break
    return problems
