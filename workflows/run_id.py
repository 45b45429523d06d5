"""The name of a run: stable over retries, continue-as-new and resumption."""

from temporalio import workflow


def run_id_of(resume_run: str) -> str:
    """The run that is resumed, or a new one: the workflow's id and the first run id of its chain."""
    info = workflow.info()
    return resume_run or f"{info.workflow_id}/{info.first_execution_run_id}"
