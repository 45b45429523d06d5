"""The name of a run: stable over retries, continue-as-new and resumption; and of an attempt at it."""

from temporalio import workflow

from holdfast.contracts.identity import run_id


def attempt_id() -> str:
    """The workflow's id and the first run id of its chain: another one for each resumption."""
    info = workflow.info()
    return run_id(info.workflow_id, info.first_execution_run_id)


def run_id_of(resume_run: str) -> str:
    """The run that is resumed, or a new one."""
    return resume_run or attempt_id()


def attempt_of(run_id: str) -> str:
    """Name the attempt, for a run's reference: nothing where the run is no resumption."""
    attempt = attempt_id()
    return "" if attempt == run_id else attempt


def began_by(run_id: str) -> str:
    """Name the run that the attempt went on with, for a result: nothing where it began itself."""
    return "" if run_id == attempt_id() else run_id
