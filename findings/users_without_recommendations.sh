#!/usr/bin/env bash
# One library's recall and NDCG are means over different users; another drops the same users from both.
#
# Versions: recommenders 1.2.1, lenskit 2025.8.1 (Python 3.11).
# Behaviour: user 1 gets both liked tracks recommended, user 2 has a liked track and no recommendation at all.
#   recommenders: recall_at_k and map_at_k leave user 2 out (1.0); ndcg_at_k counts user 2 as 0 (0.5).
#   lenskit: RunAnalysis.measure gives no row for user 2, so every mean is that of user 1 (1.0).
# Why it matters: a model that answers easy users only looks perfect, and two columns of one table cannot be compared.
# Output seen:
#   recommenders recall@2=1.000 map@2=1.000 ndcg@2=0.500
#   lenskit users=1 recall@2=1.000 ndcg@2=1.000
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3.11 -m venv "$place/venv"
"$place/venv/bin/pip" install --quiet recommenders==1.2.1 lenskit==2025.8.1
"$place/venv/bin/python" -W ignore - > "$place/seen" 2> /dev/null <<'PYTHON'
import pandas as pd
from lenskit.data import ItemList, ItemListCollection
from lenskit.metrics import NDCG, Recall, RunAnalysis
from recommenders.evaluation.python_evaluation import map_at_k, ndcg_at_k, recall_at_k

liked = pd.DataFrame({"userID": [1, 1, 2], "itemID": [1, 2, 9], "rating": [1.0, 1.0, 1.0]})
answer = pd.DataFrame({"userID": [1, 1], "itemID": [1, 2], "prediction": [0.9, 0.8]})
recall, precision, ndcg = (measure(liked, answer, k=2) for measure in (recall_at_k, map_at_k, ndcg_at_k))
print(f"recommenders recall@2={recall:.3f} map@2={precision:.3f} ndcg@2={ndcg:.3f}")

judged = ItemListCollection.from_dict({1: ItemList(["a", "b"]), 2: ItemList(["z"])}, key="user_id")
slates = {1: ItemList(["a", "b"], scores=[0.9, 0.8], ordered=True)}
result = RunAnalysis(Recall(2), NDCG(2)).measure(ItemListCollection.from_dict(slates, key="user_id"), judged)
means = result.list_summary()["mean"]
print(f"lenskit users={len(result.list_metrics())} recall@2={means['Recall@2']:.3f} ndcg@2={means['NDCG@2']:.3f}")
PYTHON
cat "$place/seen"
diff "$place/seen" - <<'EXPECTED'
recommenders recall@2=1.000 map@2=1.000 ndcg@2=0.500
lenskit users=1 recall@2=1.000 ndcg@2=1.000
EXPECTED
