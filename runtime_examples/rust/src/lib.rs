//! The step of a bundle behind a safe interface: [`step`] takes [`Inputs`], a [`State`] and [`Outputs`], whose fields are
//! those of the bundle's header. A state is a plain value: a clone of it is a fork.
//!
//! No allocation, no thread, no global state, no `std`: the C that does the work has none of them either.
#![no_std]

use core::fmt;

/// Why a step was refused. Nothing was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Error {
    /// A slice is of another length than the network takes.
    Length { tensor: &'static str, found: usize, expected: usize },
    /// An id is outside its range.
    Range,
    /// The C refuses for a reason that this crate does not know.
    Refused(i32),
}

impl fmt::Display for Error {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Length { tensor, found, expected } => {
                write!(out, "{tensor} has {found} elements, expected {expected}; give as many as {ARTIFACT} takes")
            }
            Self::Range => write!(out, "an id is outside its range; give one of the model's own"),
            Self::Refused(code) => write!(out, "the network returns {code}, expected 0; see its header"),
        }
    }
}

impl core::error::Error for Error {}

fn check(tensor: &'static str, found: usize, expected: usize) -> Result<(), Error> {
    if found == expected {
        Ok(())
    } else {
        Err(Error::Length { tensor, found, expected })
    }
}

/// What the header says of a number that a step returns; null pointers there are none.
fn told(code: i32) -> Result<(), Error> {
    match code {
        0 => Ok(()),
        2 => Err(Error::Range),
        other => Err(Error::Refused(other)),
    }
}

#[cfg(has_text)]
pub mod text;

include!(concat!(env!("OUT_DIR"), "/net.rs"));
