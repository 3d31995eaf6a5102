#!/usr/bin/env bash
# The whole chain, to watch. What it does is in tests/e2e/demo.py.
source "$(dirname "$0")/lib.sh"
step "uv" need_uv
hold_bed
exec python3 -m tests.e2e.demo
