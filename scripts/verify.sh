#!/usr/bin/env bash
# Regenerate all that is generated, fail on a difference, then run what is too long for every change.
source "$(dirname "$0")/lib.sh"
regenerate() {
  # joined, since errexit is off in what `step` calls
  uv run --no-sync slipway crds --output charts/slipway-crds/templates --docs docs/api.md \
    && uv run --no-sync slipway rbac --output charts/slipway/templates \
    && uv run --no-sync slipway engines --output docs/serving.md \
    && uv run --no-sync python -m tests.unit.plan.capacity.published \
    && UPDATE_GOLDEN=1 uv run --no-sync pytest tests/golden \
    && git diff --exit-code
}
scripts/setup.sh
step "generated files" regenerate
step "training, every strategy through every fault" uv run --no-sync pytest -p no:cacheprovider --timeout 900 -s -m verify tests/integration
step "system packages" bed setup
step "a cluster of two nodes" uv run --no-sync pytest -p no:cacheprovider --timeout 1800 -v -m verify tests/e2e
step "simulation, fresh seeds" env SEEDS="${SEEDS:-50000}" scripts/sim.sh
step "simulation, crash points" env WHAT=crashes scripts/sim.sh
step "simulation, deletions" env WHAT=deletions scripts/sim.sh
step "simulation, mutants" env WHAT=mutants scripts/sim.sh
step "mutation score" scripts/mutation.sh
step "what the operator costs" scripts/bench.sh
times
