"""What maintainers click in JupyterLab: the console, and a form for each runbook. Every button does what a command does.

``from brainscore_ops.widgets import console, runbook_form``
"""

from brainscore_ops.widgets.console import console
from brainscore_ops.widgets.form import runbook_form

__all__ = ["console", "runbook_form"]
