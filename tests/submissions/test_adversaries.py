"""What somebody may try to talk the gate into a merge, each tried on a real forge with real commits.

Every commit adds a plugin that would be merged, and something that must hold it: the rule that has to is named.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from brainscore_ops.submissions.merging import GateRefusedError

from .attacker import LINK, SUBMODULE, Attacker
from .conftest import House, model_files

LIBRARY = "brainscore_example"
MODELS = f"{LIBRARY}/models"
LENGTH = f"{MODELS}/word_length"
"""A plugin of the library's own."""
ONES = "1" * 40
REGISTERS = "from brainscore_example import model_registry\nmodel_registry['{}'] = list\n"


@dataclass(frozen=True)
class Attack:
    """What is in a commit beside the harmless plugin, and which rule has to hold it."""

    add: dict[str, str] = field(default_factory=dict)
    modes: dict[str, str] = field(default_factory=dict)
    remove: tuple[str, ...] = ()
    rule: str = "plugin-only"

    @classmethod
    def file(cls, path: str, content: str = "x = 1\n", **more) -> Attack:
        return cls(add={path: content}, **more)


def link(path: str, target: str, **more) -> Attack:
    return Attack(add={path: target}, modes={path: LINK}, **more)


def submodule(path: str, **more) -> Attack:
    return Attack(add={path: ONES}, modes={path: SUBMODULE}, **more)


