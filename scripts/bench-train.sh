#!/usr/bin/env bash
# What a training step costs: our loop against a plain one, every strategy against DDP (figures: build/bench/train-steps.json);
# and for how long a checkpoint holds the steps up, Async against Sync.
source "$(dirname "$0")/lib.sh"
scripts/setup.sh
step "training steps" uv run --no-sync python -m tests.perf.train.step_seconds --output build/bench/train-steps.json
step "checkpoint stall" uv run --no-sync python -m tests.perf.train.checkpoint_stall
times
