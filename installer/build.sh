#!/usr/bin/env bash
# Configures and builds build/release. Arguments are passed to CMake: -DLIBTORCH_ROOT=…, -DRANKSCOPE_CUDA=ON|OFF|AUTO.
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
cd "$project_dir"
[ -n "${LIBTORCH_ROOT:-}" ] && set -- "-DLIBTORCH_ROOT=$LIBTORCH_ROOT" "$@"
log="$cache_dir/logs/build.log"
say "Configuring build/release"
run_quietly "$log" cmake --preset release "$@" || fail "CMake could not configure the build (see $log)."
# Without tests only the programs are built.
targets=(rankscope rankscope-train)
[ "${RANKSCOPE_BUILD_ALL:-}" = 1 ] && targets=(all)
say "Building with $(build_jobs) jobs (LibTorch's headers make the first build take some minutes)"
if ! cmake --build build/release -j "$(build_jobs)" --target "${targets[@]}" >"$log" 2>&1; then
  grep -E 'error|FAILED|Error' "$log" | head -n 40 >&2
  fail "the build failed (see $log)."
fi
