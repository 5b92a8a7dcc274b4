"""A whole text run, as ``edgernn train text`` does it: corpus and vocabulary, model, loop, and what
is left in the folder.

RUN/config.json, weights.safetensors,
    tokenizer.json, held_out.safetensors    the checkpoint, best on validation
RUN/training.safetensors                    the resumable state
RUN/corpus/                                 the encoded corpus
RUN/metrics.jsonl, loss.png                 how it went
RUN/gradients.json, gradients.png           how far gradients reach, where asked for
RUN/run.toml                                what the run was told: its options
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
from pydantic import AfterValidator, Field

from edgernn.contract import TOKENS, Record
from edgernn.data.text import counting
from edgernn.data.text.corpus import Corpus
from edgernn.data.text.source import CorpusSource, open_source
from edgernn.data.text.token_kinds import CAPTION
from edgernn.data.text.tokenizer import Tokenizer
from edgernn.models import checkpoint
from edgernn.training.counting import CountingTask
from edgernn.training.device import choose_device, mixed_precision
from edgernn.training.distributed import World
from edgernn.training.options import TrainOptions
from edgernn.training.progress import Reporter
from edgernn.training.run import Run
from edgernn.training.schedule import Budget
from edgernn.training.starting import new_run, resume_run
from edgernn.training.text import TextTask
from edgernn.training.text_loss import STATE_PENALTY
from edgernn.training.text_model import text_config, text_model

CORPUS = "corpus"
_EVALUATION_TOKENS = 1 << 15
_LOWER = "--batch, --chunk, --hidden or --vocabulary"  # what needs memory


def _of_text(tokens: str) -> str:
    if tokens == CAPTION:
        raise ValueError(
            "captions' tokens lose what stands between words; expected char, byte, word or bpe"
        )
    return tokens


class TextSetup(Record):
    """What a text run is made of, besides the loop's options; saved with the run.

    Attributes:
        tokens: one of ``TOKEN_KINDS``.
        model: the model but for its vocabulary, which the text decides.
        vocabulary, minimum_count: limits for the tokens ``word`` and ``bpe``, see
            ``Tokenizer.build``.
        validation_fraction: share of the text, at its end, that is kept for validation.
        state_penalty: how strongly a state is kept within ±3, see ``training.text``; 0 lets it
            grow, as counting needs.
        letters: of a text of ``data.text.counting``: training goes over its whole lines, see
            ``training.counting``; None for any other text.
    """

    tokens: Annotated[str, AfterValidator(_of_text)] = "char"
    model: dict[str, Any] = Field(default_factory=dict)
    vocabulary: int | None = None
    minimum_count: int = 2
    validation_fraction: float = 0.1
    state_penalty: float = Field(default=STATE_PENALTY, ge=0)
    letters: str | None = None


def train_text(
    data: str,
    out: Path,
    *,
    options: TrainOptions,
    setup: TextSetup | None = None,
    glob: str = "**/*.txt",
    validation: str | None = None,
    device: str = "auto",
    reporter: Reporter | None = None,
    settings: str | None = None,
    began: float | None = None,
) -> Run:
    """Train a language model on a text into the folder ``out``.

    Args:
        data: a file, a folder (with ``glob``), ``-`` for standard input, or a built-in text,
            such as ``python-docs``.
        out: a folder that holds no run yet.
        options: of the loop.
        setup: tokens and model; the default is a character LSTM.
        glob: which files of a folder.
        validation: a text of its own for validation, named as ``data``.
        device: ``auto``, ``cuda``, ``mps`` or ``cpu``.
        reporter: who hears of the run.
        settings: left in the folder as ``run.toml``: what the run was told, for whoever wants it
            again.
        began: when the command began, by ``time.perf_counter``; a budget of minutes counts from
            there.

    Raises:
        UsageError, DataError, TrainingError, StorageError: see errors.py.
    """
    setup = setup or TextSetup()
    chosen = choose_device(device)
    text_config(setup.model, vocabulary=1)
    return new_run(
        out,
        options,
        setup,
        _task,
        prepare=partial(_prepare, data, out, setup=setup, glob=glob, validation=validation),
        data=out / CORPUS,
        lower=_LOWER,
        device=chosen,
        reporter=reporter,
        settings=settings,
        began=began,
    )


def resume_text(
    out: Path,
    *,
    budget: Budget | None = None,
    threads: int | None = None,
    device: str = "auto",
    reporter: Reporter | None = None,
) -> Run:
    """Go on with the run in ``out`` as if it had never stopped; a new ``budget`` lengthens or
    shortens it.

    Raises:
        CheckpointError, DataError, UsageError: see ``resume_run``.
    """
    return resume_run(
        out,
        TextSetup,
        _task,
        command="text",
        data=out / CORPUS,
        lower=_LOWER,
        budget=budget,
        threads=threads,
        device=device,
        reporter=reporter,
    )


def _prepare(data: str, out: Path, *, setup: TextSetup, glob: str, validation: str | None) -> None:
    """Make the vocabulary and the encoded corpus."""
    with ExitStack() as stack:
        source = stack.enter_context(open_source(data, glob=glob))
        own = stack.enter_context(open_source(validation, glob=glob)) if validation else None
        tokenizer = Tokenizer.build(
            _texts(source, own),
            setup.tokens,
            minimum_count=setup.minimum_count,
            vocabulary_size=setup.vocabulary,
        )
        corpus = Corpus.encode(
            source,
            tokenizer,
            out / CORPUS,
            validation_fraction=setup.validation_fraction,
            validation_source=own,
        )
    tokenizer.save(out / checkpoint.TOKENIZER)
    evaluation = corpus.validation[:_EVALUATION_TOKENS]
    if setup.letters:  # it is trained on lines, each from the first state
        evaluation = tokenizer.encode("\n" + counting.line(setup.letters, counting.LONGEST))
    evaluation = np.asarray(evaluation, np.int64)
    checkpoint.save_evaluation(out / checkpoint.EVALUATION, {TOKENS: evaluation})


def _texts(source: CorpusSource, own: CorpusSource | None) -> Iterator[str]:
    """All text that must be in the vocabulary: a character met only in validation has to be
    encodable, too.
    """
    return chain(source.chunks(), own.chunks() if own else ())


def _task(
    out: Path, options: TrainOptions, *, setup: TextSetup, here: World, device: torch.device
) -> TextTask:
    tokenizer = Tokenizer.load(out / checkpoint.TOKENIZER)
    corpus = Corpus.open(out / CORPUS)
    corpus.check_tokenizer(tokenizer)
    torch.manual_seed(options.seed)
    model = text_model(setup.model, vocabulary=tokenizer.vocabulary_size)
    model.restrict()
    if here.rank:
        # dropout differs between processes; weights do not
        torch.manual_seed(options.seed + here.rank)
    about = {
        "corpus": corpus.source,
        "split": corpus.split,
        "tokens": tokenizer.kind,
        "train_tokens": len(corpus.train),
        "options": options.model_dump(),
    }
    kind: Callable[..., TextTask] = TextTask
    if setup.letters:
        kind = partial(CountingTask, letters=setup.letters)
    return kind(
        model.to(device),
        corpus,
        tokenizer=tokenizer,
        world=here,
        batch=options.batch,
        chunk=options.chunk,
        mixed=mixed_precision(options.mixed, device),
        folder=out,
        about=about,
        state_penalty=setup.state_penalty,
        vanishing_penalty=options.vanishing_penalty,
    )
