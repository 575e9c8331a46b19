"""Every DAG of oO ml for Airflow 3: each task does one step, in a process of its own. See docs/pipelines.md.

OO_PROJECT names the folder of the project where the tasks run; without it, it is the one that this file lies in.
"""

import json
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

from airflow.providers.standard.hooks.subprocess import SubprocessHook
from airflow.sdk import DAG, BaseOperator
from airflow.sdk.exceptions import AirflowException, AirflowFailException, AirflowSkipException

PROJECT = Path(os.environ.get("OO_PROJECT") or Path(__file__).resolve().parents[2])
DECLARED = json.loads((PROJECT / "deploy" / "dag.json").read_text())
if DECLARED["version"] != 1:
    raise ValueError(f"dag.json has version {DECLARED['version']}: this file reads version 1")


class StepOperator(BaseOperator):
    """Runs `npm run step`, without a shell. The XCom is its last line: the step's outcome."""

    template_fields = ("run", "as_of")

    def __init__(self, *, dag_name: str, step: str, **kwargs):
        super().__init__(**kwargs)
        self.command = ["npm", "run", "--silent", "step", "--", dag_name, step]
        self.run = "{{ run_id }}"
        self.as_of = "{{ (dag_run.logical_date or dag_run.run_after).isoformat() }}"
        self.hook = SubprocessHook()

    def execute(self, context):
        command = [*self.command, "--run-id", self.run, "--as-of", self.as_of]
        result = self.hook.run_command(command, cwd=str(PROJECT))
        match result.exit_code:
            case 0:
                return json.loads(result.output)
            case 99:
                raise AirflowSkipException(result.output)
            case 2:
                raise AirflowFailException(result.output)  # it can never succeed
        raise AirflowException(f"exit code {result.exit_code}: {result.output}")

    def on_kill(self):
        self.hook.send_sigterm()


for declared in DECLARED["dags"]:
    with DAG(
        dag_id=declared["id"],
        schedule=declared["schedule"],
        start_date=datetime(2026, 1, 1, tzinfo=UTC),
        catchup=False,
        default_args={
            "retries": declared["retries"],
            "retry_delay": timedelta(seconds=declared["retryAfterSeconds"]),
            "retry_exponential_backoff": True,
            "max_retry_delay": timedelta(hours=1),
        },
    ) as dag:
        tasks = {}
        for step in declared["steps"]:  # each stands after those it needs; Airflow knows no colons
            task_id = step["name"].replace(":", ".")
            # A step whose need was skipped says so itself, the same under every runner.
            task = StepOperator(task_id=task_id, dag_name=dag.dag_id, step=step["name"], trigger_rule="none_failed")
            task.set_upstream([tasks[need] for need in step["needs"]])
            tasks[step["name"]] = task
    globals()[f"oo_{dag.dag_id}"] = dag
