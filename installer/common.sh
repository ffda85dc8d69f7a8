# Shared by setup.sh, start.sh and test.sh: where things go, and one way to say what happens and what failed.
set -euo pipefail

readonly project_dir="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
readonly cache_dir="${XDG_CACHE_HOME:-$HOME/.cache}/rankscope"
readonly data_dir="${RANKSCOPE_HOME:-${XDG_DATA_HOME:-$HOME/.local/share}/rankscope}"
readonly libtorch_version="$(sed -n 's/^torch==\([0-9.]*\).*/\1/p' "$project_dir/installer/pinned-wheels.txt")"

say() { printf '\033[1m==>\033[0m %s\n' "$*"; }
fail() { printf 'rankscope: %s\n' "$*" >&2; exit 1; }

# run_quietly LOG COMMAND...: output goes to LOG; on failure its last lines are shown.
run_quietly() {
  local log="$1"; shift
  mkdir -p "$(dirname "$log")"
  if ! "$@" >"$log" 2>&1; then
    tail -n 20 "$log" >&2
    return 1
  fi
}

# Two compilers at once need about 2 GB each.
build_jobs() {
  local cores memory
  cores=$(nproc)
  memory=$(awk '/MemAvailable/ {print int($2 / 2000000)}' /proc/meminfo)
  [ "$memory" -lt 1 ] && memory=1
  echo $(( cores < memory ? cores : memory ))
}
