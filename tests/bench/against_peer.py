#!/usr/bin/env python3
"""Rankscope against PEFT on the same model files and rows, in one run on one machine.

    PEER_PYTHON tests/bench/against_peer.py PEER_PY DATA [--cases a,b] [--modes amp,bf16] [--rounds 3]

PEER_PY is the peer's timing script, DATA the folder that its `make` wrote, PEER_PYTHON the Python that can run it. The
programs alternate; each figure is a median over the rounds, quoted as a ratio. Use a quiet machine.
"""
import argparse
import json
import os
import statistics
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
TRAINER = os.path.join(HERE, "..", "..", "build", "release", "bin", "rankscope-train")


def measure(command):
    done = subprocess.run(command, capture_output=True, text=True)
    lines = [line for line in done.stdout.splitlines() if line.startswith("{")]
    if done.returncode != 0 or not lines:
        sys.exit(f"failed: {' '.join(command)}\n{done.stderr[-2000:]}")
    return json.loads(lines[-1])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("peer")
    parser.add_argument("data")
    parser.add_argument("--cases", default="llama_fixed,llama_alpaca")
    parser.add_argument("--modes", default="amp,bf16")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    for case in options.cases.split(","):
        ours, theirs = [], {mode: [] for mode in options.modes.split(",")}
        for _ in range(options.rounds):
            ours.append(measure([TRAINER, "bench", case, "--model", os.path.join(options.data, case.split("_")[0]),
                                 "--data", os.path.join(options.data, case + ".jsonl"), "--dtype", "bf16"]))
            for mode, figures in theirs.items():
                figures.append(measure([sys.executable, options.peer, "run", options.data, case, mode]))
        middle = lambda figures, key: statistics.median(figure[key] for figure in figures)
        speed, memory = middle(ours, "tokens_per_s"), middle(ours, "peak_mb")
        for mode, figures in theirs.items():
            print(f"{case:14} against {mode:12} tokens/s {speed / middle(figures, 'tokens_per_s'):5.2f} x   "
                  f"peak memory {middle(figures, 'peak_mb') / memory:5.2f} x less   first loss {ours[0]['first_loss']} "
                  f"and {figures[0]['first_loss']}", flush=True)


if __name__ == "__main__":
    main()
