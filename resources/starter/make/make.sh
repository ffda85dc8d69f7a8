#!/usr/bin/env bash
# Makes everything in resources/starter again: data, tokenizer, model. Needs a finished build (installer/test.sh or
# installer/build.sh) and spm_train. The same seed gives the same files.
#   resources/starter/make/make.sh [data|tokenizer|model]…     (default: all three, in this order)
set -euo pipefail
here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
starter="$(dirname "$here")"
bin="$starter/../../build/release/bin"
[ $# -gt 0 ] || set -- data tokenizer model
for part in "$@"; do
  case "$part" in
    data)
      "$bin/starter_data" "$starter/data" 1 ;;
    tokenizer)
      work="$(mktemp -d)"
      { cat "$starter/data/places_train.txt"; sed 's/.*"review":"\(.*\)"}$/\1/' "$starter/data/reviews_train.jsonl"; } >"$work/text"
      spm_train --input="$work/text" --model_prefix="$work/tokenizer" --model_type=bpe --vocab_size=1024 --byte_fallback=true \
        --character_coverage=1.0 --normalization_rule_name=identity --split_digits=true --num_threads=1 \
        --unk_id=0 --bos_id=1 --eos_id=2 --pad_id=-1 --minloglevel=2
      mkdir -p "$starter/pretrain"
      cp "$work/tokenizer.model" "$starter/pretrain/tokenizer.model"
      rm -r "$work" ;;
    model)
      home="$(mktemp -d)"
      "$bin/rankscope-train" --home "$home" train --preset starter-pretrain --name starter
      # Saved in bfloat16: half the bytes in git, and what the products of a bf16 run read anyway.
      "$bin/rankscope-train" --home "$home" merge starter --weights bf16 --out "$starter/model" --overwrite
      rm -r "$home" ;;
    *) echo "make.sh: unknown part '$part'; expected data, tokenizer or model" >&2; exit 2 ;;
  esac
done
