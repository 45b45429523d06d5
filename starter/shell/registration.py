"""A Typer command is made out of a function that takes one dataclass of options.

A command with twenty options is a function with one argument here, and options that are shared are inherited. Common
options may also stand before the command's name, as with restic: `holdfast -r home snapshots`.

A dataclass says in `GROUPS` under which heading its options stand, and in which order. What it leaves out comes first,
in the order of its fields; what all commands have comes last. Typer's parameters bear the headings as
`rich_help_panel`.
"""

import copy
import dataclasses
import inspect
from collections.abc import Callable, Iterator, Mapping
from typing import Annotated, TypeVar, get_args, get_origin, get_type_hints

import typer
from typer.models import OptionInfo

from holdfast.starter.shell.help import Page
from holdfast.starter.shell.options import GENERAL, CommonOptions, Texts

OptionsT = TypeVar("OptionsT", bound=CommonOptions)


def add_command(
    app: typer.Typer, name: str, function: Callable[[OptionsT], int], section: str | None = None
) -> None:
    """Register `function` under `name`; its docstring is the help text, its result the exit code.

    Its one argument is annotated with its dataclass of options. section: the heading of the program's help page.
    """
    options: type[OptionsT] = get_type_hints(function)["options"]

    def command(ctx: typer.Context, **given: object) -> int:
        return function(_merged(options, given, ctx.find_object(CommonOptions)))

    command.__doc__ = function.__doc__
    _describe(command, options, {"ctx": typer.Context})
    app.command(name, cls=Page, rich_help_panel=section)(command)


def add_common_options(app: typer.Typer, version: Callable[[bool], None]) -> None:
    """Let the common options stand before the command's name. version: called with whether --version was given."""

    def root(ctx: typer.Context, **given: object) -> None:
        given.pop("version")
        ctx.obj = _merged(CommonOptions, given, None)

    version_option = Annotated[
        bool,
        typer.Option(
            "--version", help="Show the version.", callback=version, is_eager=True, rich_help_panel=GENERAL
        ),
    ]
    _describe(root, CommonOptions, {"ctx": typer.Context, "version": version_option})
    app.callback()(root)


def _merged(options: type[OptionsT], given: Mapping[str, object], before: CommonOptions | None) -> OptionsT:
    """The options as a value; what was given before the command's name counts where nothing stands after it."""
    values: dict[str, object] = {}
    for field in dataclasses.fields(options):
        value, default = given[field.name], field.default
        if isinstance(value, list):
            value = tuple(value)
        elif value is None and default is not dataclasses.MISSING:
            value = default
        if value == default and before is not None and hasattr(before, field.name):
            value = getattr(before, field.name)
        values[field.name] = value
    build: Callable[..., OptionsT] = options
    return build(**values)


def _describe(
    function: Callable[..., object], options: type[CommonOptions], first: Mapping[str, object]
) -> None:
    """Give `function` the signature that Typer reads."""
    parameters = [
        inspect.Parameter(
            name,
            inspect.Parameter.KEYWORD_ONLY,
            annotation=annotation,
            default=False if name == "version" else inspect.Parameter.empty,
        )
        for name, annotation in first.items()
    ]
    headings = dict(headings_of(options))
    order = list(headings)
    for field in sorted(dataclasses.fields(options), key=lambda field: _place(order, field.name)):
        default = field.default if field.default is not dataclasses.MISSING else inspect.Parameter.empty
        if default == ():
            default = None
        parameters.append(
            inspect.Parameter(
                field.name,
                inspect.Parameter.KEYWORD_ONLY,
                annotation=_typer_type(field.type, headings.get(field.name)),
                default=default,
            )
        )
    function.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    function.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}


def headings_of(options: type[CommonOptions]) -> Iterator[tuple[str, str]]:
    """The options that stand under a heading, in their order, each with its heading: a command's own before those that
    it shares."""
    for kind in options.__mro__:
        groups: Mapping[str, tuple[str, ...]] = vars(kind).get("GROUPS", {})
        for heading, names in groups.items():
            yield from ((name, heading) for name in names)


def _place(order: list[str], name: str) -> int:
    """Where an option stands; 0 is before all headings."""
    return order.index(name) + 1 if name in order else 0


def _typer_type(annotation: object, heading: str | None) -> object:
    """Typer knows lists, not tuples of any length. heading: what the option stands under."""
    if get_origin(annotation) is not Annotated:
        return annotation
    kind, *notes = get_args(annotation)
    described: object = Annotated[
        (list[str] if kind == Texts else kind, *(_under(note, heading) for note in notes))
    ]
    return described


def _under(note: object, heading: str | None) -> object:
    if heading is None or not isinstance(note, OptionInfo):
        return note
    note = copy.copy(note)  # several commands share it
    note.rich_help_panel = heading
    return note
