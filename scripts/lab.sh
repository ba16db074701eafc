#!/usr/bin/env bash
# JupyterLab on the workspace. Kernels show this project's errors as what they say, without long tracebacks.
set -euo pipefail
cd "$(dirname "$0")/.."
export IPYTHONDIR=$PWD/.state/ipython
mkdir -p "$IPYTHONDIR/profile_default"
echo 'c.InteractiveShellApp.extensions = ["brainscore_ops.runbooks.error_cards"]  # noqa: F821' \
  >"$IPYTHONDIR/profile_default/ipython_kernel_config.py"
root=()
[ "$(id -u)" != 0 ] || root=(--allow-root) # in a container; Jupyter wants to be told that this is meant
exec .venv/bin/jupyter lab "${root[@]}" --notebook-dir . "$@"
