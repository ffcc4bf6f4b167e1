#!/usr/bin/env bash
# TorchMetrics' AUROC of the scores 20, 30, 40, 50 is 0.5, where it is 0.25, because it puts a sigmoid
# over scores of which one is not between 0 and 1, and in float32 that makes them all 1. Whether it
# does so depends on the batch.
#
# Versions: torchmetrics 1.9.0, torch 2.13.0 (CPU), scikit-learn 1.9.1, numpy 2.4.6, Python 3.11.
# Guess before running: the area depends on the order of the scores alone, and is scikit-learn's.
# Seen: with the labels 1, 0, 1, 0: 0.25 for 0.2 to 0.5 and for 2 to 5, 0.5 for 20 to 50, and 0.375 for
# these in float64. The accuracy of the logits 0.3, 0.4 for the label 1 is 0, since they pass for
# probabilities below a half; with a third logit 5 in the batch all three are right. The Matthews
# coefficient of predictions and labels that are all 0 is 1, and scikit-learn's is 0.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet torchmetrics==1.9.0 torch==2.13.0 scikit-learn==1.9.1 \
    numpy==2.4.6
"$folder/venv/bin/python" - <<'PYTHON' 2> /dev/null | tee "$folder/seen"
import torch
from sklearn.metrics import matthews_corrcoef, roc_auc_score
from torchmetrics.functional.classification import (
    binary_accuracy, binary_auroc, binary_matthews_corrcoef,
)

labels, order = torch.tensor([1, 0, 1, 0]), torch.tensor([2.0, 3.0, 4.0, 5.0])
for name, scores in (("0.2 ...", order / 10), ("2 ...", order), ("20 ...", 10 * order),
                     ("20 ..., float64", 10 * order.double())):
    right = roc_auc_score(labels.numpy(), scores.numpy())
    print("AUROC", name, round(binary_auroc(scores, labels).item(), 3), "sklearn", float(right))
for logits in ([0.3, 0.4], [0.3, 0.4, 5.0]):
    ones = torch.ones(len(logits), dtype=torch.int64)
    print("accuracy", logits, binary_accuracy(torch.tensor(logits), ones).item())
zeros = torch.zeros(4, dtype=torch.int64)
print("Matthews", float(binary_matthews_corrcoef(zeros, zeros)),
      "sklearn", float(matthews_corrcoef(zeros.numpy(), zeros.numpy())))
PYTHON
cat > "$folder/expected" <<'TEXT'
AUROC 0.2 ... 0.25 sklearn 0.25
AUROC 2 ... 0.25 sklearn 0.25
AUROC 20 ... 0.5 sklearn 0.25
AUROC 20 ..., float64 0.375 sklearn 0.25
accuracy [0.3, 0.4] 0.0
accuracy [0.3, 0.4, 5.0] 1.0
Matthews 1.0 sklearn 0.0
TEXT
diff "$folder/expected" "$folder/seen"
