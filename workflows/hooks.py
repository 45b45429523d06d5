"""Workflows run hooks one after the other, each with an end, and not stopped by a pause.

A worker that dies is no failure of the hook: it is run again, a few times.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from temporalio.exceptions import ActivityError, ApplicationError, is_cancelled_exception

from holdfast.contracts import names
from holdfast.contracts.common import RunRef
from holdfast.contracts.hooks import HookDone, HookInput, HookMoment, HookRef
from holdfast.terms import RunStatus
from holdfast.workflows.failures import failure_of
from holdfast.workflows.policies import ActivityCalls

HOOK_FAILED: Final = "HookFailedError"
_MARGIN_S: Final = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class HookCalls:
    """Runs the hooks around one backup, of a source or of a system."""

    run: RunRef
    calls: ActivityCalls
    source: str = ""
    system: str = ""

    async def before(self, hooks: Sequence[HookRef]) -> tuple[HookDone, ...]:
        """Run them up to the first that fails where that matters; what it means, the caller decides."""
        done: list[HookDone] = []
        for hook in hooks:
            done.append(await self._run(hook, HookMoment.BEFORE, RunStatus.RUNNING))
            if done[-1].counts:
                break
        return tuple(done)

    async def after(self, hooks: Sequence[HookRef], status: RunStatus) -> tuple[HookDone, ...]:
        """Run them all."""
        return tuple([await self._run(hook, HookMoment.AFTER, status) for hook in hooks])

    async def _run(self, hook: HookRef, moment: HookMoment, status: RunStatus) -> HookDone:
        message = HookInput(
            run=self.run, hook=hook, moment=moment, source=self.source, system=self.system, status=status
        )
        try:
            return await self.calls.tried(
                names.RUN_HOOK,
                message,
                HookDone,
                f"{moment.value}: {hook.name}",
                timeout_s=hook.timeout_s + _MARGIN_S,
            )
        except (ActivityError, ApplicationError) as error:
            if is_cancelled_exception(error):
                raise
            return HookDone(
                name=hook.name,
                moment=moment,
                ok=False,
                must_succeed=hook.must_succeed,
                failure=failure_of(error).kind,
            )


def failed_before(hooks: Sequence[HookDone]) -> HookDone | None:
    """The hook whose failure keeps the backup from being made."""
    return next((hook for hook in hooks if hook.moment is HookMoment.BEFORE and hook.counts), None)


def judged(status: RunStatus, hooks: Sequence[HookDone]) -> RunStatus:
    """The status of a backup with its hooks: a snapshot stands, but something that belongs to it failed."""
    return RunStatus.PARTIAL if status is RunStatus.COMPLETE and any(h.counts for h in hooks) else status


def prevented(hook: HookDone) -> ApplicationError:
    """The error that ends a run which a hook has prevented."""
    hint = "`holdfast run show` has what it printed; run it by hand as the user that the worker runs as"
    return ApplicationError(f"{hook.words}\n{hint}", type=HOOK_FAILED, non_retryable=True)


def hook_notes(hooks: Sequence[HookDone]) -> list[str]:
    """Notes about those that failed, for the Web UI."""
    return [hook.words for hook in hooks if not hook.ok]
