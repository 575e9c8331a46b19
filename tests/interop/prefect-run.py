"""Runs flows of deploy/prefect as workers load them, one after the other: `prefect-run.py <run id> <as of> <dag> …`. Prints how each ended."""

import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "deploy" / "prefect"))

from oo_flows import flows  # noqa: E402
from prefect.flows import load_flow_from_entrypoint  # noqa: E402

run_id, as_of, *dags = sys.argv[1:]
for dag in dags:
    of_worker = load_flow_from_entrypoint(flows[dag].to_deployment(dag).entrypoint)
    state = of_worker(run_id=run_id, as_of=as_of, return_state=True)
    results = state.result(raise_on_failure=False)
    print(json.dumps({"dag": dag, "state": state.type.value, "results": results if state.is_completed() else None}))
