"""``--config``: options of a command from a TOML file, and the file in that form which every run
leaves in its folder.

A key is an option's long name without its dashes. What stands on the command line wins over the
file.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from edgernn.errors import UsageError
from edgernn.storage import as_utf8
from edgernn.wording import did_you_mean

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

_NEVER_WRITTEN = frozenset(
    {"config", "out", "resume", "as_json"}
)  # of one call, not of the run that it makes
_BUDGETS = frozenset({"minutes", "steps", "epochs"})


def read_config(context: typer.Context, path: Path | None) -> Path | None:
    """Let a file give the options that are not on the command line.

    Raises:
        UsageError: the file cannot be read, is no TOML, names no option of the command, or holds
            what is no option's value.
    """
    if path is None or context.resilient_parsing:
        return path
    try:
        found = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise UsageError(
            f"cannot read the options in {path}: {error.strerror}; give a TOML file"
        ) from error
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise UsageError(f"{path} is no TOML: {error}; expected lines as hidden = 256") from error
    options = _options(context)
    given = {}
    for key, value in found.items():
        name = key.replace("_", "-")
        if name not in options:
            near = did_you_mean(name, options)
            raise UsageError(
                f"{path}: {key!r} is no option of "
                f"{context.command_path}{near or '; see its --help'}"
            )
        parameter = options[name]
        place = f"{path}: {key}"
        given[parameter.name] = (
            [_value(one, is_flag=False, place=place) for one in _as_list(value)]
            if parameter.multiple
            else _value(value, is_flag=parameter.is_flag, place=place)
        )
    context.default_map = {**(context.default_map or {}), **given}
    return path


Config = Annotated[
    Path | None,
    typer.Option(
        "--config",
        callback=read_config,
        is_eager=True,
        help="Options from this TOML file; the command line wins.",
    ),
]


def _options(context: typer.Context) -> dict[str, Any]:
    """Return the options that a file may give, by their long names without dashes."""
    named = {}
    for parameter in context.command.params:
        for text in parameter.opts:
            if text.startswith("--") and parameter.name not in {"config", "help"}:
                named[text[2:]] = parameter
    return named


def _as_list(found: Any) -> list[Any]:
    return found if isinstance(found, list) else [found]


def _value(found: Any, *, is_flag: bool, place: str) -> Any:
    """Return a value as the option parser takes it: what a person would type, or whether a flag is
    set.
    """
    if is_flag:
        if not isinstance(found, bool):
            raise UsageError(f"{place} is {found!r}, expected true or false")
        return found
    if isinstance(found, list) and found and all(isinstance(item, str) for item in found):
        return ",".join(found)
    if isinstance(found, bool) or not isinstance(found, (str, int, float)):
        raise UsageError(f"{place} is {found!r}, expected a number or a text")
    return str(found)


def given_budget(context: typer.Context) -> dict[str, Any]:
    """Return ``minutes``, ``steps`` and ``epochs`` as given; one on the command line replaces those
    of a file.
    """
    values = {name: context.params[name] for name in sorted(_BUDGETS) if name in context.params}
    typed = {name for name in values if from_command_line(context, name)}
    return {name: value if not typed or name in typed else None for name, value in values.items()}


def from_command_line(context: typer.Context, name: str) -> bool:
    """Return whether a parameter was given on the command line, not by a file or by default."""
    source = context.get_parameter_source(name)
    return source is not None and source.name == "COMMANDLINE"


def settings_of(context: typer.Context) -> str:
    """Return the options of this call as TOML, from which ``--config`` makes the same run."""
    given = {**context.params, **given_budget(context)}
    values = {
        name: given[parameter.name]
        for name, parameter in _options(context).items()
        if parameter.name not in _NEVER_WRITTEN and given.get(parameter.name) is not None
    }
    return as_toml(
        values, heading=f"{context.command_path} --config THIS_FILE --out FOLDER makes the same run"
    )


def as_toml(values: Mapping[str, Any], *, heading: str) -> str:
    """Return a flat TOML document with a comment above it."""
    return f"# {heading}\n" + "".join(
        f"{key} = {_toml_value(value)}\n" for key, value in values.items()
    )


def _toml_value(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (int, float)):
        return repr(value)
    return json.dumps(as_utf8(str(value)), ensure_ascii=False).replace("\x7f", "\\u007f")
