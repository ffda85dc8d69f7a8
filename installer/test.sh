#!/usr/bin/env bash
# Installs what is missing, builds everything, runs all tests; ends with ctest's summary.
#   installer/test.sh [-D<cmake option>…] [ctest options…]
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
cmake_options=()
ctest_options=()
for argument in "$@"; do
  case "$argument" in
    -D*) cmake_options+=("$argument") ;;
    *) ctest_options+=("$argument") ;;
  esac
done
for option in "${cmake_options[@]}"; do
  case "$option" in -DLIBTORCH_ROOT=*) export LIBTORCH_ROOT="${option#*=}" ;; esac
done

bash "$project_dir/installer/setup.sh" --tests
RANKSCOPE_BUILD_ALL=1 bash "$project_dir/installer/build.sh" -DRANKSCOPE_TESTS=ON "${cmake_options[@]}"
cd "$project_dir/build/release"
say "Running the tests"
exec ctest --output-on-failure "${ctest_options[@]}"
