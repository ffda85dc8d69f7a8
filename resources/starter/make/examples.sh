#!/usr/bin/env bash
# Makes the finished example runs that the first launch opens on: resources/starter/runs, a dozen fine-tunings of the
# starter model (methods × ranks), with their spectra, without weights. Needs a finished build and resources/starter/model.
set -euo pipefail
here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
starter="$(dirname "$here")"
bin="$starter/../../build/release/bin"
home="$(mktemp -d)"
trap 'rm -rf "$home"' EXIT

# train METHOD RANK SEED: alpha stays 16, so that the methods differ in how they use the rank and in nothing else.
train() {
  local options=(--set train.probe_every=20 --set train.log_every=2 --set "method.name=$1" --set "seed=$3" --name "reviews-$1${2:+-r$2}-s$3")
  [ -n "$2" ] && options+=(--set "method.rank=$2" --set method.alpha=16)
  case "$1" in reflora|reflora_s) options+=(--set method.warmup_steps=20) ;; full) options+=(--set optim.learning_rate=0.001) ;; esac
  "$bin/rankscope-train" --home "$home" -q train --preset starter-reviews "${options[@]}"
  "$bin/rankscope-train" --home "$home" -q spectrum "reviews-$1${2:+-r$2}-s$3" --vectors 12 >/dev/null
}

# The newest run is the one that the views open on.
train full "" 0
train reflora_s 8 0
train lora 8 1
for rank in 2 32 8; do
  for method in lora rora reflora; do train "$method" "$rank" 0; done
done

rm -rf "$starter/runs"
mkdir -p "$starter/runs"
for run in "$home"/runs/*/; do
  target="$starter/runs/$(basename "$run")"
  mkdir -p "$target"
  cp "$run"/config.json "$run"/events.log "$target/"
  sed 's/"host": "[^"]*"/"host": "example"/' "$run/run.json" >"$target/run.json"
  [ -d "$run/spectra" ] && cp -r "$run/spectra" "$target/"
done
du -sh "$starter/runs"
