#!/usr/bin/env bash
# Regenerate all that is generated, fail on a difference, then run what is too long for every change.
source "$(dirname "$0")/lib.sh"
regenerate() {
  uv run --no-sync slipway crds --output charts/slipway-crds/templates --docs docs/api.md
  uv run --no-sync slipway rbac --output charts/slipway/templates
  UPDATE_GOLDEN=1 uv run --no-sync pytest tests/golden
  git diff --exit-code
}
scripts/setup.sh
step "generated files" regenerate
step "system packages" bed setup
step "a cluster of two nodes" uv run --no-sync pytest -p no:cacheprovider -v -m verify tests/e2e
step "mutation score" scripts/mutation.sh
times
