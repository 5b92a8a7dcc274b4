//! Text from the network, token for token what edgernn writes: tokens in, one token after the other out. All memory is the
//! caller's.

use core::ffi::{c_int, c_void};
use core::fmt;

use crate::text_raw as raw;
pub use crate::text_raw::VOCABULARY;
use crate::State;

/// How tokens are chosen; the default is what the model's maker recommends.
#[derive(Clone, Copy, Debug, PartialEq)]
#[repr(C)]
pub struct Options {
    /// 0 or more: scores are divided by it; 0 takes the most probable token.
    pub temperature: f64,
    /// The most probable tokens that are kept; 0 keeps all.
    pub top_k: i32,
    /// Above 0: the fewest tokens with this probability are kept; 1 keeps all.
    pub top_p: f64,
    /// Of the random numbers, one a token.
    pub seed: u64,
    /// The most tokens that are written; 1 or more.
    pub length: i32,
}

impl Default for Options {
    fn default() -> Self {
        raw::DEFAULTS
    }
}

/// Where a text stands: a clone of it is a fork.
#[derive(Clone, Debug, PartialEq)]
#[repr(C)]
pub struct Text {
    /// After every token that was fed.
    pub state: State,
    position: u64,
    pending: i64,
}

/// Memory for one call, of any text.
#[derive(Clone)]
#[repr(C)]
pub struct Room {
    logits: [f32; VOCABULARY],
    weights: [i32; VOCABULARY],
    order: [i32; VOCABULARY],
    next: [i32; VOCABULARY],
}

impl Room {
    pub const fn new() -> Self {
        Self { logits: [0.0; VOCABULARY], weights: [0; VOCABULARY], order: [0; VOCABULARY], next: [0; VOCABULARY] }
    }
}

impl Default for Room {
    fn default() -> Self {
        Self::new()
    }
}

/// Why nothing, or nothing more, was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Error {
    /// A token is outside the vocabulary.
    Range,
    /// An option is out of its range.
    Option,
    /// There is no token to feed.
    Empty,
    /// No score can be chosen: all are suppressed, or one is infinite.
    Logits,
    /// The vocabulary lacks a character of the text.
    Unknown,
    /// There is no room for so many tokens.
    Long,
    /// The C refuses for a reason that this crate does not know.
    Refused(i32),
}

impl fmt::Display for Error {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Range => write!(out, "a token is outside the vocabulary; give one below {VOCABULARY}"),
            Self::Option => write!(out, "an option is out of its range; see the fields of Options"),
            Self::Empty => write!(out, "there is no token to begin with; give a prompt"),
            Self::Logits => write!(out, "the model gave no score that can be chosen; verify the bundle"),
            Self::Unknown => write!(out, "the text has a character that the model does not know; leave it out"),
            Self::Long => write!(out, "there is no room for so many tokens; give more, or a shorter text"),
            Self::Refused(code) => write!(out, "the text returns {code}, expected 0; see its header"),
        }
    }
}

impl core::error::Error for Error {}

fn told(code: i32) -> Result<(), Error> {
    match code {
        0 => Ok(()),
        2 => Err(Error::Range),
        3 => Err(Error::Option),
        4 => Err(Error::Empty),
        5 => Err(Error::Logits),
        6 => Err(Error::Unknown),
        7 => Err(Error::Long),
        other => Err(Error::Refused(other)),
    }
}

impl Text {
    /// The first state, nothing fed.
    pub fn begin() -> Result<Self, Error> {
        let mut text = Self { state: State::first(), position: 0, pending: 0 };
        // SAFETY: the text has the C's own layout, and is kept by nobody.
        told(unsafe { raw::begin(&mut text) })?;
        Ok(text)
    }

    /// Feeds `prompt`, then writes up to `options.length` tokens, to a stop token of the model or as long as `hear` is true
    /// of each. To go on, call it again. `hear` must not panic.
    pub fn write<F: FnMut(i64) -> bool>(
        &mut self,
        prompt: &[i64],
        options: &Options,
        room: &mut Room,
        mut hear: F,
    ) -> Result<(), Error> {
        extern "C" fn heard<F: FnMut(i64) -> bool>(context: *mut c_void, token: i64) -> c_int {
            // SAFETY: the context is the `hear` of the call below, which lasts as long as that.
            let hear = unsafe { &mut *context.cast::<F>() };
            (!hear(token)).into()
        }
        let count = i32::try_from(prompt.len()).map_err(|_| Error::Long)?;
        let context = (&mut hear as *mut F).cast();
        // SAFETY: text, options and room have the C's own layouts, the prompt has `count` tokens, and none is kept.
        told(unsafe { raw::write(self, prompt.as_ptr(), count, options, heard::<F>, context, room) })
    }
}

/// Writes the tokens of a text, and returns how many they are; a text has no more tokens than bytes.
#[cfg(has_tokens)]
pub fn encode(text: &core::ffi::CStr, tokens: &mut [i64]) -> Result<usize, Error> {
    let mut count = 0;
    let room = i32::try_from(tokens.len()).unwrap_or(i32::MAX);
    // SAFETY: the text ends with a zero, and the tokens have that much room.
    told(unsafe { raw::encode(text.as_ptr(), tokens.as_mut_ptr(), room, &mut count) })?;
    Ok(count as usize)
}

/// Makes text of tokens, a character once it is whole.
#[cfg(has_tokens)]
#[derive(Clone, Debug, Default, PartialEq)]
#[repr(C)]
pub struct Decoder {
    held: [u8; 4],
    count: i32,
}

#[cfg(has_tokens)]
impl Decoder {
    /// Takes a token and returns the text that is whole by then, which lies in `piece`.
    pub fn push<'a>(&mut self, token: i64, piece: &'a mut [u8; 8]) -> Result<&'a str, Error> {
        // SAFETY: the C writes 8 bytes at most.
        let bytes = unsafe { raw::push(self, token, piece.as_mut_ptr().cast()) };
        let written = usize::try_from(bytes).map_err(|_| Error::Range)?;
        Ok(core::str::from_utf8(&piece[..written]).unwrap_or("\u{fffd}"))
    }

    /// Ends a text: U+FFFD for a character that stayed incomplete.
    pub fn flush<'a>(&mut self, piece: &'a mut [u8; 8]) -> &'a str {
        // SAFETY: the C writes 8 bytes at most.
        let bytes = unsafe { raw::flush(self, piece.as_mut_ptr().cast()) };
        core::str::from_utf8(&piece[..usize::try_from(bytes).unwrap_or(0)]).unwrap_or("\u{fffd}")
    }
}