# {} is the folder of the harmless plugin.
ATTACKS = {
    "a workflow in a folder that is named like a plugin": Attack.file(".github/workflows/models/x.yml"),
    "a workflow within a plugin": Attack.file("{}/.github/workflows/x.yml"),
    "a plugin that is named like the forge's folder": Attack.file(f"{MODELS}/.github/workflows/x.yml"),
    "a link to outside of the repository": link("{}/weights", "../../../../../../etc/passwd"),
    "a link within the plugin": link("{}/more.py", "__init__.py"),
    "a plugin's __init__.py that is a link": link(f"{MODELS}/linked/__init__.py", "../word_length/__init__.py"),
    "a link in place of a plugin's folder": link(f"{MODELS}/linked", "../../tests"),
    "a shared helper that becomes a link": link(f"{LIBRARY}/benchmark_helpers/shared.py", "../models/x/__init__.py"),
    "a submodule within a plugin": submodule("{}/vendored"),
    "a submodule in place of a plugin": submodule(f"{MODELS}/vendored"),
    "a submodule in place of a file that was renamed away": submodule(
        f"{LENGTH}/test.py", remove=(f"{LENGTH}/test.py",)
    ),
    "a file that is named like a folder": Attack.file(
        f"{LIBRARY}/data/scott2019", remove=(f"{LIBRARY}/data/scott2019",)
    ),
    "a file in place of a type's folder": Attack.file(f"{LIBRARY}/metrics", remove=(f"{LIBRARY}/metrics",)),
    "a path with a newline": Attack.file("{}/a\nb.py"),
    "a path with a carriage return": Attack.file("{}/a\r.py"),
    "a path that a terminal acts on": Attack.file("{}/\x1b]0;x\x07.py"),
    "a path that is written backwards": Attack.file("{}/\u202eyp.exe"),
    "a path that is no text": Attack.file("{}/\udcff.py"),
    "a path with a backslash": Attack.file("{}\\..\\..\\__init__.py"),
    "a path that Windows takes for a device": Attack.file("{}/aux.py"),
    "a path that Windows takes for a stream of another file": Attack.file("{}/__init__.py::$DATA"),
    "Models beside models": Attack.file(f"{LIBRARY}/Models/eve/__init__.py"),
    "the library's name in other letters": Attack.file("Brainscore_Example/models/eve/__init__.py"),
    "a file that differs from another by its case": Attack.file("{}/TEST.py"),
    "a plugin that differs from another by its case": Attack.file(f"{MODELS}/Word_Length/__init__.py"),
    "two names that differ by their Unicode form": Attack(add={"{}/caf\u00e9.txt": "", "{}/cafe\u0301.txt": ""}),
    "a plugin's name with a zero-width character": Attack.file(f"{MODELS}/word\u200b_length/__init__.py"),
    "a plugin's name in look-alike letters": Attack.file(f"{MODELS}/w\u043erd_length/__init__.py"),
    "a rename out of a plugin": Attack.file("conftest.py", remove=(f"{LENGTH}/test.py",)),
    "a plugin among the tests": Attack.file("tests/models/x/y.py"),
    "another package that is laid out like the library": Attack.file("evil/metrics/p/setup.py"),
    "the library within a folder": Attack.file(f"copy/{MODELS}/eve/__init__.py"),
    "a conftest.py beside all plugins of a type": Attack.file(f"{MODELS}/conftest.py"),
    "a conftest.py within a plugin": Attack.file("{}/conftest.py"),
    "a conftest.py deep within a plugin": Attack.file("{}/deep/er/conftest.py"),
    "settings of pytest within a plugin": Attack.file("{}/pytest.ini", "[pytest]\naddopts = --co\n"),
    "settings of pytest in setup.cfg": Attack.file("{}/setup.cfg", "[tool:pytest]\naddopts = --co\n"),
    "a hook of the interpreter": Attack.file("{}/sitecustomize.py"),
    "attributes of git within a plugin": Attack.file("{}/.gitattributes", "* filter=evil\n"),
    "submodules' addresses within a plugin": Attack.file("{}/.gitmodules"),
    "byte code that Python prefers to the source": Attack.file("{}/__pycache__/__init__.cpython-311.pyc"),
    "a compiled module in place of __init__.py": Attack.file("{}/__init__.cpython-311-x86_64-linux-gnu.so"),
    "requirements of the whole library": Attack.file("requirements.txt", "evil\n"),
    "globs of what the library ships": Attack.file("MANIFEST.in", "recursive-include / *\n"),
    "the library's own code": Attack.file(f"{LIBRARY}/__init__.py"),
    "a module that hides a plugin": Attack.file(f"{MODELS}/word_length.py"),
    "the removal of somebody else's plugin": Attack(remove=(LENGTH,), rule="own-plugins"),
    "a change to somebody else's plugin": Attack.file(f"{LENGTH}/more.py", rule="own-plugins"),
    "the removal of all of a type": Attack(remove=(f"{LIBRARY}/metrics",)),
    "the removal of the library": Attack(remove=(LIBRARY,)),
    "an identifier that is taken": Attack.file("{}/__init__.py", REGISTERS.format("word-length"), rule="identifiers"),
    "an identifier that differs from another by its case": Attack.file(
        "{}/__init__.py", REGISTERS.format("Word-Length"), rule="identifiers"
    ),
    "an identifier that nobody can read": Attack.file(
        "{}/__init__.py",
        "from brainscore_example import model_registry\nmodel_registry[input()] = list\n",
        rule="identifiers",
    ),
    "an entry of another plugin that is overwritten through its module": Attack.file(
        "{}/__init__.py",
        REGISTERS.format("eves")
        + "import brainscore_example\nbrainscore_example.model_registry['word-length'] = list\n",
        rule="identifiers",
    ),
    "an entry of another plugin that is overwritten through that plugin": Attack.file(
        "{}/__init__.py",
        "from brainscore_example.models.word_length import model_registry\nmodel_registry['word-length'] = list\n",
        rule="identifiers",
    ),
    "an entry of another plugin that is removed": Attack.file(
        "{}/__init__.py",
        REGISTERS.format("eves-3") + "model_registry.pop('word-length')\n",
        rule="identifiers",
    ),
    "metadata with placeholders": Attack.file(
        "{}/metadata.yml", "models:\n  {name}:\n    architecture: TODO\n", rule="metadata"
    ),
    "metadata of a model that is somebody else's": Attack.file(
        "{}/metadata.yml", "models:\n  word-length:\n    runnable: false\n", rule="metadata"
    ),
    "metadata that grows when it is read": Attack.file(
        "{}/metadata.yml", "a: &a [x, x]\nb: &b [*a, *a]\nmodels: [*b, *b]\n", rule="metadata"
    ),
}


