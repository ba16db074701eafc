"""The maintainer's console: queue, runs, submissions, scoring and approvals as they stand, and what may be done about them."""

from __future__ import annotations

import re
import threading
from datetime import datetime
from html import escape
from typing import TYPE_CHECKING

import ipywidgets as w
from sqlalchemy.exc import SQLAlchemyError

from brainscore_ops.database.connection import Database
from brainscore_ops.errors import OpsError
from brainscore_ops.settings import find_workspace, load_deployment
from brainscore_ops.widgets.commands import RunningCommand, command_text
from brainscore_ops.widgets.rows import Action, LiveRows, Row
from brainscore_ops.widgets.watching import look

if TYPE_CHECKING:
    from brainscore_ops.settings import Workspace
    from brainscore_ops.widgets.watching import Sight

EVERY_SECONDS = 2.0
_LINES = 60
_TABS = {
    "queue": (("job", "4em"), ("runbook", "10em"), ("about", "14em"), ("asked by", "14em"), ("why", "12em"), ("asked", "9em")),
    "runs": (("runbook", "10em"), ("about", "16em"), ("failed at", "11em"), ("took", "6em"), ("started", "9em")),
    "submissions": (("number", "5em"), ("name", "16em"), ("pull request", "7em"), ("pairs, reason", "20em"), ("changed", "11em")),
    "scoring": (("run", "26em"), ("pairs", "6em"), ("last queued", "12em")),
    "approvals": (("plan", "12em"), ("what for", "28em"), ("hours", "6em"), ("approved by", "10em")),
}  # fmt: skip


class Console(w.VBox):  # type: ignore[misc]  # ipywidgets has no types
    """See :func:`console`."""

    def __init__(self, deployment: str, every: float, workspace: Workspace | None) -> None:
        self._settings = load_deployment(deployment, workspace or find_workspace())
        self._every = every
        self._database = Database.of(self._settings, patience=0)  # who looks again anyway says at once that it is away
        self._closed = threading.Event()
        self._look_now = threading.Event()
        self._sight: Sight | None = None
        self._away_since: datetime | None = None
        self._asked: Action | None = None
        self.standing = w.HTML()
        self.words = w.Text(placeholder="words, all of which a row has", layout=w.Layout(width="18em"))
        self.state = w.Dropdown(options=[("any state", "")], layout=w.Layout(width="12em"))
        self.tables = {name: LiveRows(columns, self.act) for name, columns in _TABS.items()}
        self.tabs = w.Tab(list(self.tables.values()), titles=list(self.tables))
        self.tabs.selected_index = 1
        self.question = w.HTML()
        self.yes = w.Button(description="Yes", button_style="danger", layout=w.Layout(width="6em"))
        self.no = w.Button(description="No", layout=w.Layout(width="6em"))
        self.asking = w.HBox([self.question, self.yes, self.no], layout=w.Layout(display="none"))
        self.acts = w.VBox()
        self.yes.on_click(lambda _button: self._answered(yes=True))
        self.no.on_click(lambda _button: self._answered(yes=False))
        for choice in (self.words, self.state):
            choice.observe(lambda _change: self._show(), names="value")
        head = w.HBox([w.HTML(f"<b>Deployment {escape(deployment)}</b>"), self.standing])
        super().__init__([head, w.HBox([self.words, self.state]), self.tabs, self.asking, self.acts])
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def act(self, action: Action) -> None:
        """Do what a button says, after asking where it cannot be undone."""
        if not action.question:
            self._start(action)
            return
        self._asked = action
        self.question.value = f"<b>{escape(action.question)}</b>"
        self.asking.layout.display = "flex"

    def close(self) -> None:
        """Watch no more. What was started goes on."""
        self._closed.set()
        self._look_now.set()
        self._thread.join(self._every + 5)
        super().close()

    def _answered(self, *, yes: bool) -> None:
        action, self._asked = self._asked, None
        self.asking.layout.display = "none"
        if yes and action is not None:
            self._start(action)

    def _start(self, action: Action) -> None:
        self.acts.children = (_Act(action, self._look_now.set), *self.acts.children[:4])

    def _watch(self) -> None:
        while not self._closed.is_set():
            try:
                self._sight = look(self._database, self._settings)
            except (OpsError, SQLAlchemyError) as error:
                said = error.message if isinstance(error, OpsError) else type(error).__name__
                self._stand("#c62828", f"the database is away since {self._since():%H:%M:%S}; looking again … ({said})")
            else:
                self._away_since = None
                self._stand("#2e7d32", "live")
                self._show()
            self._look_now.wait(self._every)
            self._look_now.clear()
        self._database.close()

    def _since(self) -> datetime:
        self._away_since = self._away_since or datetime.now().astimezone()
        return self._away_since

    def _stand(self, color: str, words: str) -> None:
        value = f"<span style='color:{color};margin-left:1em'>● {escape(words)}</span>"
        if self.standing.value != value:
            self.standing.value = value

    def _show(self) -> None:
        sight = self._sight
        if sight is None:
            return
        rows: dict[str, list[Row]] = vars(sight)
        states = sorted({row.state for group in rows.values() for row in group} | {self.state.value} - {""})
        options = (("any state", ""), *((state, state) for state in states))
        if self.state.options != options:
            kept = self.state.value
            self.state.options = options
            self.state.value = kept
        for name, table in self.tables.items():
            table.show([row for row in rows[name] if self._is_wanted(row)])

    def _is_wanted(self, row: Row) -> bool:
        text = " ".join((row.key, row.state, *row.cells)).lower()
        return self.state.value in ("", row.state) and all(word in text for word in self.words.value.lower().split())


class _Act(w.VBox):  # type: ignore[misc]
    """A command that a button started: what it is, what it says, how it ended."""

    def __init__(self, action: Action, ended: object) -> None:
        self._lines: list[str] = []
        self._ended = ended
        self._said = w.HTML()
        self._state = w.HTML("<i>goes on</i>")
        self._stop = w.Button(description="stop", layout=w.Layout(width="auto", height="26px"))
        head = w.HBox([w.HTML(f"<code>{escape(command_text(action.arguments))}</code>"), self._state, self._stop])
        super().__init__([head, self._said])
        self._command = RunningCommand(action.arguments, self._tell, self._done)
        self._stop.on_click(lambda _button: self._command.stop())

    def _tell(self, line: str) -> None:
        self._lines = [*self._lines, line][-_LINES:]
        self._said.value = f"<pre style='max-height:14em;overflow:auto;margin:0'>{_linked(self._lines)}</pre>"

    def _done(self, code: int) -> None:
        color, words = ("#2e7d32", "done") if code == 0 else ("#c62828", f"exit code {code}")
        self._state.value = f"<b style='color:{color}'>{words}</b>"
        self._stop.disabled = True
        if callable(self._ended):
            self._ended()


def console(deployment: str = "local", *, every: float = EVERY_SECONDS, workspace: Workspace | None = None) -> Console:
    """The console of a deployment, for the last line of a notebook's cell.

    :param every: seconds between two looks at the database
    """
    return Console(deployment, every, workspace)


def _linked(lines: list[str]) -> str:
    text = escape("\n".join(lines))
    return re.sub(r"(http://127\.0\.0\.1:\S+)", r"<a href='\1' target='_blank'>\1</a>", text)
