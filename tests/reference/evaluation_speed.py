"""Scores one table with the reference packages and with `diffvp-train eval text`: the largest difference, and both speeds.

    cargo build --release -p diffvp-train
    python tests/reference/evaluation_speed.py FILE.csv --reference COLUMN --prediction COLUMN \
        --program target/release/diffvp-train --wordnet DIR [--rows N]

Prints wall time and, because it does not depend on what else the machine does, processor time. Needs what `text_metrics.py` needs.
"""
import argparse
import csv
import json
import os
import subprocess
import tempfile
import time
from pathlib import Path

import numpy as np
from text_metrics import WordNet, evaluate, read_pairs


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file")
    parser.add_argument("--reference", required=True)
    parser.add_argument("--prediction", required=True)
    parser.add_argument("--program", default="target/release/diffvp-train")
    parser.add_argument("--wordnet", default="/usr/share/wordnet")
    parser.add_argument("--rows", type=int, help="only the first N rows")
    arguments = parser.parse_args()
    pairs = read_pairs(arguments.file, arguments.reference, arguments.prediction)[: arguments.rows]
    with tempfile.TemporaryDirectory() as folder:
        table, result = Path(folder) / "table.csv", Path(folder) / "result.json"
        with open(table, "w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows([("reference", "prediction"), *pairs])
        command = [arguments.program, "eval", "text", table, "--reference", "reference", "--prediction", "prediction"]
        command += ["--wordnet", arguments.wordnet, "--json", result]
        before, start = os.times(), time.perf_counter()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        ours, after = time.perf_counter() - start, os.times()
        ours_cpu = after.children_user + after.children_system - before.children_user - before.children_system
        file = json.loads(result.read_text(encoding="utf-8"))["files"][0]
    before, start = os.times(), time.perf_counter()
    wordnet = WordNet(arguments.wordnet)
    np.random.seed(42)
    scores, overall = evaluate(pairs, wordnet)
    theirs, after = time.perf_counter() - start, os.times()
    theirs_cpu = after.user + after.system - before.user - before.system
    worst = max(abs(report[m] - v) for m, values in scores.items() for report, v in zip(file["reports"], values))
    worst = max([worst, *(abs(file["corpus"][m]["value"] - value) for m, value in overall.items())])
    print(f"{len(pairs)} pairs, largest difference of any value {worst:.1e}")
    print(f"reference packages: {theirs:.1f} s, {theirs_cpu:.1f} s of processor")
    print(f"diffvp-train:       {ours:.1f} s, {ours_cpu:.1f} s of processor")
    print(f"ratio: {theirs / ours:.0f} by the clock, {theirs_cpu / ours_cpu:.0f} by processor time")


if __name__ == "__main__":
    main()
