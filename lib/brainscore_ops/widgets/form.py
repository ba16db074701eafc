"""A form for a runbook's parameters: made from their model, checked as they are typed, and run or only planned."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Any

import ipywidgets as w

from brainscore_ops.runbooks.catalogue import find_runbook
from brainscore_ops.runbooks.parameters import (
    ParameterHelp,
    ParametersRefusedError,
    check_parameters,
    describe,
    load_parameters_model,
)
from brainscore_ops.widgets.commands import RunningCommand, command_text

if TYPE_CHECKING:
    from collections.abc import Mapping

    from brainscore_ops.settings import Workspace

_LINES = 200
_WIDE = w.Layout(width="100%")


class RunbookForm(w.VBox):  # type: ignore[misc]  # ipywidgets has no types
    """The parameters of a runbook, and what may be done with them.

    :param name: of the runbook
    :param given: values to begin with
    """

    def __init__(
        self, name: str, given: Mapping[str, object] | None = None, workspace: Workspace | None = None
    ) -> None:
        self.runbook = find_runbook(name, workspace)
        self._model = load_parameters_model(self.runbook.parameters)
        self.fields = {help_.name: _Field(help_, (given or {}).get(help_.name)) for help_ in describe(self._model)}
        self.command: RunningCommand | None = None
        self._said: list[str] = []
        self.problems = w.HTML()
        self.shown_command = w.HTML()
        self.run_button = w.Button(description="Run", button_style="primary", icon="play", tooltip="Do it, now")
        self.plan_button = w.Button(
            description="Plan", icon="list", tooltip="Write down what would be done, and do nothing"
        )
        self.stop_button = w.Button(description="Stop", icon="stop", disabled=True, tooltip="Stop it in order")
        self.plan_button.disabled = bool(self.runbook.no_plan)
        self.output = w.HTML()
        for field in self.fields.values():
            field.widget.observe(lambda _change: self._check(), names="value")
        self.run_button.on_click(lambda _button: self._start())
        self.plan_button.on_click(lambda _button: self._start("--plan"))
        self.stop_button.on_click(lambda _button: self.command and self.command.stop())
        buttons = w.HBox([self.plan_button, self.run_button, self.stop_button])
        title = w.HTML(f"<h3 style='margin:.2em 0'>{escape(name)}</h3><p>{escape(self.runbook.purpose)}</p>")
        rows = [field.row for field in self.fields.values()]
        super().__init__([title, *rows, self.problems, self.shown_command, buttons, self.output])
        self._check()

    @property
    def given(self) -> dict[str, str]:
        """What was typed, by parameter; what was left as it was is left out."""
        return {name: field.text for name, field in self.fields.items() if field.is_given}

    @property
    def arguments(self) -> list[str]:
        """The command's arguments for what was typed."""
        return ["run", self.runbook.name, *(word for pair in self.given.items() for word in ("-p", *pair))]

    def _check(self) -> bool:
        """Say what is wrong with the parameters, all at once."""
        problems: dict[str, str] = {}
        try:
            check_parameters(self._model, self.given)
        except ParametersRefusedError as refusal:
            problems = {
                problem.where.partition(".")[0]: f"{problem.message} {problem.remedy}" for problem in refusal.problems
            }
        for name, field in self.fields.items():
            field.say(problems.pop(name, ""))
        self.problems.value = "".join(f"<p style='color:#c62828'>{escape(text)}</p>" for text in problems.values())
        wrong = bool(problems) or any(field.wrong for field in self.fields.values())
        running = self.command is not None and self.command.wait(0) is None
        self.run_button.disabled = wrong or running
        self.plan_button.disabled = wrong or running or bool(self.runbook.no_plan)
        self.stop_button.disabled = not running
        self.shown_command.value = f"<code>{escape(command_text(self.arguments))}</code>"
        return not wrong

    def _start(self, *options: str) -> None:
        if not self._check():
            return
        self._said = []
        self.output.value = _shown(["…"])
        self.command = RunningCommand([*self.arguments, *options], self._tell, self._done)
        self._check()

    def _tell(self, line: str) -> None:
        self._said = [*self._said, line][-_LINES:]
        self.output.value = _shown(self._said)

    def _done(self, code: int) -> None:
        color, word = ("#2e7d32", "done") if code == 0 else ("#c62828", f"ended with exit code {code}")
        self.output.value = _shown(self._said) + f"<p style='color:{color};font-weight:600'>{word}</p>"
        self.command = None
        self._check()


def runbook_form(name: str, workspace: Workspace | None = None, **given: object) -> RunbookForm:
    """A form for a runbook, as ``runbook_form("merge", pull_request=7)``.

    :raises UnknownRunbookError: with the names that come close
    """
    return RunbookForm(name, given, workspace)


class _Field:
    """One parameter: its widget, what it says, and what is wrong with it."""

    def __init__(self, help_: ParameterHelp, value: object) -> None:
        self._help = help_
        shown = help_.default if value is None else value
        if help_.type == "bool":
            self.widget = w.Checkbox(value=bool(shown), indent=False)
        else:
            self.widget = w.Text(
                value="" if shown is None else str(shown),
                placeholder="required" if help_.required else help_.type,
                continuous_update=True,
                layout=w.Layout(width="22em"),
            )
        self._first = self.widget.value if value is None else None
        self._said = w.HTML()
        description = escape(f"{help_.description} ({help_.type})")
        name = w.HTML(f"<b>{escape(help_.name)}</b>{' *' if help_.required else ''}", layout=w.Layout(width="10em"))
        words = w.VBox([w.HTML(f"<span style='opacity:.75'>{description}</span>"), self._said], layout=_WIDE)
        self.row = w.HBox([name, self.widget, words])
        self.wrong = False

    @property
    def is_given(self) -> bool:
        """Whether there is something other than the default."""
        return bool(self.widget.value != self._first) or (self._help.required and self.widget.value != "")

    @property
    def text(self) -> str:
        """Its value as a command line has it."""
        value: Any = self.widget.value
        return str(value).lower() if isinstance(value, bool) else str(value)

    def say(self, problem: str) -> None:
        """Say what is wrong, or nothing."""
        self.wrong = bool(problem)
        untouched = self._help.required and self.widget.value == ""
        color = "inherit" if untouched else "#c62828"
        self._said.value = f"<span style='color:{color}'>{escape(problem)}</span>" if problem else ""


def _shown(lines: list[str]) -> str:
    return f"<pre style='max-height:22em;overflow:auto;margin:.4em 0'>{escape(chr(10).join(lines))}</pre>"
