"""Messages about hooks: workflows name them, the worker's own settings say what they are."""

from dataclasses import dataclass
from enum import StrEnum

from holdfast.contracts.common import RunRef
from holdfast.terms import RunStatus


class HookMoment(StrEnum):
    """When a hook runs: before a backup, or after it, however that ended."""

    BEFORE = "before"
    AFTER = "after"


@dataclass(frozen=True, slots=True, kw_only=True)
class HookRef:
    """A hook by its name, with what a workflow must know of it. must_succeed: its failure is the run's business."""

    name: str
    timeout_s: float = 600.0
    must_succeed: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class HookInput:
    """Asks for one run of a hook. status: how the backup stands; it is over for a hook after it."""

    run: RunRef
    hook: HookRef
    moment: HookMoment
    source: str = ""
    system: str = ""
    status: RunStatus = RunStatus.RUNNING


@dataclass(frozen=True, slots=True, kw_only=True)
class HookDone:
    """The end of a hook. failure: why it could not be run at all (an error's class name), or empty.

    What it printed is in the journal of the worker that ran it.
    """

    name: str
    moment: HookMoment
    ok: bool
    must_succeed: bool = True
    exit_code: int = 0
    timed_out: bool = False
    duration_ns: int = 0
    failure: str = ""

    @property
    def counts(self) -> bool:
        """Whether it failed and that matters."""
        return self.must_succeed and not self.ok

    @property
    def words(self) -> str:
        """Say how it ended, for people."""
        if self.ok:
            return f"the hook {self.name!r} {self.moment.value} the backup ended well"
        if self.failure:
            return f"the hook {self.name!r} {self.moment.value} the backup could not be run ({self.failure})"
        return hook_words(self.name, self.moment, exit_code=self.exit_code, timed_out=self.timed_out)


def hook_words(name: str, moment: HookMoment, *, exit_code: int, timed_out: bool) -> str:
    """Say how a hook failed, for people."""
    if timed_out:
        ending = "ran out of time and was killed"
    elif exit_code < 0:
        ending = f"was ended by signal {-exit_code}"
    else:
        ending = f"failed with exit code {exit_code}"
    return f"the hook {name!r} {moment.value} the backup {ending}"
