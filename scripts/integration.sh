#!/usr/bin/env bash
# The API, the control loop, its number of requests and a gang of two against real parts without a cluster: etcd,
# kube-apiserver, torch.
source "$(dirname "$0")/lib.sh"
scripts/setup.sh
step "simulation" uv run --no-sync pytest -p no:cacheprovider --timeout 600 -n 2 --dist loadfile tests/sim/runs
step "build the control plane's programs" bed build etcd kube-apiserver kubectl
# one after the other: some compare how long ranks take, and gangs use both cores
step "API, control loop, requests, training" uv run --no-sync pytest -p no:cacheprovider --timeout 600 --durations=30 tests/crd tests/integration tests/perf
times
