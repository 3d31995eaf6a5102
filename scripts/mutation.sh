#!/usr/bin/env bash
# The mutation score of the plan, with mutmut. Exits 1 below MINIMUM percent. Survivors: build/mutation/survivors.txt
source "$(dirname "$0")/lib.sh"
MINIMUM=${MINIMUM:-80}
tree=build/mutation

# mutmut wants the package at the root of the tree that it mutates, so it gets a tree of its own.
prepare() {
  rm -rf "$tree" && mkdir -p "$tree"
  cp -r operator/slipway tests workloads "$tree/"
  sed '/^\[tool.mutmut\]/,$d' pyproject.toml >"$tree/pyproject.toml"
  cat >>"$tree/pyproject.toml" <<'T'
[tool.mutmut]
source_paths = ["slipway"]
only_mutate = ["slipway/plan/*"]
also_copy = ["workloads"]
pytest_add_cli_args_test_selection = ["tests/unit/plan", "tests/golden"]
pytest_add_cli_args = ["-p", "no:cacheprovider", "-p", "no:randomly"]
T
}
mutate() { (cd "$tree" && "$PWD/../../.venv/bin/mutmut" run --max-children "$(nproc)"); }
score() {
  (cd "$tree" && ../../.venv/bin/mutmut results --all true) >"$tree/results.txt"
  grep ': survived$' "$tree/results.txt" >"$tree/survivors.txt" || true
  awk -v minimum="$MINIMUM" -F': ' '
    /: killed$|: timeout$/ {killed++} /: survived$|: no tests$/ {alive++}
    END { total = killed + alive; if (!total) { print "no mutants ran"; exit 1 }
          printf "mutation score %.1f %% (%d of %d mutants killed), at least %d %% wanted\n", 100 * killed / total, killed, total, minimum
          exit (100 * killed / total < minimum) }' "$tree/results.txt"
}
prepare
mutate
score
