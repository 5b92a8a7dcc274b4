"""The C that writes text, compiled with a file of the tests' own and called."""

from __future__ import annotations

import ctypes
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edgernn.bundle import Bundle
from edgernn.contract import Decoding
from edgernn.data.text.tokenizer import Tokenizer
from edgernn.decoding.beam import Hypothesis, beam_search
from edgernn.decoding.sampling import Sampler
from edgernn.export.to_c.decoding.companions import companions
from edgernn.sessions.base import Arrays
from edgernn.sessions.c_folder import checked_sources
from edgernn.sessions.compiler import build, find_compiler
from edgernn.sessions.model import Model
from edgernn.sessions.opening import read_first_state

_PROBE = Path(__file__).parent / "probe.c"
_WRITTEN = 100  # a return from here on counts tokens
_Seed = ctypes.c_uint64


@dataclass(frozen=True)
class Probe:
    """A bundle's step and text in C, as a library."""

    library: ctypes.CDLL

    def choose(
        self, logits: np.ndarray, uniform: float, sampler: Sampler, *, in_order: bool = False
    ) -> int:
        """Return the token, or the code below 0."""
        given = np.ascontiguousarray(logits, np.float32)
        room = [np.empty(given.size, np.int32) for _ in range(3)]
        call = self.library.probe_in_order if in_order else self.library.probe_choose
        return int(
            call(
                _pointer(given),
                given.size,
                ctypes.c_double(sampler.temperature),
                sampler.top_k,
                ctypes.c_double(sampler.top_p),
                ctypes.c_double(uniform),
                *map(_pointer, room),
            )
        )

    def begin(self) -> None:
        """Begin a text."""
        assert self.library.probe_begin() == 0

    def write(
        self,
        prompt: list[int],
        *,
        length: int,
        options: tuple[float, int, float] = (0.8, 0, 1.0),
        seed: int = 0,
        hears: int = 0,
    ) -> list[int] | int:
        """Write on; return the tokens, or the code. Options are temperature, top-k and top-p."""
        tokens, out = np.array(prompt, np.int64), np.full(max(length, 1), -1, np.int64)
        temperature, top_k, top_p = options
        code = self.library.probe_write(
            _pointer(tokens) if prompt else None,
            len(prompt),
            ctypes.c_double(temperature),
            top_k,
            ctypes.c_double(top_p),
            _Seed(seed),
            length,
            hears,
            _pointer(out),
        )
        if code < _WRITTEN:
            assert (out == -1).all(), "nothing is written where a call is refused"
            return int(code)
        return [int(token) for token in out[: code - _WRITTEN]]


def probe_of(files: Mapping[str, bytes]) -> Probe:
    """Compile the files of a step and a text."""
    own = {name: content for name, content in files.items() if name not in ("main.c", "text.c")}
    probe = _PROBE.read_text("ascii").replace('#include "text.c"', files["text.c"].decode())
    library = build({**own, "probe.c": probe.encode()}, find_compiler())
    library.net_text_uniform.restype = ctypes.c_double
    return Probe(library)


def files_of(
    bundle: Bundle, tokenizer: Tokenizer | None, decoding: Decoding | None = None
) -> dict[str, bytes]:
    """Return the files of a bundle's step, and those that write text with other defaults."""
    manifest = bundle.manifest
    inner = manifest.initial_state
    stored: Arrays = read_first_state(bundle.path(inner), manifest.contract) if inner else {}
    chosen = manifest.decoding if decoding is None else decoding
    text = companions(manifest.contract, chosen, tokenizer, stored)
    return {**checked_sources(bundle.path("c/step")), **text}


def _pointer(array: np.ndarray) -> ctypes.c_void_p:
    return ctypes.c_void_p(array.ctypes.data)


def wanted(
    model: Model, picture: np.ndarray, decoding: Decoding, *, width: int, normalisation: float = 0.7
) -> list[Hypothesis]:
    """The captions that the library finds over the same files."""
    contexts, state = model.look(picture[None])
    return beam_search(
        model.step,
        state,
        contexts=contexts,
        start=decoding.start,
        width=width,
        length=decoding.length,
        stop=decoding.stop,
        suppress=decoding.suppress,
        normalisation=normalisation,
    )
