#!/usr/bin/env python3
"""What the probes of norms and balance cost, as a share of a training step at their default cadence (to be under 1 %).

    tests/bench/probe_cost.py [MODEL_DIR …] [--methods lora,reflora,full] [--steps 6]

Without folders: the starter model. Rows are random ids of the lengths that the presets train on. Use a quiet machine.
"""
import argparse
import json
import os
import random
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.join(HERE, "..", "..")
TRAINER = os.path.join(ROOT, "build", "release", "bin", "rankscope-train")


def write_rows(path, config, count):
    classifier = config["model_type"] == "bert"
    rng = random.Random(0)
    with open(path, "w") as file:
        for _ in range(count):
            length = rng.randint(24, 64) if classifier else rng.randint(96, 256)
            row = {"ids": [rng.randrange(5, config["vocab_size"]) for _ in range(length)]}
            if classifier:
                row["label"] = rng.randrange(2)
            file.write(json.dumps(row) + "\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="*", default=[os.path.join(ROOT, "resources", "starter", "model")])
    parser.add_argument("--methods", default="lora,reflora,full")
    parser.add_argument("--steps", type=int, default=6)
    options = parser.parse_args()
    worst = 0
    for model in options.models:
        with open(os.path.join(model, "config.json")) as file:
            config = json.load(file)
        with tempfile.TemporaryDirectory() as folder:
            rows = os.path.join(folder, "rows.jsonl")
            write_rows(rows, config, 256)
            for method in options.methods.split(","):
                done = subprocess.run([TRAINER, "bench", os.path.basename(os.path.normpath(model)), "--model", model, "--data",
                                       rows, "--method", method, "--steps", str(options.steps), "--probes"],
                                      capture_output=True, text=True)
                if done.returncode != 0:
                    sys.exit(done.stderr[-2000:])
                figures = json.loads(done.stdout.splitlines()[-1])
                worst = max(worst, figures["probe_share"])
                print(f"{figures['case']:20} {figures['mode']:14} step {1e3 * figures['step_s']:8.1f} ms   probe "
                      f"{1e3 * figures['probe_s']:7.3f} ms   share {100 * figures['probe_share']:.3f} %", flush=True)
    return 0 if worst < 0.01 else 1


if __name__ == "__main__":
    sys.exit(main())
