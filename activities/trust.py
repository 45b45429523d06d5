"""An activity sees what it is asked, and by which run; one of them admits runs.

The codec has seen whether the message was signed for this activity. Its id was given by the run that asked for it, and
begins with that run's (workflows/trust.py): another run, a reset one, or one that was started by nobody has no message
for it.
"""

import logging
from collections.abc import Callable
from typing import Any, Final

from temporalio import activity
from temporalio.exceptions import ApplicationError
from temporalio.worker import ActivityInboundInterceptor, ExecuteActivityInput, Interceptor

from holdfast.contracts.warrant import ADMIT, ADMITTED, MALFORMED, UNTRUSTED, AdmitInput, Refusal
from holdfast.service.settings.admission import Admissions, AlreadyAdmittedError

_LOG: Final = logging.getLogger("holdfast.trust")


class TrustedCalls(Interceptor):
    """For a worker's `interceptors`. enforced: what no signed run has asked for is refused."""

    def __init__(self, *, enforced: bool) -> None:
        self._enforced = enforced

    def intercept_activity(
        self,
        next: ActivityInboundInterceptor,  # noqa: A002 - Temporal's name
    ) -> ActivityInboundInterceptor:
        return _Inbound(super().intercept_activity(next), enforced=self._enforced)


class _Inbound(ActivityInboundInterceptor):
    def __init__(self, next: ActivityInboundInterceptor, *, enforced: bool) -> None:  # noqa: A002 - Temporal's name
        super().__init__(next)
        self._enforced = enforced

    async def execute_activity(self, input: ExecuteActivityInput) -> Any:  # noqa: A002 - Temporal's name
        info = activity.info()
        if len(input.args) != 1:
            raise _refused(MALFORMED, f"an activity takes one message, not {len(input.args)}")
        if isinstance(input.args[0], Refusal):
            raise _refused(input.args[0].kind, input.args[0].reason)
        if self._enforced and not info.activity_id.startswith(f"{info.workflow_run_id}/"):
            raise _refused(
                UNTRUSTED, "an activity was asked for by no run, or by another one than it belongs to"
            )
        return await super().execute_activity(input)


class AdmissionActivities:
    """Lets runs begin. declares: whether the settings declare what a schedule has started, and what that starts."""

    def __init__(self, admissions: Admissions, declares: Callable[[str, str], bool]) -> None:
        self._admissions = admissions
        self._declares = declares

    def light(self) -> list[Callable[..., Any]]:
        """For the worker of workflows, in which it is called locally."""
        return [self.admit]

    @activity.defn(name=ADMIT)
    async def admit(self, message: AdmitInput) -> str:
        """Use up what a run was asked with. Local: it holds up the workflow's task, and takes less than a thread."""
        if message.schedule:
            if not self._declares(message.schedule, message.starts):
                raise _refused(
                    UNTRUSTED,
                    f"the settings of this host do not declare {message.schedule}, or not what it starts\n"
                    "`holdfast schedule apply` brings the server up to date",
                )
            return ADMITTED
        try:
            self._admissions.admit(message.once, message.until_s, message.run)
        except AlreadyAdmittedError as error:
            _LOG.warning("a run was not begun: %s", error)
            raise _refused(UNTRUSTED, str(error)) from None
        return ADMITTED


def _refused(kind: str, reason: str) -> ApplicationError:
    return ApplicationError(reason, type=kind, non_retryable=True)
