#!/usr/bin/env bash
# Remove the cluster, the container engine that the bed started, and the cache.
source "$(dirname "$0")/lib.sh"
hold_bed
bed down --all
# the lock last: whoever waits for it must not begin in a cache that is going
find "$SLIPWAY_CACHE" -mindepth 1 -maxdepth 1 ! -name bed.lock -exec rm -rf {} +
rm -rf "$SLIPWAY_CACHE" .venv
