"""The person at this command has a name, for what is asked and recorded."""

import getpass

from holdfast.contracts.common import Trigger
from holdfast.contracts.control import Asked


def asked(reason: str = "") -> Asked:
    """A request of the person to a run, with its reason."""
    return Asked(by=_name(), reason=reason)


def triggered() -> Trigger:
    """The person as what sets a run off."""
    return Trigger(by=_name())


def _name() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return ""
