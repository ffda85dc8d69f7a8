#!/usr/bin/env python3
"""Every method's speed and memory as a share of LoRA's, on the same rows in the same run.

    tests/bench/methods.py DATA [--cases llama_fixed,minilm_fixed] [--methods all] [--rounds 1] [--dtype bf16]

DATA is the folder that the peer's timing script wrote with `make`; further models may stand in it (minilm/), for which
CASE_fixed makes rows of random ids. LoRA is measured before each method, so that a share is
of two neighbouring measurements; a share is the median over the rounds. Use a quiet machine.
"""
import argparse
import json
import os
import random
import statistics
import subprocess
import sys

TRAINER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "build", "release", "bin", "rankscope-train")


def measure(options, case, method):
    command = [TRAINER, "bench", case, "--model", os.path.join(options.data, case.split("_")[0]), "--data",
               os.path.join(options.data, case + ".jsonl"), "--dtype", options.dtype, "--method", method,
               "--steps", str(options.steps)]
    done = subprocess.run(command, capture_output=True, text=True)
    lines = [line for line in done.stdout.splitlines() if line.startswith("{")]
    if done.returncode != 0 or not lines:
        return None, (done.stderr.strip().splitlines() or ["no answer"])[-1]
    return json.loads(lines[-1]), ""


def make_rows(options, case):
    """16 rows of 128 random ids a step for a model that the peer's script does not know."""
    path = os.path.join(options.data, case + ".jsonl")
    if os.path.exists(path) or not case.endswith("_fixed"):
        return
    with open(os.path.join(options.data, case.split("_")[0], "config.json")) as config:
        words = json.load(config)["vocab_size"]
    draw = random.Random(0)
    with open(path, "w") as rows:
        for _ in range(256):
            rows.write(json.dumps({"ids": [draw.randrange(5, words) for _ in range(128)], "label": draw.randrange(2)}) + "\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data")
    parser.add_argument("--cases", default="llama_fixed,minilm_fixed")
    parser.add_argument("--methods", default="all")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--steps", type=int, default=8)
    parser.add_argument("--dtype", default="bf16")
    options = parser.parse_args()
    listed = json.loads(subprocess.run([TRAINER, "--json", "methods"], capture_output=True, text=True, check=True).stdout)
    methods = [m["name"] for m in listed if m["name"] != "lora"] if options.methods == "all" else options.methods.split(",")
    for case in options.cases.split(","):
        make_rows(options, case)
        print(f"{case}, {options.dtype}\n{'method':14} {'speed':>9} {'memory':>8}", flush=True)
        for method in methods:
            speed, memory = [], []
            for _ in range(options.rounds):
                base, problem = measure(options, case, "lora")
                if base is None:
                    sys.exit(f"LoRA failed: {problem}")
                other, problem = measure(options, case, method)
                if other is None:
                    break
                speed.append(base["step_s"] / other["step_s"])  # medians of the steps, on the same rows
                memory.append(other["peak_mb"] / base["peak_mb"])
            if not speed:
                print(f"{method:14} {problem[:100]}", flush=True)
                continue
            print(f"{method:14} {100 * statistics.median(speed):8.0f}% {100 * statistics.median(memory):7.0f}%", flush=True)


if __name__ == "__main__":
    main()
