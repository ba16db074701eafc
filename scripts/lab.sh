#!/usr/bin/env bash
# JupyterLab on the workspace; as root (in a container) it has to be told that this is meant.
set -euo pipefail
cd "$(dirname "$0")/.."
root=()
[ "$(id -u)" != 0 ] || root=(--allow-root)
exec .venv/bin/jupyter lab "${root[@]}" --notebook-dir . "$@"
