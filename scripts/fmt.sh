#!/usr/bin/env bash
source "$(dirname "$0")/lib.sh"
scripts/setup.sh
uv run --no-sync ruff format . && uv run --no-sync ruff check --fix .
