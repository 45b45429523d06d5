"""All workflows load in the sandbox, which workers do not try when they start."""

import pytest
from temporalio import workflow
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner

from holdfast.workflows.catalogue import WORKFLOWS, workflow_runner


@pytest.mark.parametrize("kind", WORKFLOWS)
async def test_it_loads_in_the_sandbox(kind: type) -> None:
    runner = SandboxedWorkflowRunner(restrictions=workflow_runner().restrictions)
    runner.prepare_workflow(workflow._Definition.must_from_class(kind))
