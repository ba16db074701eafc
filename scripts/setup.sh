#!/usr/bin/env bash
# Installs what the project needs: a virtual environment in .venv, and system packages through apt where it may.
# Quick when there is nothing to do. Says what is missing, and how to get it, when it may not.
#   scripts/setup.sh [tests]    with "tests": also what the tests alone need
set -euo pipefail
cd "$(dirname "$0")/.."

say() { printf '%s\n' "$*" >&2; }
die() { say "set-up stopped: $*"; exit 1; }

# --- Python -----------------------------------------------------------------------------------------------------------
python=
for candidate in "${PYTHON:-python3}" python3.13 python3.12 python3.11; do
  if "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then python=$candidate; break; fi
done
[ -n "$python" ] || die "expected Python 3.11 or newer, found $(python3 --version 2>&1 || echo none). \
Install one (apt-get install python3), or name it: PYTHON=/path/to/python make setup"

# --- System packages ---------------------------------------------------------------------------------------------------
# Program and package: bubblewrap locks plugin code in, the browser tests look at pages in chromium, the tests of scoring run a
# SLURM of their own, and those of the workflows run their commands, which GitHub's machines have jq for.
missing=()
need() { command -v "$1" >/dev/null 2>&1 || missing+=("$2"); }
need git git
need bwrap bubblewrap
need setpriv util-linux
if [ "${1:-}" = tests ]; then need chromium chromium; need sbatch slurm-wlm; need jq jq; fi
if ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then missing+=(python3-venv); fi
if [ ${#missing[@]} -gt 0 ]; then
  install="apt-get install -y --no-install-recommends ${missing[*]}"
  if ! command -v apt-get >/dev/null 2>&1; then
    die "missing: ${missing[*]}. Install them with this system's package manager."
  elif [ "$(id -u)" = 0 ]; then sudo=
  elif command -v sudo >/dev/null 2>&1 && sudo -n true 2>/dev/null; then sudo=sudo
  else die "missing: ${missing[*]}. Run: sudo $install"
  fi
  say "installing ${missing[*]} …"
  export DEBIAN_FRONTEND=noninteractive
  log=$(mktemp)
  { $sudo apt-get update -q && $sudo $install; } >"$log" 2>&1 || die "apt-get failed; its output is in $log. Run: sudo $install"
  rm -f "$log"
fi

# --- uv and the virtual environment ------------------------------------------------------------------------------------
stamp=.venv/.set-up
digest=$(cat pyproject.toml scripts/setup.sh | sha256sum)
if [ "$(cat "$stamp" 2>/dev/null)" = "$digest" ] && .venv/bin/python -c '' 2>/dev/null; then exit 0; fi

if command -v uv >/dev/null 2>&1 && uv --version >/dev/null 2>&1; then uv=uv
else
  [ -x .tools/bin/uv ] || { say "installing uv …"; "$python" -m venv .tools && .tools/bin/pip install --quiet uv; }
  uv=.tools/bin/uv
fi
say "installing the Python packages …"
[ -x .venv/bin/python ] || "$uv" venv --quiet --python "$python" .venv
"$uv" pip install --quiet --compile-bytecode --python .venv/bin/python --editable '.[dev]'
echo "$digest" >"$stamp"
