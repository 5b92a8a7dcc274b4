"""``edgernn export`` and ``inspect``: what makes bundles, and what shows them."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from edgernn.cli import tables
from edgernn.cli.choices import completing, format_names, precision_names, target_names
from edgernn.cli.config import Config
from edgernn.cli.hoisting import (
    FORWARD,
    OF_ONNX,
    OF_PYTHON,
    ContextOption,
    InputsOption,
    KeepRestartsOption,
    LeftContextOption,
    MethodOption,
    RenameOption,
    Said,
    SampleOption,
    SetOption,
    StartOption,
    StateOption,
    WeightsOption,
    hoisted_of,
    is_onnx,
    is_python,
    prints_aside,
    wishes_of,
)
from edgernn.cli.output import say, say_sheet, tell, words, write_result
from edgernn.errors import UsageError
from edgernn.formats import by_name
from edgernn.wording import size

if TYPE_CHECKING:
    from edgernn.bundle import Bundle

_reduced = partial(typer.Option, rich_help_panel="Reduced precision")


def export(
    run: Annotated[
        Path,
        typer.Argument(help="A checkpoint folder, an ONNX file, or FILE.py:NAME, which is run."),
    ],
    out: Annotated[Path, typer.Option(help="A folder, or a file ending in .edgernn.")],
    to: Annotated[
        str | None,
        typer.Option(
            help="Formats, as onnx,litert,c (all: explain --formats); default onnx, torchscript, "
            "coreml, of other programs' files onnx.",
            **completing(format_names),
        ),
    ] = None,
    precision: Annotated[
        str | None,
        _reduced(
            help="As float32,float16,int8,int4,smallest, of c w8a8, binary; default each format's.",
            **completing(precision_names),
        ),
    ] = None,
    target: Annotated[
        str | None,
        typer.Option(
            help="Machines that c is also built for, as host,wasm,aarch64-linux.",
            **completing(target_names),
        ),
    ] = None,
    prefix: Annotated[
        str | None, typer.Option(metavar="NAME", help="What the names in c begin with, not net.")
    ] = None,
    block_size: Annotated[
        int | None, _reduced(help="Weights that share a scale, 16 to 256.")
    ] = None,
    max_perplexity_increase: Annotated[
        str | None, _reduced(metavar="SHARE", help="What reduced precision may lose, as 1%.")
    ] = None,
    max_cider_drop: Annotated[
        str | None, _reduced(metavar="SHARE", help="The same for captions, as 1%.")
    ] = None,
    calibration: Annotated[
        Path | None, _reduced(help="A text to round by; default the held-out one's end.")
    ] = None,
    allow_float: Annotated[
        bool, _reduced("--allow-float", help="Let weights stay float that cannot be rounded.")
    ] = False,
    streams: Annotated[
        int,
        typer.Option(
            metavar="N",
            help="Sequences that c (1 to 8), litert and executorch (1 to 64) step in one call.",
        ),
    ] = 1,
    axis: Annotated[
        str | None,
        typer.Option(
            metavar="NAME=SIZE",
            help="Sizes of open axes in files of fixed sizes, as source=24; a caller pads.",
        ),
    ] = None,
    portable: Annotated[
        bool,
        typer.Option(
            "--portable",
            help="ONNX of plain operators, without what runtimes misread; or a refusal.",
        ),
    ] = False,
    opset: Annotated[
        int | None, typer.Option(metavar="N", help="ONNX operators of this version, 13 to 21.")
    ] = None,
    ir_version: Annotated[
        int | None, typer.Option(metavar="N", help="The version of the ONNX file, 7 to 10.")
    ] = None,
    in_graph: Annotated[
        bool, typer.Option("--in-graph", help="Also files that decode in the graph, in one call.")
    ] = False,
    decoding: Annotated[
        bool, typer.Option("--decoding", hidden=True, help="The older name of --in-graph.")
    ] = False,
    release: Annotated[
        bool, typer.Option("--release", help="Leave reference weights and held-out text out.")
    ] = False,
    inputs: InputsOption = None,
    state: StateOption = None,
    settings: SetOption = None,
    left_context: LeftContextOption = None,
    keep_restarts: KeepRestartsOption = False,
    rename: RenameOption = None,
    weights: WeightsOption = None,
    method: MethodOption = FORWARD,
    context: ContextOption = None,
    start: StartOption = None,
    sample: SampleOption = None,
    config: Config = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the manifest as JSON.")] = False,
) -> None:
    """Export a trained model to a bundle, each file checked against the contract and the
    reference.
    """
    from edgernn.bundle.place import refuse_foreign
    from edgernn.bundle.signature import is_signed
    from edgernn.export.operators import Operators
    from edgernn.export.pack import export_bundle
    from edgernn.export.rounding.compression import Budget
    from edgernn.export.source import ReducedOptions, sizes_of

    budget = Budget(max_perplexity_increase, max_cider_drop)
    options = ReducedOptions(
        block_size, budget, _first_text(calibration), allow_float, prefix, streams,
        Operators(portable, opset, ir_version), sizes_of(axis),
    )  # fmt: skip
    said = Said(
        inputs, state, settings, left_context, keep_restarts, rename,
        weights, method, context, start, sample,
    )  # fmt: skip
    asked: dict[str, Any] = {"precision": words(precision), "release": release, "options": options}
    asked |= {"in_graph": in_graph or decoding, "target": words(target)}
    refuse_foreign(out)  # before anything takes long
    signed = is_signed(out)
    if is_onnx(run) or is_python(run):
        bundle = _write_foreign(run, said, out, to=words(to) or "onnx", **asked)
    else:
        said.only(what="a run of edgernn train")
        bundle = export_bundle(run, out, to=words(to), tell=tell, **asked)
    if signed:
        tell(f"the bundle that stood at {out} was signed, and this one is not; sign it again")
    _show_exported(bundle, out, as_json=as_json)


def _write_foreign(path: Path, said: Said, out: Path, *, in_graph: bool, **asked: Any) -> Bundle:
    """Export a network of another program: an ONNX file, or one in Python."""
    what = "an ONNX file" if is_onnx(path) else "a network in Python"
    if in_graph:
        raise UsageError(f"--in-graph says nothing of {what}; leave it out")
    if is_onnx(path):
        from edgernn.export.foreign_file import export_onnx

        said.only(*OF_ONNX, what=what)
        wishes = wishes_of(said)
        return export_onnx(path, out, wishes=wishes, sample=said.sample, tell=tell, **asked)
    from edgernn.export.module_bundle import export_hoisted

    said.only(*OF_PYTHON, what=what)
    with prints_aside():
        hoisted = hoisted_of(path, said)
        return export_hoisted(hoisted, out, sample=said.sample, tell=tell, **asked)


def _show_exported(bundle: Bundle, out: Path, *, as_json: bool) -> None:
    if as_json:
        write_result("-", bundle.manifest.to_json())
        return
    say_sheet(tables.artifacts(bundle.manifest))
    for artifact in bundle.manifest.artifacts:
        if artifact.weights and not by_name(artifact.format).promise(artifact.precision).exact:
            say_sheet(tables.weights(artifact))
    say(f"wrote {out}, {size(tables.total_bytes(bundle.manifest))}")


def _first_text(path: Path | None) -> str | None:
    """Read the beginning of a text file: calibration needs a few thousand tokens."""
    from edgernn.data.text.source import open_source

    if path is None:
        return None
    with open_source(str(path)) as source:
        return next(source.chunks(), "")


def inspect(
    path: Annotated[Path, typer.Argument(help="A bundle, a model file, or a checkpoint folder.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print as JSON.")] = False,
) -> None:
    """Show what a bundle, a lone model file or a checkpoint holds and promises."""
    from edgernn.cli.inspection import inspect_path

    inspect_path(path, as_json=as_json)
