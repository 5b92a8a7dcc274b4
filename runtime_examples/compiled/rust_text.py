"""The Rust that ``text.h`` of a bundle stands for: what ``src/text.rs`` of the crate calls."""

from __future__ import annotations

import re

from bundle import AGAIN, BundleError

_RAW = """
#[cfg(has_text)]
mod text_raw {{
    use crate::text::{{Options, Room, Text}};
    use core::ffi::{{c_int, c_void}};

    pub const VOCABULARY: usize = {vocabulary};
    pub const DEFAULTS: Options = Options {{
        temperature: {temperature},
        top_k: {top_k},
        top_p: {top_p},
        seed: {seed},
        length: {length},
    }};

    extern "C" {{
        #[link_name = "{prefix}_text_begin"]
        pub fn begin(text: *mut Text) -> c_int;
        #[link_name = "{prefix}_text_write"]
        pub fn write(
            text: *mut Text,
            tokens: *const i64,
            count: i32,
            options: *const Options,
            hear: extern "C" fn(*mut c_void, i64) -> c_int,
            context: *mut c_void,
            room: *mut Room,
        ) -> c_int;
    }}

    #[cfg(has_tokens)]
    extern "C" {{
        #[link_name = "{prefix}_text_encode"]
        pub fn encode(
            text: *const core::ffi::c_char,
            tokens: *mut i64,
            room: i32,
            count: *mut i32,
        ) -> c_int;
        #[link_name = "{prefix}_text_push"]
        pub fn push(
            decoder: *mut crate::text::Decoder,
            token: i64,
            piece: *mut core::ffi::c_char,
        ) -> i32;
        #[link_name = "{prefix}_text_flush"]
        pub fn flush(decoder: *mut crate::text::Decoder, piece: *mut core::ffi::c_char) -> i32;
    }}
}}
"""
_DEFAULTS = re.compile(r"_TEXT_DEFAULTS \{([\d.e+-]+), (\d+), ([\d.e+-]+), (\d+), (\d+)\}")
_VOCABULARY = re.compile(r"_TEXT_VOCABULARY (\d+)\b")


def text_source(prefix: str, header: str) -> str:
    """Return the part of ``net.rs`` for a bundle that writes text."""
    defaults, vocabulary = _DEFAULTS.search(header), _VOCABULARY.search(header)
    if defaults is None or vocabulary is None:
        raise BundleError(f"text.h declares no vocabulary and defaults, expected both; {AGAIN}")
    temperature, top_k, top_p, seed, length = defaults.groups()
    return _RAW.format(
        prefix=prefix,
        vocabulary=vocabulary[1],
        temperature=repr(float(temperature)),
        top_k=top_k,
        top_p=repr(float(top_p)),
        seed=seed,
        length=length,
    )
