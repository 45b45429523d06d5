"""A Typer command is made out of a function that takes one dataclass of options.

A command with twenty options is a function with one argument here, and options that are shared are inherited. Common
options may also stand before the command's name, as with restic: `holdfast -r home snapshots`.
"""

import dataclasses
import inspect
from collections.abc import Callable, Mapping
from typing import Annotated, TypeVar, get_args, get_origin, get_type_hints

import typer

from holdfast.starter.shell.options import CommonOptions, Texts

OptionsT = TypeVar("OptionsT", bound=CommonOptions)


def add_command(app: typer.Typer, name: str, function: Callable[[OptionsT], int]) -> None:
    """Register `function` under `name`; its docstring is the help text, its result the exit code.

    Its one argument is annotated with its dataclass of options.
    """
    options: type[OptionsT] = get_type_hints(function)["options"]

    def command(ctx: typer.Context, **given: object) -> int:
        return function(_merged(options, given, ctx.find_object(CommonOptions)))

    command.__doc__ = function.__doc__
    _describe(command, options, {"ctx": typer.Context})
    app.command(name)(command)


def add_common_options(app: typer.Typer, version: Callable[[bool], None]) -> None:
    """Let the common options stand before the command's name. version: called with whether --version was given."""

    def root(ctx: typer.Context, **given: object) -> None:
        given.pop("version")
        ctx.obj = _merged(CommonOptions, given, None)

    version_option = Annotated[
        bool, typer.Option("--version", help="Show the version.", callback=version, is_eager=True)
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
    common = {field.name for field in dataclasses.fields(CommonOptions)}
    own_first = sorted(dataclasses.fields(options), key=lambda field: field.name in common)
    for field in own_first:
        default = field.default if field.default is not dataclasses.MISSING else inspect.Parameter.empty
        if default == ():
            default = None
        parameters.append(
            inspect.Parameter(
                field.name,
                inspect.Parameter.KEYWORD_ONLY,
                annotation=_typer_type(field.type),
                default=default,
            )
        )
    function.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    function.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}


def _typer_type(annotation: object) -> object:
    """Typer knows lists, not tuples of any length."""
    if get_origin(annotation) is not Annotated:
        return annotation
    kind, *notes = get_args(annotation)
    if kind != Texts:
        return annotation
    described: object = Annotated[(list[str], *notes)]
    return described
