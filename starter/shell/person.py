"""Names the person at this command, for what is asked and recorded."""

import getpass

from contracts.common import Trigger
from contracts.control import Asked


def asked(reason: str = "") -> Asked:
    """What the person asks of a run, and why."""
    return Asked(by=_name(), reason=reason)


def triggered() -> Trigger:
    """The person as what sets a run off."""
    return Trigger(by=_name())


def _name() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return ""
