"""Every DAG of oO ml as a Prefect flow: each task does one step, in a process of its own. See docs/pipelines.md.

OO_PROJECT names the folder of the project where the tasks run; without it, it is the one that this file lies in.
`python oo_flows.py` serves all flows with their schedules; `flows["backfill"]()` runs one.
"""

import json
import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

from prefect import flow, serve, task
from prefect.context import get_run_context
from prefect.schedules import Cron
from prefect.states import Completed
from prefect.tasks import exponential_backoff

PROJECT = Path(os.environ.get("OO_PROJECT") or Path(__file__).resolve().parents[2])
DECLARED = json.loads((PROJECT / "deploy" / "dag.json").read_text())
if DECLARED["version"] != 1:
    raise ValueError(f"dag.json has version {DECLARED['version']}: this file reads version 1")


class StepFailed(Exception):
    def __init__(self, code: int):
        super().__init__(f"the step ended with exit code {code}")
        self.can_pass = code != 2


def may_retry(_task, _run, state) -> bool:
    error = state.result(raise_on_failure=False)
    return not isinstance(error, StepFailed) or error.can_pass


def run_step(dag: str, step: str, run: str, as_of: str):
    """Runs `npm run step`, without a shell. The result is its last line: the step's outcome."""
    command = ["npm", "run", "--silent", "step", "--", dag, step, "--run-id", run, "--as-of", as_of]
    done = subprocess.run(command, cwd=PROJECT, stdout=subprocess.PIPE, stderr=sys.__stderr__, text=True)
    if done.returncode not in (0, 99):
        raise StepFailed(done.returncode)
    outcome = json.loads(done.stdout.splitlines()[-1])
    return Completed(name="Skipped", data=outcome) if done.returncode == 99 else outcome


def flow_of(declared: dict):
    step_task = task(
        retries=declared["retries"],
        retry_delay_seconds=exponential_backoff(declared["retryAfterSeconds"]),
        retry_condition_fn=may_retry,
        cache_policy=None,
    )(run_step)

    def run(run_id: str | None = None, as_of: str | None = None):
        of_flow = get_run_context().flow_run
        due = of_flow.expected_start_time or datetime.now(UTC)
        run_id, as_of = run_id or str(of_flow.id), as_of or due.isoformat()
        futures = {}
        for step in declared["steps"]:  # each stands after those it needs
            needs = [futures[need] for need in step["needs"]]
            named = step_task.with_options(name=step["name"], task_run_name=step["name"])
            futures[step["name"]] = named.submit(declared["id"], step["name"], run_id, as_of, wait_for=needs)
        return {name: future.result() for name, future in futures.items()}

    run.__name__ = run.__qualname__ = f"oo_{declared['id'].replace('-', '_')}"  # where a worker looks for it
    return flow(name=declared["id"])(run)


flows = {declared["id"]: flow_of(declared) for declared in DECLARED["dags"]}
globals().update({each.fn.__name__: each for each in flows.values()})

if __name__ == "__main__":
    cron = {declared["id"]: declared["schedule"] for declared in DECLARED["dags"]}
    serve(*(f.to_deployment(id, schedules=[Cron(cron[id], timezone="UTC")] if cron[id] else []) for id, f in flows.items()))
