//! Runs a bundle of edgernn: [`Model::load`], [`Model::begin`], [`Model::step`], [`sampler::sample`] and [`Model::generate`].
//!
//! No tensor's name or shape stands in this code: all of that is read from the bundle's `manifest.json`. Bad input is a
//! [`BundleError`], one line that says what was wrong, the value seen, what was expected and what to do.

pub mod bundle;
mod byte_pairs;
pub mod compiled;
pub mod contract;
mod error;
pub mod generate;
pub mod golden;
mod json;
pub mod manifest;
pub mod model;
mod onnx_guard;
pub mod ort;
mod safetensors;
pub mod sampler;
pub mod tensor;
pub mod tokenizer;
pub mod vectors;
mod zip;

#[cfg(target_endian = "big")]
compile_error!("bundles are little-endian, and this crate reads them as they are");

pub use bundle::Bundle;
pub use error::{BundleError, Result};
pub use generate::Options;
pub use model::{Begun, Model, Results, Session};
pub use sampler::{sample, uniform_at, Sampling};
pub use tensor::{Dtype, Tensor, Tensors};
pub use tokenizer::Tokenizer;
