"""What a library's plugins register, as it is read from their sources."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING

import pytest

from brainscore_ops.plugins.catalogue import LibraryNotFoundError, find_library, read_catalogue
from brainscore_ops.plugins.layout import PluginKey
from brainscore_ops.plugins.tree import DirectoryTree, GitTree, MemoryTree

if TYPE_CHECKING:
    from pathlib import Path

    from brainscore_ops.plugins.catalogue import Catalogue
    from conftest import Repository

LIBRARY = "brainscore_tiny"


def read(init: str, **siblings: str) -> Catalogue:
    """The catalogue of a library with one model plugin, made of ``__init__.py`` and other files of it."""
    files = {"__init__": init, **siblings}
    return read_catalogue(MemoryTree({f"lib/models/x/{name}.py": text.encode() for name, text in files.items()}), "lib")


FORMS = {
    "single quotes": "from lib import model_registry\nmodel_registry['a-b'] = 1",
    "double quotes": 'from lib import model_registry\nmodel_registry["a-b"] = lambda: 1',
    "a constant": "from lib import model_registry\nIDENTIFIER = 'a-b'\nmodel_registry[IDENTIFIER] = 1",
    "an annotated constant": "from lib import model_registry\nNAME: str = 'a-b'\nmodel_registry[NAME] = 1",
    "another name": "from lib import model_registry as registry\nregistry['a-b'] = 1",
    "the library's name": "import lib\nlib.model_registry['a-b'] = 1",
    "another name of the library": "import lib as brain\nbrain.model_registry['a-b'] = 1",
    "an import from above": "from ... import model_registry\nmodel_registry['a-b'] = 1",
    "an import of everything": "from lib import *\nmodel_registry['a-b'] = 1",
    "an assigned registry": "from lib import model_registry\nregister = model_registry\nregister['a-b'] = 1",
    "concatenation": "from lib import model_registry\nmodel_registry['a' + '-' + 'b'] = 1",
    "an f-string": "from lib import model_registry\nA = 'a'\nmodel_registry[f'{A}-b'] = 1",
    "percent": "from lib import model_registry\nmodel_registry['%s-b' % 'a'] = 1",
    "format": "from lib import model_registry\nmodel_registry['{}-{b}'.format('a', b='b')] = 1",
    "join": "from lib import model_registry\nmodel_registry['-'.join(['a', 'b'])] = 1",
    "replace": "from lib import model_registry\nmodel_registry['a_b'.replace('_', '-')] = 1",
    "update": "from lib import model_registry\nmodel_registry.update({'a-b': 1})",
    "update by pairs": "from lib import model_registry\nmodel_registry.update([('a-b', 1)])",
    "setdefault": "from lib import model_registry\nmodel_registry.setdefault('a-b', 1)",
    "setitem": "from lib import model_registry\nmodel_registry.__setitem__('a-b', 1)",
    "or": "from lib import model_registry\nmodel_registry |= {'a-b': 1}",
    "a tuple of targets": "from lib import model_registry\nx, model_registry['a-b'] = 1, 2",
    "a dictionary's items": "from lib import model_registry\nfor k, v in {'a-b': 1}.items(): model_registry[k] = v",
    "a function": "from lib import model_registry\ndef add(a, *, b='b'):\n  model_registry[f'{a}-{b}'] = 1\nadd('a')",
    "a decorator": (
        "from lib import model_registry\ndef register(name):\n  def note(f):\n    model_registry[name] = f\n    return f\n"
        "  return note\n@register('a-b')\ndef load(): pass"
    ),
    "a class's body": "from lib import model_registry\nclass Models:\n  NAME = 'a-b'\n  model_registry[NAME] = 1",
    "a lambda": "from lib import model_registry\nname = lambda a: a + '-b'\nmodel_registry[name('a')] = 1",
    "a conditional expression": "from lib import model_registry\nmodel_registry['a-b' if 1 < 2 else 'c'] = 1",
    "a try": "from lib import model_registry\ntry:\n  import torch\n  model_registry['a-b'] = 1\nexcept ImportError: pass",
    "both ways": "from lib import model_registry\nif fast(): model_registry['a-b'] = 1\nelse: model_registry['a-b'] = 2",
    "a with": "from lib import model_registry\nwith quiet() as q:\n  model_registry['a-b'] = q",
    "a walrus": "from lib import model_registry\nif name := 'a-b': model_registry[name] = 1",
    "the module's name": "from lib import model_registry\nmodel_registry[__name__.split('.')[1].replace('models', 'a-b')] = 1",
    "global": "from lib import model_registry\ndef f():\n  global N\n  N = 'a-b'\nf()\nmodel_registry[N] = 1",
    "under TYPE_CHECKING": (
        "from typing import TYPE_CHECKING\nfrom lib import model_registry\n"
        "if TYPE_CHECKING: model_registry['no'] = 1\nmodel_registry['a-b'] = 1"
    ),
}


@pytest.mark.parametrize("form", FORMS)
def test_a_registration_is_read_in_the_form_of(form: str) -> None:
    catalogue = read(FORMS[form])
    assert (catalogue.models, catalogue.problems) == ({"a-b": "x"}, ())


LOOPS = {
    "a list": "for i in ['0', '1', '2']: model_registry['m' + i] = 1",
    "a constant list": "LAYERS = ['0', '1', '2']\nfor i in LAYERS: model_registry['m' + i] = 1",
    "a tuple of pairs": "for a, b in (('m', 0), ('m', 1), ('m', 2)): model_registry[f'{a}{b}'] = 1",
    "a range": "for i in range(3): model_registry[f'm{i}'] = 1",
    "enumerate": "for i, _ in enumerate('xyz'): model_registry[f'm{i:d}'] = 1",
    "zip": "for a, b in zip(['m', 'm', 'm'], range(3)): model_registry[a + str(b)] = 1",
    "a product": "from itertools import product\nfor a, b in product('m', range(3)): model_registry[f'{a}{b}'] = 1",
    "a loop in a loop": "for a in 'm':\n  for b in (0, 1, 2): model_registry[f'{a}{b}'] = 1",
    "a comprehension": "model_registry.update({f'm{i}': i for i in range(3)})",
    "a filter": "model_registry.update({f'm{i}': i for i in range(9) if i < 3})",
    "a list that grows": "N = ['m0']\nN.append('m1')\nN += ['m2']\nfor n in N: model_registry[n] = 1",
    "a continue": "for i in range(4):\n  if i == 3: continue\n  model_registry[f'm{i}'] = 1",
    "a break": "for i in range(9):\n  if i == 3: break\n  model_registry[f'm{i}'] = 1",
    "registries and names": "for r, names in ((model_registry, ('m0', 'm1', 'm2')),):\n  for n in names: r[n] = 1",
    "unpacking": "A = {'m0': 0}\nmodel_registry.update({**A, 'm1': 1}, m2=2)",
    "slices": "for n in ['x', 'm0', 'm1', 'm2'][1:]: model_registry[n] = 1",
    "default arguments": "for i in range(3): model_registry[f'm{i}'] = (lambda i=i: load(i))",
}


@pytest.mark.parametrize("form", LOOPS)
def test_several_registrations_are_read_in_the_form_of(form: str) -> None:
    catalogue = read(f"from lib import model_registry\n{LOOPS[form]}")
    assert (sorted(catalogue.models), catalogue.problems) == (["m0", "m1", "m2"], ())


@pytest.mark.parametrize(
    "init",
    [
        "from .names import IDENTIFIER\nmodel_registry[IDENTIFIER] = 1",
        "from .names import IDENTIFIER as NAME\nmodel_registry[NAME] = 1",
        "from . import names\nmodel_registry[names.IDENTIFIER] = 1",
        "from .names import *\nmodel_registry[IDENTIFIER] = 1",
        "from lib.models.x.names import IDENTIFIER\nmodel_registry[IDENTIFIER] = 1",
        "import lib.models.x.names as names\nmodel_registry[names.IDENTIFIER] = 1",
        "import lib\nmodel_registry[lib.models.x.names.IDENTIFIER] = 1",
        "from .names import name\nmodel_registry[name('-b')] = 1",
    ],
)
def test_names_come_from_other_files_of_the_plugin(init: str) -> None:
    names = "from .parts import A\nIDENTIFIER = A + '-b'\ndef name(end):\n  return A + end"
    catalogue = read(f"from lib import model_registry\n{init}", names=names, parts="A = 'a'")
    assert (catalogue.models, catalogue.problems) == ({"a-b": "x"}, ())


UNREADABLE = {
    "identifier-unresolved": [
        "model_registry[secrets()] = 1",
        "import os\nmodel_registry[os.environ['NAME']] = 1",
        "for n in load_names(): model_registry[n] = 1",
        "model_registry.update(load_all())",
        "model_registry.update({name(): 1})",
        "model_registry.update(*load_all())",
        "model_registry.update(**load_all())",
        "from .nowhere import NAME\nmodel_registry[NAME] = 1",
        "N = 'a'\nif fast(): N = 'b'\nmodel_registry[N] = 1",
        "N = ['a']\nN.extend(more())\nfor n in N: model_registry[n] = 1",
        "while more(): N = name()\nmodel_registry[N] = 1",
        "model_registry[f'{object()}'] = 1",
        "from pathlib import Path\nmodel_registry[Path(__file__).parent.name] = 1",
    ],
    "registration-not-reached": [
        "def setup():\n  model_registry['a'] = 1",
        "class Model:\n  def __init__(self): model_registry['a'] = 1",
        "raise SystemExit\nmodel_registry['a'] = 1",
        "def g():\n  model_registry['a'] = yield",
        "async def setup(): model_registry['a'] = 1",
    ],
    "registry-handed-on": [
        "fill(model_registry)",
        "import atexit\natexit.register(model_registry.update, {'a': 1})",
        "class R: pass\nR.registry = model_registry",
        "model_registry.fill('a')",
        "fill(registry=model_registry)",
    ],
    "registration-removed": [
        "del model_registry['a']",
        "model_registry.pop('a')",
        "model_registry.clear()",
    ],
    "source-hidden": ["exec(text)", "eval('model_registry')"],
    "identifier-no-text": ["model_registry[1] = 1", "model_registry[''] = 1", "model_registry['a\\nb'] = 1"],
    "identifier-twice": [
        "model_registry['a'] = 1\nmodel_registry['a'] = 2",
        "for n in ('a', 'a'): model_registry[n] = 1",
    ],
    "syntax-error": ["def f(:", "x = '", "(" * 300, "-" * 60_000 + "1", "\0"],
    "source-too-complex": [
        "for a in range(20000):\n  for b in range(20000): pass",
        "N = [0] * 20000 * 20000",
        "N = ['a']\nfor i in range(100): N.extend(N)",
        "def f(): return f()\nwhile 1: f()\nN = " + "[" * 150 + "]" * 150 + "\nfor i in range(20000): f()",
    ],
    "registry-of-another-library": ["from brainscore_vision import model_registry\nmodel_registry['a'] = 1"],
    "registry-of-another-type": ["from lib import metric_registry\nmetric_registry['a'] = 1"],
    "nothing-registered": ["", "import torch"],
}


@pytest.mark.parametrize(("code", "source"), [(code, source) for code, all_ in UNREADABLE.items() for source in all_])
def test_what_cannot_be_read_is_told_with_file_and_line(code: str, source: str) -> None:
    start = time.process_time()
    catalogue = read(f"from lib import model_registry\n{source}")
    assert code in [problem.code for problem in catalogue.problems]
    assert all(problem.file == "lib/models/x/__init__.py" and problem.line >= 1 for problem in catalogue.problems)
    assert all(problem.remedy for problem in catalogue.problems)
    assert time.process_time() - start < 5


def test_the_line_is_that_of_the_registration() -> None:
    [problem] = read("from lib import model_registry\n\n\nmodel_registry[\n    secret()\n] = 1").problems
    assert problem.where == "lib/models/x/__init__.py:5"


@pytest.mark.parametrize(
    "source",
    [
        "TEXT = 'a' * 10 ** 9",
        "N = 10 ** 10 ** 10",
        "N = 2\nfor i in range(64): N = N * N",
        "T = 'a'\nfor i in range(64): T = T + T",
        "T = f'{1:999999999}'",
        "T = '%999999999d' % 1",
        "T = '{:>999999999}'.format('a')",
        "T = '{:>{}}'.format('a', 999999999)",
        "T = '{{{:>999999999}'.format('a')",
        "T = '%*d' % (999999999, 1)",
        "T = '%-0999999999d' % 1",
        "T = 'a'.zfill(10 ** 9)",
        "T = ('a' * 2000).replace('a', 'b' * 2000)",
        "N = list(range(10 ** 12))",
        "from itertools import product\nN = list(product(range(9999), range(9999)))",
        "a = []\na.append(a)\nif b(): a.append(a)",
        "a = (1,) * 9999\nb = (a,) * 9999\nc = (b,) * 9999\n{c: 1}\nc == (b,) * 9999\nstr(c)",
        "def f(): f()\nf()",
        "from .x import y\nfrom . import x",
        "import sys\nsys.exit()\nopen('/etc/passwd').read()",
    ],
)
def test_a_source_cannot_take_time_or_memory_or_act(source: str) -> None:
    start = time.process_time()
    read(f"from lib import model_registry\nmodel_registry['a'] = 1\n{source}")
    assert time.process_time() - start < 5


def test_reading_a_registry_is_no_problem() -> None:
    uses = "len(model_registry), model_registry['a'], 'b' in model_registry, model_registry.get('a')"
    catalogue = read(f"from lib import model_registry\nmodel_registry['a'] = 1\nprint({uses})")
    assert catalogue.problems == ()


def test_a_library_is_read_from_its_folder(tiny_repository: Repository, tiny_folder: Path) -> None:
    root, library = find_library(tiny_folder)
    assert (root, library) == (tiny_folder, LIBRARY)
    assert find_library(root / LIBRARY) == (root, library)
    catalogue = read_catalogue(DirectoryTree(root), library)
    assert catalogue.to_json() == {
        "models": {"alexnet": "alexnet", "resnet-18": "resnet_18"},
        "benchmarks": {"Words2019-ridge": "words"},
        "data": {},
        "stimulus_sets": {},
        "metrics": {},
        "problems": [],
    }
    assert read_catalogue(GitTree(tiny_repository.path, "main"), library) == catalogue


def test_a_catalogue_answers_by_identifier(tiny_files: dict[str, str]) -> None:
    catalogue = read_catalogue(MemoryTree({path: text.encode() for path, text in tiny_files.items()}), LIBRARY)
    assert catalogue.plugin_of_model("resnet-18") == PluginKey("models", "resnet_18")
    assert catalogue.plugin_of_benchmark("Words2019-ridge") == PluginKey("benchmarks", "words")
    assert catalogue.pairs() == {("models", "alexnet"), ("models", "resnet-18"), ("benchmarks", "Words2019-ridge")}
    assert catalogue.plugins[PluginKey("models", "alexnet")] == {"models": ("alexnet",)}
    with pytest.raises(KeyError):
        catalogue.plugin_of_model("vgg")


@pytest.mark.parametrize(
    "key",
    [
        "'Geirhos2021-{}'.format('cue')",
        "'Geirhos2021-%s' % 'cue'",
        "f'Geirhos{2021}-cue'",
        "'{{Geirhos2021-{}'.format('cue')[1:]",
    ],
)
def test_years_are_no_great_widths(key: str) -> None:
    assert read(f"from lib import model_registry\nmodel_registry[{key}] = 1").models == {"Geirhos2021-cue": "x"}


def test_two_plugins_that_register_the_same_identifier_are_told() -> None:
    init = b"from lib import model_registry\nmodel_registry['same'] = 1"
    catalogue = read_catalogue(MemoryTree({f"lib/models/{name}/__init__.py": init for name in ("b", "a")}), "lib")
    assert catalogue.models == {"same": "a"}
    [problem] = catalogue.problems
    assert (problem.code, problem.where) == ("identifier-twice", "lib/models/b/__init__.py:2")
    assert "lib/models/a/__init__.py:2" in problem.message


def test_data_plugins_register_two_kinds() -> None:
    init = b"from lib import *\ndata_registry['words'] = 1\nstimulus_set_registry['words'] = 2"
    catalogue = read_catalogue(MemoryTree({"lib/data/words/__init__.py": init}), "lib")
    assert (catalogue.data, catalogue.stimulus_sets, catalogue.problems) == ({"words": "words"}, {"words": "words"}, ())


def test_a_folder_without_init_is_told_and_one_without_python_is_not() -> None:
    files = {"lib/models/code/model.py": b"", "lib/models/numbers/data.csv": b"", "lib/models/x_helpers/a.py": b""}
    catalogue = read_catalogue(MemoryTree(files), "lib")
    assert [(problem.code, problem.file) for problem in catalogue.problems] == [("plugin-no-init", "lib/models/code")]


def test_only_the_files_that_identifiers_depend_on_are_read(tiny_files: dict[str, str]) -> None:
    class Watched(MemoryTree):
        def read(self, path: str) -> bytes:
            asked.append(path)
            return super().read(path)

    asked: list[str] = []
    files = {path: text.encode() for path, text in tiny_files.items()}
    read_catalogue(Watched({**files, f"{LIBRARY}/models/alexnet/weights.py": b"x" * 10_000}), LIBRARY)
    assert sorted(asked) == sorted(path for path in files if path.count("/") == 3 and path.endswith("__init__.py"))


def test_a_document_of_the_catalogue_is_json() -> None:
    document = json.loads(json.dumps(read("from lib import model_registry\nmodel_registry[x()] = 1").to_json()))
    [problem] = document["problems"]
    assert set(problem) == {"code", "message", "file", "line", "remedy"}


def test_a_link_is_no_init(tmp_path: Path) -> None:
    (tmp_path / "lib/models/x").mkdir(parents=True)
    (tmp_path / "secret.py").write_text("model_registry['a'] = 1")
    (tmp_path / "lib/models/x/__init__.py").symlink_to(tmp_path / "secret.py")
    catalogue = read_catalogue(DirectoryTree(tmp_path), "lib")
    assert (catalogue.models, [problem.code for problem in catalogue.problems]) == ({}, ["plugin-init-no-file"])


def test_a_folder_without_a_library_is_refused_in_words(tmp_path: Path) -> None:
    with pytest.raises(LibraryNotFoundError, match="found none") as caught:
        find_library(tmp_path)
    assert caught.value.exit_code == 2
    with pytest.raises(LibraryNotFoundError, match="found nothing"):
        find_library(tmp_path / "missing")
    for name in ("one", "two"):
        (tmp_path / name / "models").mkdir(parents=True)
        (tmp_path / name / "__init__.py").touch()
    with pytest.raises(LibraryNotFoundError, match="found one, two"):
        find_library(tmp_path)


def test_the_example_library_is_read_without_a_problem(example_library: Path) -> None:
    root, library = find_library(example_library)
    catalogue = read_catalogue(DirectoryTree(root), library)
    assert catalogue.problems == ()
    assert catalogue.plugin_of_model("word-length") == PluginKey("models", "word_length")
