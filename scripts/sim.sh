#!/usr/bin/env bash
# Search for a run of the simulation (docs/reliability.md) that breaks a promise of the operator.
#   WHAT=seeds|crashes|deletions|mutants   SEEDS=n   FIRST=n (a fresh range by default)   JOBS=n
source "$(dirname "$0")/lib.sh"
WHAT=${WHAT:-seeds} SEEDS=${SEEDS:-2000} FIRST=${FIRST:-$(date +%s)} JOBS=${JOBS:-$(nproc)}
scripts/setup.sh >/dev/null
if [ "$WHAT" = mutants ]; then JOBS=$JOBS exec uv run --no-sync python -m tests.sim.mutants; fi
echo "$WHAT${SEEDS:+: $SEEDS from $FIRST}"
exec uv run --no-sync python -m tests.sim "$WHAT" --first "$FIRST" --seeds "$SEEDS" --jobs "$JOBS"