def harmless(name: str) -> dict[str, str]:
    return {f"{LIBRARY}/{path}": text for path, text in model_files(name).items()}


def must_hold(house: House, number: int, rule: str) -> None:
    """The rule says no, the merge is refused, and the default branch stays what it is."""
    main = house.main()
    if rule != "plugin-only":  # what is more than plugins is held, whatever its tests say
        house.force_green(number)
    with pytest.raises(GateRefusedError) as refused:
        house.merge(number)
    assert rule in [problem.code for problem in refused.value.problems]
    assert house.main() == main
    assert not house.context.forge.pull_request(number).merged


@pytest.mark.parametrize("name", ATTACKS)
def test_it_is_held(house: House, eve: Attacker, name: str) -> None:
    attack, plugin = ATTACKS[name], f"eve_{next(eve.numbers)}"
    folder = f"{MODELS}/{plugin}"
    add = {path.replace("{}", folder): text.replace("{name}", plugin) for path, text in attack.add.items()}
    modes = {path.replace("{}", folder): mode for path, mode in attack.modes.items()}
    start = eve.main()
    within = {} if LIBRARY in attack.remove else harmless(plugin)
    pull = eve.open(eve.commit(start, {**within, **add}, modes=modes, remove=attack.remove))
    must_hold(house, pull.number, attack.rule)


def test_the_same_without_an_attack_is_merged(house: House, eve: Attacker) -> None:
    plugin = f"eve_{next(eve.numbers)}"
    pull = eve.open(eve.commit(eve.main(), harmless(plugin)))
    house.force_green(pull.number)
    house.merge(pull.number)
    assert house.context.forge.pull_request(pull.number).merged


def _ten_thousand(eve: Attacker) -> str:
    return eve.many(eve.commit(eve.main(), harmless("eve_many")), f"{MODELS}/eve_many/data", 10_000)


def _huge(eve: Attacker) -> str:
    return eve.many(eve.commit(eve.main(), harmless("eve_huge")), f"{MODELS}/eve_huge", 260, bytes(2_000_000))


def _nothing(eve: Attacker) -> str:
    return eve.commit(eve.main())


def _evil_merge(eve: Attacker) -> str:
    """A merge of the default branch that leaves out what others did on it."""
    main = eve.main()
    before = eve.commit(eve.git("rev-list", "--max-parents=0", main).split()[0], harmless("eve_merges"))
    return eve.commit(main, harmless("eve_merges"), remove=(LENGTH,), parents=(before, main))


def _merge_that_hides(eve: Attacker) -> str:
    """A merge whose own tree changes the library, with parents that do not."""
    main = eve.main()
    side = eve.commit(main, harmless("eve_hides"))
    return eve.commit(side, {f"{LIBRARY}/__init__.py": "x = 1\n"}, parents=(side, main))


HISTORIES: dict[str, tuple[str, Callable[[Attacker], str]]] = {
    "ten thousand files": ("size", _ten_thousand),
    "files of half a gigabyte": ("size", _huge),
    "nothing at all": ("plugin-only", _nothing),
    "a merge that takes back what others did": ("own-plugins", _evil_merge),
    "a merge that changes what its parents do not": ("plugin-only", _merge_that_hides),
}


@pytest.mark.parametrize("name", HISTORIES)
def test_a_history_is_held(house: House, eve: Attacker, name: str) -> None:
    rule, make = HISTORIES[name]
    must_hold(house, eve.open(make(eve)).number, rule)


def test_a_collision_that_only_the_merge_has_is_held(house: House, eve: Attacker) -> None:
    late = eve.open(eve.commit(eve.main(), harmless("Twins")))
    house.merged(model_files("twins", "twins-of-ada"))
    must_hold(house, late.number, "plugin-only")


def test_what_is_merged_already_changes_nothing(house: House, eve: Attacker) -> None:
    commit = eve.commit(eve.main(), harmless("eve_twice"))
    first, second = eve.open(commit), eve.open(eve.commit(commit, {}))
    house.force_green(first.number)
    house.merge(first.number)
    must_hold(house, second.number, "plugin-only")
