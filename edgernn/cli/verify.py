"""``edgernn verify``: every check on every artifact of a bundle, and who signed it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from edgernn.cli import tables
from edgernn.cli.choices import (
    SignedByOption,
    SignerOption,
    TrustOption,
    completing,
    format_names,
)
from edgernn.cli.output import tell, words, write_result
from edgernn.errors import UsageError

_LONG_STEPS = 1000


def verify(
    bundle: Annotated[Path, typer.Argument(help="A bundle: a folder or a .edgernn file.")],
    to: Annotated[
        str | None,
        typer.Option(help="Formats or files to verify; default all.", **completing(format_names)),
    ] = None,
    steps: Annotated[
        int, typer.Option(help="Steps of a rollout, tokens of the greedy text.")
    ] = 256,
    seed: Annotated[
        int | None,
        typer.Option(help="Draw rows and call lengths as the report with this seed did."),
    ] = None,
    long: Annotated[bool, typer.Option("--long", help="1,000 steps.")] = False,
    strict: Annotated[
        bool, typer.Option("--strict", help="Fail also where a check could not be run.")
    ] = False,
    reference: Annotated[
        Path | None, typer.Option(help="Compare with this checkpoint, not the bundle's.")
    ] = None,
    trust: TrustOption = False,
    signed_by: SignedByOption = None,
    signer: SignerOption = None,
    runtime: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="onnxruntime-web, -node or tflite-micro, in place of each format's own.",
        ),
    ] = None,
    runtime_path: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="Where npm put that runtime.")
    ] = None,
    json: Annotated[
        str | None, typer.Option(help="Write the report as JSON to this file; - for stdout.")
    ] = None,
    junit: Annotated[str | None, typer.Option(help="Write it as JUnit XML; - for stdout.")] = None,
    html: Annotated[
        str | None, typer.Option(help="Write it as a page to publish; - for stdout.")
    ] = None,
) -> None:
    """Check every artifact against the reference over chained runs. Exit code 0: all passed; 1: a
    check failed.
    """
    from edgernn.parity.report.data import VerifyReport
    from edgernn.parity.report.html import to_html
    from edgernn.parity.report.junit import to_junit
    from edgernn.parity.verify import verify_bundle

    if (json, junit, html).count("-") > 1:
        raise UsageError(
            "- is given for more than one of --json, --junit and --html; stdout takes one of them"
        )
    report = verify_bundle(
        bundle,
        to=words(to),
        steps=_LONG_STEPS if long else steps,
        seed=seed,
        reference=reference,
        trust=trust,
        signed_by=signed_by,
        signer=signer,
        runtime=runtime,
        runtime_path=runtime_path,
        write_report=True,
        tell=tell,
    )
    for target, make in ((json, VerifyReport.to_json), (junit, to_junit), (html, to_html)):
        if target is not None:
            write_result(target, make(report))
    if "-" not in (json, junit, html):
        tables.say_report(report)
    if not report.passed or (strict and not report.complete):
        raise typer.Exit(1)
