#!/usr/bin/env bash
# What a training step costs: our loop against a plain one, every strategy against DDP. Figures: build/bench/train-steps.json
source "$(dirname "$0")/lib.sh"
scripts/setup.sh
step "training steps" uv run --no-sync python -m tests.perf.train.step_seconds --output build/bench/train-steps.json
times
