#!/usr/bin/env bash
# What the operator costs, on a real etcd and kube-apiserver, with kwok's node and pods: docs/performance.md.
# COURSE names another file of sizes and bounds than tests/perf/full.yaml. Figures: build/bench/figures.json
source "$(dirname "$0")/lib.sh"
COURSE=${COURSE:-tests/perf/full.yaml}
programs=(etcd kube-apiserver kube-controller-manager kwok training-operator-unthrottled)
scripts/setup.sh
step "build the programs" bed build "${programs[@]}"
step "benchmark" uv run --no-sync python -m tests.perf "$COURSE" --output build/bench/figures.json
times
