#!/usr/bin/env bash
# The mutation score of the plan, with mutmut. Exits 1 below MINIMUM percent. Survivors: build/mutation/survivors.txt
# SAMPLE mutants are drawn by a fixed rule (a shuffle with a fixed source); SAMPLE=0 runs all, which takes hours.
source "$(dirname "$0")/lib.sh"
MINIMUM=${MINIMUM:-80} SAMPLE=${SAMPLE:-400}
tree=build/mutation

# mutmut wants the package at the root of the tree that it mutates, so it gets a tree of its own.
prepare() {
  rm -rf "$tree" && mkdir -p "$tree"
  cp -r operator/slipway tests workloads docs "$tree/" # docs: tests compare its generated tables
  cp pyproject.toml "$tree/"
  cat >>"$tree/pyproject.toml" <<'T'

[tool.mutmut]
source_paths = ["slipway"]
only_mutate = ["slipway/plan/*"]
also_copy = ["workloads", "docs"]
pytest_add_cli_args_test_selection = ["tests/unit/plan", "tests/unit/engine/test_args.py", "tests/golden"]
pytest_add_cli_args = ["-p", "no:cacheprovider"]
T
}
# mutmut names its mutants only once it has made them: a run that matches one function makes them all.
mutmut() { (cd "$tree" && ../../.venv/bin/mutmut "$@"); }
make_mutants() { mutmut run --max-children "$(nproc)" 'slipway.plan.clock.*' >"$tree/made.log" 2>&1; }
draw() {
  mutmut results --all true 2>/dev/null | sed 's/^ *//; s/:.*//' | grep __mutmut_ | sort >"$tree/all.txt"
  [ "$SAMPLE" != 0 ] || SAMPLE=$(wc -l <"$tree/all.txt")
  yes slipway | head -c 1000000 >"$tree/source"
  shuf --random-source="$tree/source" -n "$SAMPLE" "$tree/all.txt" >"$tree/drawn.txt"
}
mutate() { xargs -a "$tree/drawn.txt" sh -c 'cd build/mutation && exec ../../.venv/bin/mutmut run --max-children "$(nproc)" "$@"' _ >"$tree/run.log" 2>&1; }
score() {
  mutmut results --all true 2>/dev/null | sed 's/^ *//' | grep -F -f "$tree/drawn.txt" -w >"$tree/results.txt"
  grep -E ': (survived|no tests)$' "$tree/results.txt" >"$tree/survivors.txt" || true
  awk -v minimum="$MINIMUM" -F': ' '
    { verdict[$2]++ }
    END { killed = verdict["killed"] + verdict["timeout"]; alive = verdict["survived"] + verdict["no tests"]
          total = killed + alive
          if (!total || total < NR) { printf "%d of %d mutants have no verdict\n", NR - total, NR; exit 1 }
          printf "mutation score %.1f %% (%d of %d mutants killed), at least %d %% wanted\n", 100 * killed / total, killed, total, minimum
          exit (100 * killed / total < minimum) }' "$tree/results.txt"
}
scripts/setup.sh
step "tree of its own" prepare
step "mutants" make_mutants
step "draw" draw
step "run $(wc -l <"$tree/drawn.txt") mutants" mutate
score
