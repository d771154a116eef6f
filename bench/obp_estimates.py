"""The Open Bandit Pipeline's estimates of one log, for the bench `estimators`. Runs in an environment of its own:
`python obp_estimates.py LOG.npz` prints them as JSON.

The package's own front door wants torch 1.12, which Python 3.11 cannot have; the estimators name it for types only.
"""

from __future__ import annotations

import importlib.util
import json
import sys
import types
from pathlib import Path
from typing import Any

import numpy as np


def estimators() -> Any:
    """The module obp.ope.estimators without the packages around it."""
    torch = types.ModuleType("torch")
    torch.Tensor = torch.tensor = object  # type: ignore[attr-defined]
    sys.modules["torch"] = torch
    found = importlib.util.find_spec("obp")
    assert found is not None and found.submodule_search_locations
    root = Path(found.submodule_search_locations[0])
    for name, folder in (("obp", root), ("obp.ope", root / "ope")):
        package = types.ModuleType(name)
        package.__path__ = [str(folder)]
        sys.modules[name] = package
    return importlib.import_module("obp.ope.estimators")


def main(path: str) -> None:
    """Estimate and print."""
    log = dict(np.load(path, allow_pickle=False))
    ope = estimators()
    given = {"reward": log["reward"], "action": log["action"], "position": np.zeros(len(log["reward"]), int)}
    weighed = {**given, "pscore": log["pscore"], "action_dist": log["action_dist"][:, :, None]}
    modelled = {**weighed, "estimated_rewards_by_reg_model": log["model"][:, :, None]}
    clip = float(log["clip"])
    found = {
        "dm": ope.DirectMethod().estimate_policy_value(**modelled),
        "ips": ope.InverseProbabilityWeighting().estimate_policy_value(**weighed),
        "snips": ope.SelfNormalizedInverseProbabilityWeighting().estimate_policy_value(**weighed),
        "dr": ope.DoublyRobust().estimate_policy_value(**modelled),
        "dr_clipped": ope.DoublyRobust(lambda_=clip).estimate_policy_value(**modelled),
    }
    sys.stdout.write(json.dumps({name: float(value) for name, value in found.items()}))


if __name__ == "__main__":
    main(sys.argv[1])
