#!/usr/bin/env bash
# What needs no cluster. Fast enough to run before every commit. COVERAGE=1 counts branches too, a minute longer.
source "$(dirname "$0")/lib.sh"

# What a program writes, and what holds its versions.
GENERATED='^charts/slipway-crds/templates/\|_options\.json$\|^tests/golden/\|go\.sum$\|^uv\.lock$'
short_files() {
  local files long
  files=$(git ls-files) || return 1  # errexit is off in what `step` calls
  long=$(grep -v "$GENERATED" <<<"$files" | xargs wc -l | awk '$2 != "total" && $1 > 500')
  [ -z "$long" ] || { echo "over 500 lines:"; echo "$long"; return 1; }
}
generated() {
  uv run --no-sync slipway crds --check && uv run --no-sync slipway rbac --check &&
    uv run --no-sync slipway accelerators --check &&
    uv run --no-sync slipway engines --check &&
    uv run --no-sync python -m tests.unit.plan.capacity.published --check
}
run() { uv run --no-sync "$@"; }

unit() {
  local counted=()
  [ "${COVERAGE:-0}" = 0 ] || counted=(--cov --cov-report=term:skip-covered)
  run pytest -n 2 --dist loadfile "${counted[@]}" tests/unit tests/golden tests/chart tests/sim --ignore=tests/sim/runs
}

scripts/setup.sh
step "format" run ruff format --check --quiet .
step "lint" run ruff check --quiet .
step "types" run mypy --no-error-summary operator/slipway workloads/slipway_train workloads/slipway_engine workloads/slipway_gateway tests
step "import contracts" run lint-imports --no-logo
step "short files" short_files
step "generated files" generated
step "unit, golden, chart and simulation tests" unit
times
