#!/usr/bin/env bash
# Remove the cluster, the container engine that the bed started, and the cache.
source "$(dirname "$0")/lib.sh"
bed down --all
rm -rf "$SLIPWAY_CACHE" .venv
