"""Whatever a source does, reading it gives what running it gives, or says that it cannot tell."""

from __future__ import annotations

import contextlib
import sys
import types
from textwrap import indent
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from brainscore_ops.plugins.registrations import read_registrations

HEAD = """import random
from lib import model_registry as registry, unknown
A = 'a'
B = 'b-c'
L = ['x', 'y']
M = {'k': 'v', 'm': 'n'}
def helper(text, end='z'):
    if text == 'a':
        return 'A'
    return text + end
"""
CONDITIONS = ["True", "False", "unknown() == 'secret'", "'a' in L", "len(L) > 2", "not M", "A == B", "A and 'c' in B"]
TEXTS = ["'t'", "A", "B", "A", "B", "L[0]", "M.get('k', 'w')", "str(len(L))", "unknown()"]
# {t} is a text, {l} a list, {c} a condition, {b} an indented block.
LARGER_TEXTS = [
    *TEXTS,
    "({t} + {t})",
    "'{{}}/{{}}'.format({t}, {t})",
    "'-'.join([{t}, *L, {t}])",
    "({t} if {c} else {t})",
    "helper({t}, end='e')",
    "({t}).replace('a', 'q').upper()",
    "(lambda s: s[::-1])({t})",
]
LISTS = [
    "[{t}, {t}]",
    "[n + {t} for n in L if n != 'x']",
    "L",
    "list(M)",
    "M.values()",
    "L[1:]",
    "B.split('-')",
    "[]",
    "sorted(L)",
]
# What would double in a loop is cut off: it would fill the machine that runs it.
STATEMENTS = [
    "registry[{t}] = 1",
    "registry[{t}] = 1",
    "registry.update({{n: 1 for n in {l}}})",
    "registry.setdefault({t}, 1)",
    "A = ({t})[:20]",
    "B += ({t})[:3]",
    "L = list({l})[:4]",
    "L += list({l})[:1]",
    "L.append(({t})[:20])",
    "L.pop()",
    "L.sort(reverse=True)",
    "L.sort(key=len)",
    "random.shuffle(L)",
    "M[{t}] = {t}",
    "M.clear()",
    "raise ValueError",
    "del A",
    "L, A = A, L",
]
COMPOUNDS = [
    "if {c}:\n{b}\nelse:\n{b}",
    "if {c}:\n{b}",
    "for N in list({l}):\n{b}\n    registry[N] = 1",
    "for A in list({l}):\n{b}\n    if {c}: continue\n    registry[A] = 1",
    "for A in list({l}):\n{b}\n    if {c}: break",
    "try:\n{b}\nexcept Exception:\n{b}",
    "try:\n{b}\nexcept Exception:\n    pass\nelse:\n{b}",
    "while {c}:\n{b}\n    break",
    "def f(N):\n    global A, B, L, M\n{b}\n    registry[N] = 1\nf({t})",
    "def f(N):\n    global A, B, L, M\n{b}\n    if {c}: return N\n{b}\n    return A\nregistry[f({t})] = 1",
    "def f(N):\n    global A, B, L\n{b}\n    if {c}: raise ValueError\ntry: f({t})\nexcept ValueError:\n{b}\nregistry[A] = 1",
]


@st.composite
def sources(draw: Any, depth: int = 2) -> str:
    """A few statements, with others in them."""
    statements = []
    for _ in range(draw(st.integers(1, 3))):
        template = draw(st.sampled_from(STATEMENTS + (COMPOUNDS * 2 if depth else [])))
        statements.append(fill(draw, template, depth))
    return "\n".join(statements)


def fill(draw: Any, template: str, depth: int) -> str:
    """A template with something in each of its places."""
    choices = {"{t}": LARGER_TEXTS if depth else TEXTS, "{l}": LISTS, "{c}": CONDITIONS}
    for place, among in choices.items():
        while place in template:
            template = template.replace(place, fill(draw, draw(st.sampled_from(among)), 0), 1)
    while "{b}" in template:
        template = template.replace("{b}", indent(draw(sources(depth - 1)), "    "), 1)
    return template.replace("{{", "{").replace("}}", "}")


def run(source: str, answer: object) -> set[object]:
    """What a source registers when Python runs it and ``unknown()`` gives an answer; an error ends it."""
    library = types.ModuleType("lib")
    library.model_registry = {}  # type: ignore[attr-defined]
    library.unknown = lambda: answer  # type: ignore[attr-defined]
    sys.modules["lib"] = library
    try:
        with contextlib.suppress(Exception):
            exec(compile(source, "plugin", "exec"), {})  # noqa: S102 - the source is our own
    finally:
        del sys.modules["lib"]
    return set(library.model_registry)


@settings(max_examples=300, deadline=None)
@given(sources(), st.sampled_from(["secret", "", "x"]))
def test_nothing_is_registered_that_is_neither_read_nor_reported(body: str, answer: object) -> None:
    source = HEAD + body
    found = read_registrations("lib/models/x/__init__.py", {"lib/models/x/__init__.py": source.encode()}.get, "lib")
    read = {registration.identifier for registration in found.registrations}
    assert found.problems or run(source, answer) <= read
