#!/usr/bin/env bash
# The whole chain, to watch. What it does is in tests/e2e/demo.py.
source "$(dirname "$0")/lib.sh"
exec python3 -m tests.e2e.demo
