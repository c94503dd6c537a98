#!/usr/bin/env bash
# Rewrites requirements.lock: exact versions and hashes of everything that `make` installs, but torch.
# torch stands in the Makefile: its CPU and CUDA builds of one version have different hashes, and the CUDA
# libraries that the registry's Linux build asks for are pip's business on machines that take that build.
set -euo pipefail
cd "$(dirname "$0")/.."
torch=$(sed -n 's/^TORCH *:= *//p' Makefile)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
echo "torch==$torch" > "$work/constraints.txt"
compile() {
    "${BIN:-.venv/bin}/uv" pip compile pyproject.toml --all-extras --generate-hashes --python-version 3.11 \
        --constraint "$work/constraints.txt" --no-header --quiet --no-annotate "$@"
}
compile --no-emit-package torch -o "$work/all.txt"
skip=$(sed -nE 's/^((nvidia|cuda|triton)[a-z0-9-]*)==.*/--no-emit-package \1/p' "$work/all.txt")
# shellcheck disable=SC2086  # one word per argument is wanted
compile --no-emit-package torch $skip -o "$work/lock.txt"
{
    echo "# Made by scripts/lock.sh from pyproject.toml; do not edit. torch is pinned in the Makefile (see scripts/lock.sh)."
    grep -vE '^# |^$' "$work/lock.txt" || true
} > requirements.lock
