#!/usr/bin/env bash
# From a fresh checkout to the open workbench: installs what is missing, builds, opens. Run it again to open it again.
#   installer/start.sh [--headless] [-D<cmake option>…] [arguments of rankscope…]
# --headless trains the starter preset with LoRA, RoRA, RefLoRA and full fine-tuning and prints the comparison.
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
headless=0
cmake_options=()
program_options=()
for argument in "$@"; do
  case "$argument" in
    --headless) headless=1 ;;
    -D*) cmake_options+=("$argument") ;;
    -h|--help) sed -n '2,5s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"; exit 0 ;;
    *) program_options+=("$argument") ;;
  esac
done
for option in "${cmake_options[@]}"; do
  case "$option" in -DLIBTORCH_ROOT=*) export LIBTORCH_ROOT="${option#*=}" ;; esac
done

bash "$project_dir/installer/setup.sh"
bash "$project_dir/installer/build.sh" "${cmake_options[@]}"

bin="$project_dir/build/release/bin"
if [ "$headless" = 1 ]; then
  say "Training the starter preset with four methods"
  exec "$bin/rankscope-train" twins --preset starter-reviews --methods lora,rora,reflora,full "${program_options[@]}"
fi
[ -n "${DISPLAY:-}${WAYLAND_DISPLAY:-}${QT_QPA_PLATFORM:-}" ] ||
  fail "no display was found (DISPLAY and WAYLAND_DISPLAY are empty): use --headless, or start it in a desktop session."
say "Opening the workbench"
exec "$bin/rankscope" "${program_options[@]}"
