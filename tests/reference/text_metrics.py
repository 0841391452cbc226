"""Text metrics as the published numbers of the lineage are computed, with the packages that define them.

    python -m pip install nltk==3.10.4 rouge-score==0.1.2 sacrebleu==2.6.0 pycocoevalcap==1.2 numpy scipy
    python tests/reference/text_metrics.py FILE.csv ... --reference COLUMN --prediction COLUMN --wordnet DIR

NLTK finds its sentence model (`punkt_tab`) in a folder that NLTK_DATA names; the wheel of `llama-index-core` holds a copy
under `llama_index/core/_static/nltk_cache`. WordNet 3.0 is Debian's `wordnet-base`.

- BLEU: the smoothed script of tensorflow/nmt that Hugging Face `evaluate` calls, over 13a tokens (sacrebleu's).
- METEOR: `nltk.translate.meteor_score.single_meteor_score` of `word_tokenize`d texts.
- ROUGE: `rouge_score`, no stemmer, F-measure, and its bootstrap aggregator (the "overall" values).
- CIDEr: `pycocoevalcap`, on the raw texts.
"""
import argparse
import collections
import csv
import json
import math
import sys
import time

import nltk
import numpy as np
from nltk.corpus.reader.wordnet import WordNetCorpusReader
from nltk.tokenize import word_tokenize
from nltk.translate.meteor_score import single_meteor_score
from pycocoevalcap.cider.cider import Cider
from rouge_score import rouge_scorer, scoring
from sacrebleu.tokenizers.tokenizer_13a import Tokenizer13a

csv.field_size_limit(1 << 30)
TOKENIZER_13A = Tokenizer13a()
ROUGE_TYPES = ["rouge1", "rouge2", "rougeL", "rougeLsum"]


class WordNet(WordNetCorpusReader):
    """WordNet's own dictionary files, which Debian ships without `lexnames` and `index.sense`; neither matters here."""

    def __init__(self, root):
        nltk.data.path.append(root)  # NLTK opens only files below folders it was told of
        super().__init__(root, None)

    def open(self, file):
        if file == "lexnames":
            import io

            return io.StringIO("".join(f"{i:02d}\tname{i}\t1\n" for i in range(45)))
        return super().open(file)

    def map_wn(self, version="wordnet"):
        return None


def tokens_13a(text):
    return TOKENIZER_13A(text).split()


def ngram_counts(tokens, max_order):
    counts = collections.Counter()
    for order in range(1, max_order + 1):
        for i in range(len(tokens) - order + 1):
            counts[tuple(tokens[i : i + order])] += 1
    return counts


class Bleu:
    """Statistics of one or many pairs; `score(n)` is BLEU of max order n, smoothed."""

    def __init__(self, max_order=4):
        self.matches = [0] * max_order
        self.possible = [0] * max_order
        self.reference_length = self.prediction_length = 0

    def add(self, reference, prediction):
        reference, prediction = tokens_13a(reference), tokens_13a(prediction)
        self.reference_length += len(reference)
        self.prediction_length += len(prediction)
        max_order = len(self.matches)
        overlap = ngram_counts(prediction, max_order) & ngram_counts(reference, max_order)
        for ngram, count in overlap.items():
            self.matches[len(ngram) - 1] += count
        for order in range(1, max_order + 1):
            self.possible[order - 1] += max(len(prediction) - order + 1, 0)
        return self

    def score(self, n):
        if self.prediction_length == 0 or self.reference_length == 0:
            return 0.0  # the script divides by zero here
        precisions = [(self.matches[i] + 1.0) / (self.possible[i] + 1.0) for i in range(n)]
        geometric_mean = math.exp(sum((1.0 / n) * math.log(p) for p in precisions))
        ratio = float(self.prediction_length) / self.reference_length
        penalty = 1.0 if ratio > 1.0 else math.exp(1 - 1.0 / ratio)
        return geometric_mean * penalty


def meteor(reference, prediction, wordnet):
    return single_meteor_score(word_tokenize(reference), word_tokenize(prediction), wordnet=wordnet)


def cider(pairs):
    references = {str(i): [reference] for i, (reference, _) in enumerate(pairs)}
    predictions = {str(i): [prediction] for i, (_, prediction) in enumerate(pairs)}
    return [float(s) for s in Cider().compute_score(references, predictions)[1]]


def evaluate(pairs, wordnet, bootstrap=True):
    """Per-report scores by metric, and corpus values."""
    scorer = rouge_scorer.RougeScorer(ROUGE_TYPES, use_stemmer=False)
    aggregator = scoring.BootstrapAggregator()
    scores = collections.defaultdict(list)
    corpus = Bleu()
    for reference, prediction in pairs:
        single = Bleu().add(reference, prediction)
        corpus.add(reference, prediction)
        for n in range(1, 5):
            scores[f"BLEU-{n}"].append(single.score(n))
        if wordnet is not None:
            scores["METEOR"].append(meteor(reference, prediction, wordnet))
        rouge = scorer.score(reference, prediction)
        aggregator.add_scores({name: rouge[name] for name in ROUGE_TYPES})
        for ours, theirs in [("ROUGE-1", "rouge1"), ("ROUGE-2", "rouge2"), ("ROUGE-L", "rougeL")]:
            scores[ours].append(float(rouge[theirs].fmeasure))
    if pairs:
        scores["CIDEr"] = cider(pairs)
    overall = {f"BLEU-{n}": corpus.score(n) for n in range(1, 5)}
    if bootstrap and pairs:
        result = aggregator.aggregate()
        for ours, theirs in [("ROUGE-1", "rouge1"), ("ROUGE-2", "rouge2"), ("ROUGE-L", "rougeL")]:
            overall[ours] = float(result[theirs].mid.fmeasure)
    return dict(scores), overall


def read_pairs(path, reference, prediction):
    with open(path, newline="", encoding="utf-8") as file:
        return [(row[reference], row[prediction]) for row in csv.DictReader(file)]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="+")
    parser.add_argument("--reference", default="GT_combined_report")
    parser.add_argument("--prediction", default="Pred_combined_report")
    parser.add_argument("--wordnet", default="/usr/share/wordnet")
    parser.add_argument("--no-bootstrap", action="store_true")
    parser.add_argument("--json", help="per-report scores and corpus values")
    arguments = parser.parse_args()
    wordnet = WordNet(arguments.wordnet)
    everything = {}
    for path in arguments.files:
        pairs = read_pairs(path, arguments.reference, arguments.prediction)
        np.random.seed(42)  # `evaluate` seeds each computation with the seed it was loaded under; the lineage uses 42
        start = time.perf_counter()
        scores, overall = evaluate(pairs, wordnet, not arguments.no_bootstrap)
        seconds = time.perf_counter() - start
        cells = [f"{name} {np.mean(s):.4f}±{np.std(s):.4f}" for name, s in scores.items()]
        cells += [f"Overall_{name} {value:.4f}" for name, value in overall.items()]
        print(path, *cells, sep=", ")
        print(f"{len(pairs)} pairs in {seconds:.2f} s", file=sys.stderr)
        everything[path] = {"scores": scores, "overall": overall, "seconds": seconds}
    if arguments.json:
        with open(arguments.json, "w", encoding="utf-8") as file:
            json.dump(everything, file)


if __name__ == "__main__":
    main()
