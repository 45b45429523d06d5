"""The activity that runs a hook. It may run twice, when the worker died: hooks are told so in the documentation."""

from holdfast.activities.calls import EngineCall
from holdfast.activities.steps import Activities, step
from holdfast.contracts import names
from holdfast.contracts.hooks import HookDone, HookInput, HookMoment, HookRef
from holdfast.contracts.identity import is_token
from holdfast.errors import SettingsError
from holdfast.service.hooks import run_hook
from holdfast.service.journal.records import OutputRecord
from holdfast.service.settings.commands import harmless
from holdfast.service.settings.hooks import HookProfile
from holdfast.service.settings.model import Settings, SourceProfile
from holdfast.service.settings.systems import SystemProfile


class HookActivities(Activities):
    """Hooks of this worker's own settings."""

    @step(names.RUN_HOOK, final=True)
    def run(self, message: HookInput, call: EngineCall) -> HookDone:
        """Run the hook and keep what it printed; that it fails is an answer."""
        hook = self._declared(message)
        variables = (
            ("HOLDFAST_HOOK", hook.name),
            ("HOLDFAST_MOMENT", message.moment.value),
            ("HOLDFAST_RUN", message.run.record_id),
            ("HOLDFAST_SOURCE", message.source),
            ("HOLDFAST_SYSTEM", message.system),
            ("HOLDFAST_STATUS", message.status.value),
        )
        outcome = run_hook(
            hook.command,
            dict(harmless(self._services.environ, variables)),
            timeout_s=hook.timeout_s,
            on_wait=call.check,
        )
        self._services.journal.add_output(
            message.run.record_id,
            OutputRecord(
                hook=hook.name,
                moment=message.moment.value,
                exit_code=outcome.exit_code,
                timed_out=outcome.timed_out,
                started_ns=outcome.started_ns,
                ended_ns=outcome.ended_ns,
                output=outcome.output,
            ),
        )
        return HookDone(
            name=hook.name,
            moment=message.moment,
            ok=outcome.ok,
            must_succeed=hook.must_succeed,
            exit_code=outcome.exit_code,
            timed_out=outcome.timed_out,
            duration_ns=outcome.ended_ns - outcome.started_ns,
        )

    def _declared(self, message: HookInput) -> HookProfile:
        """The hook, if the source or system that the run is of declares it for this moment.

        Raises:
            SettingsError: none does, by these settings.
        """
        settings = self._services.settings
        declaring: list[SourceProfile | SystemProfile] = []
        if message.system:
            declaring.append(settings.system(message.system))
        elif not is_token(message.source):
            declaring.append(settings.source(message.source))
        names = [
            name
            for profile in declaring
            for name in (profile.before if message.moment is HookMoment.BEFORE else profile.after)
        ]
        if message.hook.name not in names or message.run.source not in (message.source, message.system):
            raise SettingsError(
                f"the settings declare no hook {message.hook.name!r} {message.moment.value} that backup",
                hint="Hooks run for the sources and systems that name them.",
            )
        return settings.hook(message.hook.name)


def hook_refs(settings: Settings, hooks: tuple[str, ...]) -> tuple[HookRef, ...]:
    """Name these hooks with what a workflow must know of them.

    Raises:
        SettingsError: one is in the settings no more.
    """
    found = [settings.hook(name) for name in hooks]
    return tuple(
        HookRef(name=hook.name, timeout_s=hook.timeout_s, must_succeed=hook.must_succeed) for hook in found
    )
