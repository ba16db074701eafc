#!/usr/bin/env bash
# Teaches this clone's git about notebooks: nbstripout takes outputs out as they are committed, nbdime compares and merges by cell.
#   scripts/hooks.sh [--remove]
set -euo pipefail
cd "$(dirname "$0")/.."
bin=$PWD/.venv/bin
if [ "${1:-}" = --remove ]; then
  for section in filter.nbstripout diff.jupyternotebook merge.jupyternotebook; do
    git config --remove-section "$section" 2>/dev/null || true
  done
  exit 0
fi
git config filter.nbstripout.clean "'$bin/nbstripout'"
git config filter.nbstripout.smudge cat
git config diff.jupyternotebook.command "'$bin/git-nbdiffdriver' diff"
git config merge.jupyternotebook.driver "'$bin/git-nbmergedriver' merge %O %A %B %L %P"
git config merge.jupyternotebook.name "notebooks, cell by cell"
