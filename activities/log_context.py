"""Gives every activity the name of its run, for the lines that are logged while it runs: read off its message."""

from typing import Any

from temporalio.worker import ActivityInboundInterceptor, ExecuteActivityInput, Interceptor

from holdfast.contracts.common import RunRef
from holdfast.contracts.log_context import working_for


class LogContext(Interceptor):
    """For a worker's `interceptors`."""

    def intercept_activity(
        self,
        next: ActivityInboundInterceptor,  # noqa: A002 - Temporal's name
    ) -> ActivityInboundInterceptor:
        return _Inbound(super().intercept_activity(next))


class _Inbound(ActivityInboundInterceptor):
    async def execute_activity(self, input: ExecuteActivityInput) -> Any:  # noqa: A002 - Temporal's name
        run = getattr(input.args[0], "run", None) if input.args else None
        if not isinstance(run, RunRef):
            return await super().execute_activity(input)
        with working_for(run=run.record_id, source=run.source):
            return await super().execute_activity(input)
