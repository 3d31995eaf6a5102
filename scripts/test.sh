#!/usr/bin/env bash
# Everything, in order of speed. KEEP=1 leaves the cluster up.
source "$(dirname "$0")/lib.sh"
remove() { [ "${KEEP:-0}" = 1 ] || bed down --all; }
e2e() { uv run --no-sync pytest -p no:cacheprovider --timeout 1800 --durations=40 -v tests/e2e; }

step "check" env COVERAGE=1 scripts/check.sh
step "integration" scripts/integration.sh
step "system packages" bed setup
hold_bed
trap remove EXIT
step "cluster" bed up
step "images" bed images
step "end to end" e2e
times
echo "What remains is in $SLIPWAY_CACHE (built programs, images): make clean removes it."
