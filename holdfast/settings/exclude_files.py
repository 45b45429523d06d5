"""Files of patterns, as restic reads them (its internal/filter/exclude.go, `readPatternsFromFiles`).

One pattern to a line; white space around it, empty lines and lines that begin with "#" do not count; `$NAME` and
`${NAME}` stand for variables of the environment, `$$` for a dollar. They are read on the worker when a run begins a
step, so that an edit reaches the next run without a restart.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

from holdfast.errors import SettingsError
from holdfast.settings.model import SourceProfile
from holdfast.settings.text import decode_text_file, trim

_MAX_FILE_BYTES: Final = 64 << 20
_VARIABLE: Final = re.compile(r"\$(?:\{([^}]*)\}|\{|([*#$@!?0-9-])|([A-Za-z_][A-Za-z0-9_]*))")


def read_patterns(files: Sequence[Path], environ: Mapping[str, str]) -> Iterator[str]:
    """The patterns of all files, in their order.

    Raises:
        SettingsError: a file cannot be read.
    """
    for path in files:
        try:
            with path.open("rb") as file:
                content = decode_text_file(file.read(_MAX_FILE_BYTES))
        except OSError as error:
            raise SettingsError(
                f"the exclude file {str(path)!r} cannot be read: {error.strerror}",
                hint="Create it, or take it out of the source's exclude files.",
            ) from error
        for line in content.split("\n"):
            pattern = trim(line)
            if pattern and not pattern.startswith("#"):
                expanded = _expand(pattern, environ)
                if expanded:
                    yield expanded


def _expand(pattern: str, environ: Mapping[str, str]) -> str:
    """Go's os.Expand: unknown variables, specials of shells and an open "${" vanish; any other "$" stays."""

    def value(match: re.Match[str]) -> str:
        name = next((group for group in match.groups() if group is not None), "")
        return "$" if name == "$" else environ.get(name, "")

    return _VARIABLE.sub(value, pattern)


def resolve(profile: SourceProfile, environ: Mapping[str, str]) -> SourceProfile:
    """The profile with the patterns of its exclude files in its filters.

    Raises:
        SettingsError: a file cannot be read.
    """
    if not profile.exclude_files and not profile.iexclude_files:
        return profile
    filters = replace(
        profile.spec.filters,
        excludes=(*profile.spec.filters.excludes, *read_patterns(profile.exclude_files, environ)),
        iexcludes=(*profile.spec.filters.iexcludes, *read_patterns(profile.iexclude_files, environ)),
    )
    return replace(profile, spec=replace(profile.spec, filters=filters), exclude_files=(), iexclude_files=())
