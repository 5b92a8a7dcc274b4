//! What a host says of bad input.

use std::fmt;

/// Bad input, in one line: what was wrong, the value seen, what was expected, what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BundleError(String);

pub type Result<T> = std::result::Result<T, BundleError>;

impl BundleError {
    /// Control characters become spaces, so that the message stays on one line.
    pub fn new(message: impl AsRef<str>) -> Self {
        let whole: String = message.as_ref().chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        Self(whole.trim_end().to_owned())
    }
}

impl fmt::Display for BundleError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

impl std::error::Error for BundleError {}

/// Returns a [`BundleError`] from the function that it stands in.
macro_rules! refuse {
    ($($part:tt)*) => { return Err($crate::error::BundleError::new(format!($($part)*))) };
}
pub(crate) use refuse;
