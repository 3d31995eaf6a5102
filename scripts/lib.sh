# Sourced by every script: strict mode, the cache, uv, and steps that print how long they took.
set -euo pipefail
PLANNED=$(grep -c '^step ' "$0" 2>/dev/null) || PLANNED=  # before cd: $0 may be relative; none where a shell sources this
cd "$(dirname "${BASH_SOURCE[0]}")/.."
export HOME=${HOME:-~}  # the user's own, where a service manager or container sets none
export SLIPWAY_CACHE=${SLIPWAY_CACHE:-$HOME/.cache/slipway}
export PATH="$SLIPWAY_CACHE/bin:$SLIPWAY_CACHE/uv/bin:$PATH"
export PYTHONUNBUFFERED=1 UV_NO_PROGRESS=1
# torch takes ten seconds to compile, and the tests start it in dozens of processes: once is enough, wherever it lies.
export PYTHONDONTWRITEBYTECODE= PYTHONPYCACHEPREFIX="$SLIPWAY_CACHE/pycache"
bed() { python3 tests/e2e/cluster "$@"; }
STEPS=()

# hold_bed: keep the test bed to this script and what it calls; while another has it, say which one, and wait. The
# lock is that of the bed's own commands (tests/e2e/cluster/bed/lock.py), and goes with this script and its children.
hold_bed() {
  local lock=$SLIPWAY_CACHE/bed.lock holder command
  while mkdir -p "$SLIPWAY_CACHE" && exec 9<>"$lock"; do
    if ! flock --nonblock 9; then
      read -r holder command <"$lock" || true
      [ -z "$holder" ] || [ "$holder" != "${SLIPWAY_BED_HOLDER:-}" ] || return 0
      echo "--- waiting for the test bed: process $holder has it ($command)" >&2
      flock 9
    fi
    [ ! "$lock" -ef /dev/fd/9 ] || break  # else `make clean` removed it with the cache while we waited
  done
  echo "$$ $0" >"$lock"
  export SLIPWAY_BED_HOLDER=$$
}

# step NAME COMMAND...: run it, say which of the script's steps it is and how long it took, stop at its failure
step() {
  local name=$1 begin=$SECONDS; shift
  echo "--- $name${PLANNED:+ ($((${#STEPS[@]} + 1)) of $PLANNED)}"
  if ! "$@"; then echo "--- $name FAILED after $((SECONDS - begin)) s" >&2; exit 1; fi
  STEPS+=("$(printf '%6d s  %s' $((SECONDS - begin)) "$name")")
}

# times: the table of all steps so far
times() {
  printf '%s\n' "--- times" "${STEPS[@]}"
  printf '%6d s  together\n' "$SECONDS"
}

# uv, from PATH or installed into a virtual environment of its own in the cache
need_uv() {
  command -v uv >/dev/null && uv --version >/dev/null 2>&1 && return
  python3 -m venv "$SLIPWAY_CACHE/uv" 2>/dev/null || { as_root apt-get update -q; as_root apt-get install -yq --no-install-recommends python3-venv; python3 -m venv "$SLIPWAY_CACHE/uv"; }
  "$SLIPWAY_CACHE/uv/bin/pip" install -q uv==0.13.9
}

as_root() { if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi; }

# the project's environment, as the lock says; torch comes with it, since the trainer's tests train
sync() { uv sync --frozen --quiet --all-extras; }
