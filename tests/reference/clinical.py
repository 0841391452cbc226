"""Golden values of clinical efficacy, in tests/golden/clinical/.

scores.json      label matrices, and what scikit-learn makes of them
classifier/      a text classifier of BERT's form with random weights, exported by PyTorch, and its logits for a few texts

    python -m pip install torch transformers scikit-learn onnx
    python tests/reference/clinical.py

Made with scikit-learn 1.9.1, torch 2.15.0 and transformers 5.24.0. The tokens are made here, by the WordPiece algorithm in plain
Python, and not by the `tokenizers` package that the Rust code uses. Each text goes through PyTorch alone, without padding.
"""

import json
import pathlib
import re
import unicodedata

import numpy as np
import torch
from sklearn.metrics import accuracy_score, precision_recall_fscore_support
from transformers import BertConfig, BertForSequenceClassification

OUT = pathlib.Path(__file__).resolve().parent.parent / "golden" / "clinical"
MAX_TOKENS = 24

TEXTS = [
    "No nodule.",
    "A small pleural effusion is seen on the left side.",
    "Nodules in both lungs, unchangeable effusions; emphysematous lungs!",
    "Éffusion of the pleura (small).",
    "the the the the the the the the the the the the the the the the the the the the the the the the the the nodule nodule nodule",
    "zzz qqq 12",
]
WORDS = "no a nodule small pleural effusion is seen on the left side in both lungs ; , . ( ) ! of pleura un change emphysem".split()
PIECES = ["##s", "##able", "##atous", "##a", "##ful"]


def scores():
    rng = np.random.default_rng(4)
    cases = {}
    truth = rng.random((60, 18)) < np.linspace(0.0, 0.7, 18)
    predicted = truth ^ (rng.random((60, 18)) < 0.2)
    truth[:5], predicted[:3] = False, False  # reports without any finding, on one side or on both
    truth[:, 1], predicted[:, 1] = False, False  # a finding that never comes
    predicted[:, 9] = False  # one that is never predicted
    cases["mixed"] = truth, predicted
    cases["nothing"] = np.zeros((4, 18), bool), np.zeros((4, 18), bool)
    cases["perfect"] = truth, truth
    out = {}
    for name, (t, p) in cases.items():
        values = {}
        for average in ["micro", "macro", "weighted", "samples"]:
            values[average] = precision_recall_fscore_support(t, p, average=average, zero_division=0)[:3]
        per_label = precision_recall_fscore_support(t, p, average=None, zero_division=0)
        out[name] = {
            "truth": t.astype(int).tolist(),
            "predicted": p.astype(int).tolist(),
            "averages": {k: list(map(float, v)) for k, v in values.items()},
            "labels": [list(map(float, row)) for row in zip(*per_label)],
            "exact": float(accuracy_score(t, p)),
        }
    return out


def word_piece(text, vocabulary):
    text = unicodedata.normalize("NFD", text.lower())
    text = "".join(c for c in text if unicodedata.category(c) != "Mn")
    ids = []
    for word in re.findall(r"\w+|[^\w\s]", text):
        pieces, start = [], 0
        while start < len(word):
            for end in range(len(word), start, -1):
                piece = ("##" if start else "") + word[start:end]
                if piece in vocabulary:
                    pieces.append(vocabulary[piece])
                    start = end
                    break
            else:
                pieces, start = [vocabulary["[UNK]"]], len(word)
        ids += pieces
    return [vocabulary["[CLS]"]] + ids[: MAX_TOKENS - 2] + [vocabulary["[SEP]"]]


def tokenizer_json(vocabulary):
    special = [
        {"id": vocabulary[t], "content": t, "single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}
        for t in ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]
    ]
    piece = lambda token: {"SpecialToken": {"id": token, "type_id": 0}}
    single = [piece("[CLS]"), {"Sequence": {"id": "A", "type_id": 0}}, piece("[SEP]")]
    ids = lambda token: {"id": token, "ids": [vocabulary[token]], "tokens": [token]}
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": special,
        "normalizer": {"type": "BertNormalizer", "clean_text": True, "handle_chinese_chars": True, "strip_accents": None, "lowercase": True},
        "pre_tokenizer": {"type": "BertPreTokenizer"},
        "post_processor": {
            "type": "TemplateProcessing",
            "single": single,
            "pair": single + [{"Sequence": {"id": "B", "type_id": 1}}, {"SpecialToken": {"id": "[SEP]", "type_id": 1}}],
            "special_tokens": {t: ids(t) for t in ["[CLS]", "[SEP]"]},
        },
        "decoder": None,
        "model": {"type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##", "max_input_chars_per_word": 100, "vocab": vocabulary},
    }


class Plain(torch.nn.Module):
    """Inputs by place and logits alone, for the exporter."""

    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, input_ids, attention_mask, token_type_ids):
        return self.model(input_ids=input_ids, attention_mask=attention_mask, token_type_ids=token_type_ids).logits


def classifier(folder):
    torch.manual_seed(4)
    vocabulary = {t: i for i, t in enumerate(["[PAD]", "[UNK]", "[CLS]", "[SEP]"] + WORDS + PIECES)}
    config = BertConfig(
        vocab_size=len(vocabulary), hidden_size=12, num_hidden_layers=2, num_attention_heads=2, intermediate_size=16,
        max_position_embeddings=MAX_TOKENS, num_labels=18, initializer_range=0.6, attn_implementation="eager",
    )
    model = BertForSequenceClassification(config).eval()
    logits = []
    with torch.no_grad():
        for text in TEXTS:
            ids = torch.tensor([word_piece(text, vocabulary)])
            logits.append(model(input_ids=ids).logits[0].tolist())
        ids = torch.tensor([word_piece(TEXTS[1], vocabulary)] * 2)
        axes = {0: "b", 1: "t"}
        names = ["input_ids", "attention_mask", "token_type_ids"]
        torch.onnx.export(
            Plain(model), (ids, torch.ones_like(ids), torch.zeros_like(ids)), folder / "model.onnx", input_names=names, output_names=["logits"],
            dynamic_axes={name: axes for name in names} | {"logits": {0: "b"}}, opset_version=17, dynamo=False,
        )
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer_json(vocabulary)) + "\n")
    (folder / "labeller.json").write_text(json.dumps({"name": "tiny-bert", "version": "1", "max_tokens": MAX_TOKENS}) + "\n")
    (folder / "expected.json").write_text(json.dumps({"texts": TEXTS, "logits": logits, "cut": 1}) + "\n")


if __name__ == "__main__":
    (OUT / "classifier").mkdir(parents=True, exist_ok=True)
    (OUT / "scores.json").write_text(json.dumps(scores()) + "\n")
    classifier(OUT / "classifier")
