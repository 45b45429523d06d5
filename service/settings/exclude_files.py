"""Files of patterns, as restic reads them (its internal/filter/exclude.go, `readPatternsFromFiles`).

One pattern to a line; white space around it, empty lines and lines that begin with "#" do not count; `$NAME` and
`${NAME}` stand for variables of the environment, `$$` for a dollar. Other than in restic, a variable that is not
defined is an error: replaced by nothing it would turn `$CACHE/*` into everything. A line that begins with "./" is
relative to the file's folder. The files are read on the worker when a run begins a step, so that an edit reaches the
next run without a restart; the variables that a command's files name are sent along with its order.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

from holdfast.errors import SettingsError, UsageError
from holdfast.service.settings.model import SourceProfile
from holdfast.service.settings.paths import PathRules, variables_in, with_variables
from holdfast.service.settings.text import decode_text_file, trim
from holdfast.source.patterns import Pattern

_MAX_FILE_BYTES: Final = 64 << 20


def read_patterns(files: Sequence[Path], environ: Mapping[str, str]) -> Iterator[str]:
    """The patterns of all files, in their order.

    Raises:
        SettingsError: a file cannot be read, or a line of it not be used.
    """
    for path in files:
        rules = PathRules.of(path.parent, environ, in_file=True)
        for number, line in lines_of(path):
            try:
                pattern = rules.pattern(with_variables(line, environ))
                Pattern.parse(pattern)
            except ValueError as error:
                raise SettingsError(
                    f"the pattern file {str(path)!r}, line {number}: {error}",
                    hint="Correct the line, or define the variable for the program that reads it.",
                ) from error
            except UsageError as error:
                raise SettingsError(
                    f"the pattern file {str(path)!r}, line {number}: {error.message}", hint=error.hint
                ) from error
            if pattern:
                yield pattern


def named_variables(files: Sequence[Path], environ: Mapping[str, str]) -> dict[str, str]:
    """Those variables of an environment that the files name.

    Raises:
        SettingsError: a file cannot be read.
    """
    names = {name for path in files for _, line in lines_of(path) for name in variables_in(line)}
    return {name: environ[name] for name in sorted(names) if name in environ}


def lines_of(path: Path) -> Iterator[tuple[int, str]]:
    """The lines that count, as they are written, with their numbers.

    Raises:
        SettingsError: the file cannot be read.
    """
    try:
        with path.open("rb") as file:
            content = decode_text_file(file.read(_MAX_FILE_BYTES))
    except OSError as error:
        raise SettingsError(
            f"the pattern file {str(path)!r} cannot be read: {error.strerror}",
            hint="Create it, or name it no longer.",
        ) from error
    for number, line in enumerate(content.split("\n"), start=1):
        pattern = trim(line)
        if pattern and not pattern.startswith("#"):
            yield number, pattern


def resolve(profile: SourceProfile, environ: Mapping[str, str]) -> SourceProfile:
    """The profile with the patterns of its exclude files in its filters.

    environ: of this process; the variables that came along with the profile go before it.

    Raises:
        SettingsError: a file cannot be read, or a line of it not be used.
    """
    if not profile.exclude_files and not profile.iexclude_files:
        return profile
    environ = {**environ, **profile.variables}
    filters = replace(
        profile.spec.filters,
        excludes=(*profile.spec.filters.excludes, *read_patterns(profile.exclude_files, environ)),
        iexcludes=(*profile.spec.filters.iexcludes, *read_patterns(profile.iexclude_files, environ)),
    )
    return replace(
        profile,
        spec=replace(profile.spec, filters=filters),
        exclude_files=(),
        iexclude_files=(),
        variables={},
    )
