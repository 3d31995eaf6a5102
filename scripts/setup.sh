#!/usr/bin/env bash
# Everything that the other targets need. Each of them calls this; it takes a second when there is nothing to do.
source "$(dirname "$0")/lib.sh"
step "uv" need_uv
step "python environment" sync
step "helm" bed build helm
