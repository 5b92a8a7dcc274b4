//! Text and captions, token by token: the same tokens as edgernn and every other host for the same seed.

use std::collections::BTreeSet;

use crate::contract::{BATCH, TIME};
use crate::error::{refuse, Result};
use crate::manifest::TensorSpec;
use crate::model::{Begun, Model};
use crate::sampler::{sample, suppress, uniform_at, Sampling};
use crate::tensor::{Dtype, Tensor, Tensors};
use crate::tokenizer::Tokenizer;

const PREFILL_STEPS: usize = 256; // a longer prompt goes in as several calls, so that memory stays bounded
const MOST_LOGITS: usize = 1 << 20; // of one such call: 4 MB

/// How much to write and how.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Options {
    /// The most tokens.
    pub length: usize,
    /// Of the random numbers, one a token.
    pub seed: u64,
    pub sampling: Sampling,
}

/// A text that goes on with every token that is asked for; its state is that after all tokens that were fed.
pub struct Writing<'a> {
    model: &'a Model,
    options: Options,
    position: u64,
    pending: Vec<i64>,
    pub contexts: Tensors,
    pub state: Tensors,
}

impl Model {
    /// Writes a text after `prompt`; an empty one begins with the bundle's start tokens.
    pub fn generate(&self, tokenizer: &Tokenizer, prompt: &str, options: Options) -> Result<Writing<'_>> {
        if self.bundle.contract.encode.is_some() {
            refuse!("this bundle writes about what encode is given, expected a language model; caption in place of generate");
        }
        let ids = tokenizer.encode(prompt)?;
        self.write(if ids.is_empty() { self.start()? } else { ids }, self.begin(&Tensors::new(), 1)?, options)
    }

    /// Writes the caption of what encode is given: a picture, or features of one. A stop token ends it and is none of its words.
    pub fn caption(&self, inputs: &Tensors, options: Options) -> Result<Writing<'_>> {
        self.write(self.start()?, self.begin(inputs, 1)?, options)
    }

    /// Feeds ids, one or more, then samples and feeds back, from where a sequence was begun.
    pub fn write(&self, ids: Vec<i64>, begun: Begun, options: Options) -> Result<Writing<'_>> {
        self.require_text()?;
        options.sampling.check()?;
        if ids.is_empty() {
            refuse!("there is no token to begin with, expected one or more; give a prompt");
        }
        let most = self.bundle.manifest.decoding.length;
        let length = if most > 0 { options.length.min(most) } else { options.length };
        let Begun { contexts, state } = begun;
        Ok(Writing { model: self, options: Options { length, ..options }, position: 0, pending: ids, contexts, state })
    }

    /// Refuses a model that does not write: tokens in, scores of tokens out.
    pub fn require_text(&self) -> Result<(&TensorSpec, &TensorSpec)> {
        let contract = &self.bundle.contract;
        let only = |axes: &[String]| axes.iter().all(|axis| axis == BATCH || axis == TIME);
        match (contract.ids(), contract.scores()) {
            (Some(ids), Some(scores))
                if only(&ids.axes)
                    && only(&scores.axes[..scores.axes.len() - 1])
                    && ids.dtype == Dtype::Int64
                    && !scores.dtype.is_integer()
                    && contract.step.fresh().count() == 1
                    && contract.step_frames == 1 =>
            {
                Ok((ids, scores))
            }
            _ => refuse!("this bundle takes other than one token a step, so this host writes no text with it; step it, or --check it"),
        }
    }

    /// What is fed where there is no prompt.
    fn start(&self) -> Result<Vec<i64>> {
        let (start, size) = (&self.bundle.manifest.decoding.start, self.bundle.contract.vocabulary());
        if start.is_empty() || start.iter().any(|&id| id < 0 || id as usize >= size) {
            refuse!(
                "decoding.start in manifest.json is {start:?}, expected ids of 0 to {}; give a prompt",
                size.max(1) - 1
            );
        }
        Ok(start.clone())
    }
}

impl Writing<'_> {
    /// Feeds what is pending, several tokens at once where the model takes them; returns the scores after the last.
    fn feed(&mut self) -> Result<Vec<f32>> {
        let (ids, scores) = self.model.require_text()?;
        let vocabulary = self.model.bundle.contract.vocabulary();
        let most = (MOST_LOGITS / vocabulary.max(1)).clamp(1, PREFILL_STEPS);
        let width = if self.model.open_time && ids.axes.iter().any(|axis| axis == TIME) { most } else { 1 };
        let mut row = Vec::new();
        for part in std::mem::take(&mut self.pending).chunks(width) {
            let shape: Vec<usize> = ids.axes.iter().map(|axis| if axis == TIME { part.len() } else { 1 }).collect();
            self.contexts.insert(ids.name.clone(), Tensor::of_i64(&shape, part)?);
            let made = self.model.step(&self.contexts, &self.state)?;
            self.state = made.state;
            let all = made.outputs[&scores.name].numbers();
            row = all[all.len() - vocabulary..].iter().map(|&score| score as f32).collect();
        }
        Ok(row)
    }

    fn choose(&mut self) -> Result<i64> {
        let mut row = self.feed()?;
        suppress(&mut row, &self.model.bundle.manifest.decoding.suppress)?;
        let uniform = uniform_at(self.options.seed, self.position);
        let token = sample(&row, &self.options.sampling, uniform)? as i64;
        self.position += 1;
        let ends = self.model.bundle.manifest.decoding.stop.contains(&token);
        if ends {
            self.options.length = 0;
        } else {
            self.pending = vec![token];
        }
        Ok(token)
    }

    /// The ids that are left, without the one that ends a caption.
    pub fn words(self) -> Result<Vec<i64>> {
        let stop: BTreeSet<i64> = self.model.bundle.manifest.decoding.stop.iter().copied().collect();
        let all = self.collect::<Result<Vec<_>>>()?;
        Ok(all.into_iter().filter(|id| !stop.contains(id)).collect())
    }
}

impl Iterator for Writing<'_> {
    type Item = Result<i64>;

    /// The next token; none after one that ends a text, or after the length.
    fn next(&mut self) -> Option<Result<i64>> {
        if self.position >= self.options.length as u64 {
            return None;
        }
        let made = self.choose();
        if made.is_err() {
            self.options.length = 0;
        }
        Some(made)
    }
}
