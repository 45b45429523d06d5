"""The form of a drill as people write it: how much is drawn, and the words of the check."""

from dataclasses import dataclass
from typing import Final

from holdfast.command_words import split_command
from holdfast.errors import UsageError
from holdfast.units import parse_size

WHOLE_PERCENT: Final = 100.0


@dataclass(frozen=True, slots=True, kw_only=True)
class SampleSize:
    """How much is drawn: everything, a share of the files, or about so many bytes of them."""

    percent: float | None = None
    size_bytes: int | None = None

    @property
    def is_all(self) -> bool:
        """Whether there is nothing to draw."""
        return self.percent == WHOLE_PERCENT


def parse_sample(text: str) -> SampleSize:
    """The size that a person wrote: "all", "5%" or "1GiB".

    Raises:
        UsageError: it is none.
    """
    if text == "all":
        return SampleSize(percent=WHOLE_PERCENT)
    try:
        if text.endswith("%"):
            percent = float(text.removesuffix("%"))
            if 0 < percent <= WHOLE_PERCENT:
                return SampleSize(percent=percent)
        elif (size := parse_size(text)) > 0:
            return SampleSize(size_bytes=size)
    except ValueError:
        pass
    raise UsageError(f"{text[:80]!r} is no size of a sample", hint='Write "all", "5%" or "1GiB".')


def split_check(command: str) -> list[str]:
    """The words of a check command.

    Raises:
        SettingsError: quotes do not match, or there is no word.
    """
    return split_command(command, "check", hint="Name a program, or leave the key out.")
