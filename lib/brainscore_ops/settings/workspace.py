"""Where things are: the folder that holds ``notebooks/`` and ``params/``, and where state and records go."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from brainscore_ops.errors import UsageError

WORKSPACE_VARIABLE = "BRAINSCORE_OPS_WORKSPACE"
STATE_VARIABLE = "BRAINSCORE_OPS_STATE"
OUTPUTS_VARIABLE = "BRAINSCORE_OPS_OUTPUTS"
RUN_VARIABLE = "BRAINSCORE_OPS_RUN"
"""Set in the kernel of a run: its id. Unset where somebody steps through by hand."""


class NoWorkspaceError(UsageError):
    """The command needs runbooks and parameters, and was started where there are none."""

    code = "no-workspace"


@dataclass(frozen=True)
class Workspace:
    """A checkout of the ops repository, and the folders that it fills."""

    root: Path
    """Holds ``notebooks/``, ``params/`` and ``examples/``."""
    state_root: Path
    """What must survive between runs and is no record: mirrors, environments, embedded services. A folder a deployment."""
    outputs_root: Path
    """The records: executed notebooks and result files. A folder a deployment."""

    @property
    def params(self) -> Path:
        """One YAML file per deployment."""
        return self.root / "params"

    @property
    def notebooks(self) -> Path:
        """``runbooks/`` and ``scoring/``."""
        return self.root / "notebooks"

    def state(self, deployment: str) -> Path:
        """The state folder of a deployment."""
        return self.state_root / deployment

    def outputs(self, deployment: str) -> Path:
        """The records folder of a deployment."""
        return self.outputs_root / deployment


def find_workspace(start: Path | None = None) -> Workspace:
    """The workspace that a command works on.

    It is named by ``BRAINSCORE_OPS_WORKSPACE``, or is the nearest folder above ``start`` (default: the current one) with
    ``notebooks/runbooks`` and ``params``, or the checkout that this library is installed from.

    :raises NoWorkspaceError: where none of the three is one
    """
    named = os.environ.get(WORKSPACE_VARIABLE)
    here = (start or Path.cwd()).resolve()
    candidates = [Path(named).resolve()] if named else [here, *here.parents, Path(__file__).resolve().parents[3]]
    root = next((folder for folder in candidates if _is_workspace(folder)), None)
    if root is None:
        looked = f"{WORKSPACE_VARIABLE}={named}" if named else f"{here} and the folders above it"
        raise NoWorkspaceError(
            f"expected a folder with notebooks/runbooks and params, found none at {looked}",
            remedy=f"Change to a checkout of the ops repository, or name one in {WORKSPACE_VARIABLE}.",
        )
    return Workspace(
        root=root,
        state_root=Path(os.environ.get(STATE_VARIABLE) or root / ".state").resolve(),
        outputs_root=Path(os.environ.get(OUTPUTS_VARIABLE) or root / "outputs").resolve(),
    )


def _is_workspace(folder: Path) -> bool:
    return (folder / "notebooks" / "runbooks").is_dir() and (folder / "params").is_dir()
