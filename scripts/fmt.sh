#!/usr/bin/env bash
source "$(dirname "$0")/lib.sh"
uv run --no-sync ruff format . && uv run --no-sync ruff check --fix .
