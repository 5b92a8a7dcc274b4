"""``edgernn demo``: the whole way on built-in data, from nothing to what an exported file
writes.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edgernn import formats
from edgernn.cli import demo_counting, tables
from edgernn.cli.config import as_toml
from edgernn.cli.output import progress_console, say, say_rule, say_sheet, stream, tell
from edgernn.cli.training import budget_of, not_learned, training
from edgernn.errors import UsageError
from edgernn.wording import argument, counted, size

if TYPE_CHECKING:
    from edgernn.bundle import Bundle
    from edgernn.training.progress import Reporter
    from edgernn.training.run import Run

app = typer.Typer(
    help="Train, export, verify and run a model on built-in data.", invoke_without_command=True
)

_PROMPT = "The function returns "
_SHOWN_SCENES = 6
_MINUTES = 4.0  # enough to learn on one slow core
_VERIFIED = " (the files compute what the model does; what it writes is noise all the same)"


@app.callback()
def group(context: typer.Context) -> None:
    """Train, export, verify and run a model on built-in data."""
    if context.invoked_subcommand is None:
        text()


@app.command("text")
@training()
def text(
    out: Annotated[
        Path, typer.Option(help="Where run and bundle go; must not hold an older demo.")
    ] = Path("demo-text"),
    minutes: Annotated[float, typer.Option(help="Minutes of training.")] = 2.0,
) -> None:
    """A character LSTM on Python's own documentation, to ONNX, TorchScript and Core ML."""
    from edgernn.contract import validated
    from edgernn.training.options import TrainOptions
    from edgernn.training.run_text import train_text

    options = validated(TrainOptions, budget=budget_of(minutes=minutes, steps=None, epochs=None))
    settings = as_toml(
        {"data": "python-docs", "minutes": minutes}, heading="edgernn train text --config THIS_FILE"
    )

    def train(folder: Path, reporter: Reporter) -> Run:
        return train_text(
            "python-docs", folder, options=options, reporter=reporter, settings=settings
        )

    def show(bundle: Bundle) -> list[str]:
        from edgernn.writing.text import write_text

        written = write_text(
            out / "bundle", _PROMPT, length=400, temperature=0.6, artifact=formats.YARDSTICK.name
        )
        say_rule(f"written by {written['artifact']}, one step a character")
        stream(_PROMPT + written["text"] + "\n")
        return [
            f"go on with edgernn generate {argument(out / 'bundle')} --prompt {_PROMPT.strip()!r}"
        ]

    _demo(out, f"training for {minutes:g} minutes on python-docs", train=train, show=show)


@app.command("captions")
@training()
def captions(
    out: Annotated[
        Path, typer.Option(help="Where run and bundle go; must not hold an older demo.")
    ] = Path("demo-captions"),
    minutes: Annotated[float, typer.Option(help="Minutes of training.")] = 4.0,
) -> None:
    """A captioner with attention on pictures drawn for it, some of colours and shapes it never saw
    together.
    """
    from edgernn.contract import validated
    from edgernn.training.caption_corpus import CaptionData
    from edgernn.training.options import TrainOptions
    from edgernn.training.run_captions import train_captions

    budget = budget_of(minutes=minutes, steps=None, epochs=None)
    options = validated(TrainOptions, budget=budget, batch=64, peak_rate=2e-3)
    settings = as_toml(
        {"data": "scenes", "minutes": minutes}, heading="edgernn train captions --config THIS_FILE"
    )

    def train(folder: Path, reporter: Reporter) -> Run:
        return train_captions(
            CaptionData(), folder, options=options, reporter=reporter, tell=tell, settings=settings
        )

    def show(bundle: Bundle) -> list[str]:
        return _show_captions(out)

    _demo(out, f"training for {minutes:g} minutes on scenes", train=train, show=show)


app.command("counting")(demo_counting.counting_demo)


def _demo(
    out: Path,
    training: str,
    *,
    train: Callable[[Path, Reporter], Run],
    show: Callable[[Bundle], list[str]],
) -> None:
    """Train, export, verify, show what the bundle writes, and sum up; ``show`` returns what else to
    tell at the end.
    """
    from edgernn.export.pack import export_bundle
    from edgernn.parity.verify import verify_bundle
    from edgernn.training.terminal import Terminal

    if (out / "run").exists():
        raise UsageError(f"{out} holds an older demo; remove it, or choose another --out")
    began = time.perf_counter()
    tell(f"1/4 {training}")
    run = train(out / "run", Terminal(progress_console()))
    if run.interrupted:
        raise typer.Exit(128 + run.signal)
    tell("2/4 exporting")
    bundle = export_bundle(run.folder, out / "bundle", tell=tell)
    tell("3/4 verifying")
    report = verify_bundle(bundle, write_report=True, tell=tell)
    say_rule("parity")
    tables.say_report(report)
    say_rule("artifacts")
    say_sheet(tables.artifacts(bundle.manifest))
    tell("4/4 running the ONNX file")
    further = show(bundle)
    say_rule("summary")
    steps = counted(run.steps, "step")
    say(
        f"model      {run.parameters:,} parameters, {steps}, {run.epochs:.1f} epochs in "
        f"{run.seconds:.0f} s"
    )
    say(f"loss       {run.validation_loss:.4f} nats/{run.unit} ({run.split})")
    if run.measured:
        say(
            "captions   " + ", ".join(f"{name} {value:.3f}" for name, value in run.measured.items())
        )
    say(f"bundle     {out / 'bundle'}, {size(tables.total_bytes(bundle.manifest))}")
    passed = "yes" if report.passed else "NO"
    say(f"verified   {passed}{_VERIFIED if report.passed and not run.learned else ''}")
    if not run.learned:
        say(f"learned    NO: {not_learned(run)}, for example with --minutes {_MINUTES:g}")
    say(f"all of it  {time.perf_counter() - began:.0f} s")
    for line in further:
        say(line)
    if not report.passed:
        raise typer.Exit(1)


def _show_captions(out: Path) -> list[str]:
    """Caption pictures of colours and shapes that were never trained together, and draw where the
    model looked.
    """
    from PIL import Image

    from edgernn import plots
    from edgernn.data.pictures import scene_words, scenes
    from edgernn.data.pictures.scene_drawing import MASTER, draw
    from edgernn.writing.captions import CaptionWriter

    folder = out / "pictures"
    folder.mkdir(parents=True, exist_ok=True)
    with CaptionWriter(out / "bundle", artifact=formats.YARDSTICK.name) as writer:
        say_rule(f"captions by {writer.artifact.path}, of combinations that training never showed")
        for index in range(_SHOWN_SCENES):
            scene = scenes.make_scene(scenes.UNSEEN, index)
            path = folder / f"{scenes.UNSEEN}-{index}.png"
            Image.fromarray(draw(scene, MASTER)).save(path)
            found = writer.write(path)
            known = scene_words.captions(scene)
            mark = (
                "one of its references"
                if found.text in known
                else f"its first reference: {known[0]}"
            )
            say(f"{path}  {found.text}  ({mark})")
            if found.attention is not None and found.picture is not None:
                plots.attention_map(
                    found.picture,
                    found.text.split(),
                    found.attention,
                    folder / f"attention-{index}.png",
                )
    return [
        f"attention  {folder}/attention-*.png show where it looked for each word",
        f"go on with edgernn caption {argument(out / 'bundle')} "
        f"{argument(folder / f'{scenes.UNSEEN}-0.png')}",
    ]
