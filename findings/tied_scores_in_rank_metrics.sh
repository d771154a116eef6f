#!/usr/bin/env bash
# Three libraries give three values for one ranking whose scores tie.
#
# Versions: pytrec_eval-terrier 0.5.11, ranx 0.3.21, scikit-learn 1.9.1 (Python 3.11).
# Behaviour: a recommender scores tracks a, b and c alike; one of them is liked.
#   pytrec_eval sorts ties by document id, last id first: the reciprocal rank depends on how ids are spelled.
#   ranx keeps the order in which the run was filled: the same run as a dict in another order has another value.
#   scikit-learn's ndcg_score averages over the orders: 1/3 at k=1 for each track.
# Why it matters: models that count (neighbours, popularity) tie often, and a tie moves MRR between .33 and 1.
# Output seen:
#   liked=a pytrec_eval=0.333 ranx=1.000 ranx_filled_backwards=0.333 sklearn_ndcg@1=0.333
#   liked=b pytrec_eval=0.500 ranx=0.500 ranx_filled_backwards=0.500 sklearn_ndcg@1=0.333
#   liked=c pytrec_eval=1.000 ranx=0.333 ranx_filled_backwards=1.000 sklearn_ndcg@1=0.333
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3.11 -m venv "$place/venv"
"$place/venv/bin/pip" install --quiet pytrec_eval-terrier==0.5.11 ranx==0.3.21 scikit-learn==1.9.1
"$place/venv/bin/python" -W ignore - > "$place/seen" <<'PYTHON'
import pytrec_eval
from ranx import Qrels, Run, evaluate
from sklearn.metrics import ndcg_score

for liked in "abc":
    judged = {"user": {liked: 1}}
    run = {"user": {"a": 0.5, "b": 0.5, "c": 0.5}}
    backwards = {"user": dict(reversed(run["user"].items()))}
    trec = pytrec_eval.RelevanceEvaluator(judged, {"recip_rank"}).evaluate(run)["user"]["recip_rank"]
    mrr, mrr_backwards = (evaluate(Qrels(judged), Run(given), "mrr") for given in (run, backwards))
    ndcg = ndcg_score([[int(liked == track) for track in "abc"]], [[0.5, 0.5, 0.5]], k=1)
    print(
        f"liked={liked} pytrec_eval={trec:.3f} ranx={mrr:.3f} "
        f"ranx_filled_backwards={mrr_backwards:.3f} sklearn_ndcg@1={ndcg:.3f}"
    )
PYTHON
cat "$place/seen"
diff "$place/seen" - <<'EXPECTED'
liked=a pytrec_eval=0.333 ranx=1.000 ranx_filled_backwards=0.333 sklearn_ndcg@1=0.333
liked=b pytrec_eval=0.500 ranx=0.500 ranx_filled_backwards=0.500 sklearn_ndcg@1=0.333
liked=c pytrec_eval=1.000 ranx=0.333 ranx_filled_backwards=1.000 sklearn_ndcg@1=0.333
EXPECTED
