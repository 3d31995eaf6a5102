#!/usr/bin/env bash
# The API, the control loop, its number of requests and a gang of two against real parts without a cluster: etcd,
# kube-apiserver, torch.
source "$(dirname "$0")/lib.sh"
scripts/setup.sh
step "simulation" uv run --no-sync pytest -p no:cacheprovider --timeout 600 -n 2 --dist loadfile tests/sim/runs
step "build the control plane's programs" bed build etcd kube-apiserver kubectl
step "API, control loop, training" uv run --no-sync pytest -p no:cacheprovider --timeout 600 --durations=30 -n 2 --dist loadfile tests/crd tests/integration
step "requests" uv run --no-sync pytest -p no:cacheprovider --timeout 600 tests/perf
times
