"""Writes `tests/golden/evaluation/text.json` and `statistics.json`: values of the reference packages for texts of our own.

    python tests/reference/evaluation_goldens.py --wordnet /usr/share/wordnet

Needs what `text_metrics.py` needs, in the same folder.
"""
import argparse
import json
import random
from pathlib import Path

import nltk
import numpy as np
import scipy
from scipy import stats
from text_metrics import WordNet, evaluate

GOLDEN = Path(__file__).resolve().parents[1] / "golden" / "evaluation"

PAIRS = [
    ("There is a 4.5 mm nodule in the right upper lobe.", "A 4.5 mm nodule is seen in the right upper lobe."),
    ("No pleural effusion. Heart size is normal.", "Heart size is normal. No pleural effusion."),
    ("Calcified plaques in the aorta, e.g. at the arch.", "Calcifications of the aorta were observed at its arch."),
    ("In segment 5. the lesion grew. In segment 6. The lesion shrank.", "Lesions in segments 5. and 6. changed."),
    ("Dr. No said: \"stable\" (see Fig. 3).", "'Stable', said Dr. No -- see figure 3..."),
    ("T4 N2 M1; AJCC IV!? Really.", "T4N2M1, stage IV?! Really..."),
    ("lungs Lungs LUNGS lung", "lung lung lungs"),
    ("5x3x2 cm, 12:30 h, 1,000 ml, -400 HU, 3-5%", "5 x 3 x 2 cm at 12:30, 1.000 ml, \u2212400 HU, 3\u20135 %"),
    ("Don't can't cannot gonna wanna gimme 'tis o'clock patients'", "do n't can not gon na it's o'clock patient's"),
    ("\u201cGround-glass\u201d \u2018opacity\u2019 \u00abcrazy paving\u00bb", "\"Ground-glass\" 'opacity' ``crazy paving''"),
    ("Nod\u00fcl g\u00f6r\u00fcld\u00fc; \u0130stanbul'da \u00e7ekim. \u80ba\u7d50\u7bc0 \u0663 mm \u00bd \u00b5m x\u0301's", "Nod\u00fcl izlendi; Istanbul'da. \u80ba \u7d50\u7bc0 \u0663 mm \u00bd"),
    ("a\u00a0b\u2003c\u200bd\ttab\r\nnew line", "a b c d tab new line"),
    ("well-\nknown &quot;sign&quot; &amp; <skipped> tree-in-bud", "well-known \"sign\" & tree-in-bud"),
    ("...", "."),
    ("\u2014", "x"),
    ("The the the the", "the"),
    ("geese mice axes better worst running ran flies dying skies", "goose mouse axis good bad run ran fly die sky"),
    ("enlarged cardiac silhouette and swollen lymph glands", "big heart shadow with expanded lymph nodes"),
    ("hepatomegaly p.m. vs. St. Louis U.S. trial. It ended.", "At 5 p.m. it ended vs. the U.S. one."),
    ("one", "one"),
    ("(a) first. (b) second.) third] fourth", "(a) first; (b) second; third; fourth"),
    ("''quoted'' `back` ``tick``", "\"quoted\" back tick"),
    (". . . and . . so on .. yes", "... and so on yes"),
    ("x's y'S z'll w'RE v'd 'em", "x 's y 's z will w are v had them"),
    ("cm. mm. No. 3. Then. A. Then B. then", "cm mm no 3 then a then b then"),
]


def long_pair(seed, words):
    chooser = random.Random(seed)
    vocabulary = (
        "the a of in and with no is are was seen observed detected lung lungs lobe lobes right left upper lower nodule nodules "
        "effusion calcified calcification mm cm 4 12.5 normal enlarged mediastinum aorta . . . , , ; ( ) heart trachea"
    ).split()
    return " ".join(chooser.choice(vocabulary) for _ in range(words))


def texts():
    chooser = random.Random(20)
    pairs = list(PAIRS)
    for number in range(12):
        reference = long_pair(number, chooser.randint(20, 120))
        kept = [word for word in reference.split() if chooser.random() > 0.2]
        pairs.append((reference, " ".join(kept)))
    pairs.append((long_pair(100, 4000), long_pair(101, 3500)))
    return pairs


def statistics():
    generator = np.random.default_rng(3)
    cases = []
    for n, m, shift in [(5, 5, 0.01), (5, 4, 0.0), (2, 2, 0.3), (200, 200, 0.02), (40, 40, 0.5), (3, 30, -0.1)]:
        a = generator.normal(0.5, 0.1, n)
        b = generator.normal(0.5 + shift, 0.15, m)
        welch = stats.ttest_ind(b, a, equal_var=False)
        case = {"a": a.tolist(), "b": b.tolist(), "welch": [float(welch.statistic), float(welch.df), float(welch.pvalue)]}
        case["mean"], case["std"] = float(np.mean(a)), float(np.std(a, ddof=1))
        if n == m:
            paired = stats.ttest_rel(b, a)
            case["paired"] = [float(paired.statistic), float(paired.df), float(paired.pvalue)]
            difference = b - a
            random_state = np.random.RandomState(7)
            means = [np.mean(difference[random_state.choice(np.arange(n), size=n)]) for _ in range(2000)]
            case["bootstrap"] = [float(value) for value in np.percentile(means, [2.5, 97.5])]
        cases.append(case)
    wilson = []
    for successes, trials in [(0, 10), (10, 10), (3, 10), (50, 100), (777, 1564), (1, 1)]:
        interval = stats.binomtest(successes, trials).proportion_ci(0.95, method="wilson")
        wilson.append([successes, trials, float(interval.low), float(interval.high)])
    return {"cases": cases, "wilson": wilson}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--wordnet", default="/usr/share/wordnet")
    wordnet = WordNet(parser.parse_args().wordnet)
    np.random.seed(42)
    pairs = texts()
    scores, overall = evaluate(pairs, wordnet)
    made_with = f"nltk {nltk.__version__}, numpy {np.__version__}, scipy {scipy.__version__}, rouge-score 0.1.2, sacrebleu 2.6.0"
    GOLDEN.mkdir(parents=True, exist_ok=True)
    text = {"made_with": made_with, "pairs": pairs, "scores": scores, "overall": overall}
    (GOLDEN / "text.json").write_text(json.dumps(text, ensure_ascii=False, indent=0) + "\n", encoding="utf-8")
    numbers = {"made_with": made_with, **statistics()}
    (GOLDEN / "statistics.json").write_text(json.dumps(numbers, indent=0) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
