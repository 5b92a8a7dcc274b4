//! From scores to a token: the same numbers give the same token on every device.

use serde::Deserialize;

use crate::error::{refuse, Result};

/// How a token is chosen.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
pub struct Sampling {
    /// Scores are divided by it; 0 takes the most probable token.
    pub temperature: f64,
    /// The most probable tokens that are kept; 0 keeps all.
    pub top_k: usize,
    /// Above 0: the fewest tokens with this probability are kept; 1 keeps all.
    pub top_p: f64,
}

impl Default for Sampling {
    fn default() -> Self {
        Self { temperature: 0.8, top_k: 0, top_p: 1.0 }
    }
}

impl Sampling {
    /// Refuses what is out of range.
    pub fn check(&self) -> Result<()> {
        if !(self.temperature >= 0.0 && self.temperature.is_finite()) {
            refuse!("temperature is {}, expected 0 (greedy) or more; change it", self.temperature);
        }
        if !(self.top_p > 0.0 && self.top_p <= 1.0) {
            refuse!("top-p is {}, expected above 0 and at most 1; 1 keeps all", self.top_p);
        }
        Ok(())
    }
}

/// Chooses a token id from the logits `[V]`, minus infinity where a token must not come. `uniform` in [0, 1) decides; ties go
/// to the lower id.
pub fn sample(logits: &[f32], sampling: &Sampling, uniform: f64) -> Result<usize> {
    if logits.is_empty() || logits.iter().any(|&x| x.is_nan() || x == f32::INFINITY) {
        refuse!("the scores are none or not finite, expected numbers; replay the golden run with --check");
    }
    let best = (1..logits.len()).fold(0, |best, id| if logits[id] > logits[best] { id } else { best });
    if logits[best].is_infinite() {
        refuse!("every token is suppressed, expected at least one that may be written; export the bundle again");
    }
    if sampling.temperature == 0.0 {
        return Ok(best);
    }
    let mut order: Vec<usize> = (0..logits.len()).collect();
    order.sort_by(|&one, &other| logits[other].partial_cmp(&logits[one]).expect("no score is a NaN")); // stable
    if sampling.top_k > 0 {
        order.truncate(sampling.top_k);
    }
    let mut total = 0.0;
    let mut cumulative: Vec<f64> = Vec::with_capacity(order.len());
    for &id in &order {
        total += ((f64::from(logits[id]) - f64::from(logits[best])) / sampling.temperature).exp();
        cumulative.push(total);
    }
    cumulative.iter_mut().for_each(|part| *part /= total); // ends in exactly 1
    if sampling.top_p < 1.0 {
        let kept = cumulative.iter().position(|&part| part >= sampling.top_p).map_or(cumulative.len(), |last| last + 1);
        cumulative.truncate(kept);
        let last = cumulative[kept - 1];
        cumulative.iter_mut().for_each(|part| *part /= last);
    }
    Ok(order[cumulative.iter().position(|&part| part > uniform).unwrap_or(cumulative.len() - 1)])
}

/// The number in [0, 1) of a seed that decides the token at `position`: SplitMix64 (Steele et al. 2014).
pub fn uniform_at(seed: u64, position: u64) -> f64 {
    let z = seed.wrapping_add(position.wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15));
    let z = (z ^ z >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let z = (z ^ z >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
    ((z ^ z >> 31) >> 11) as f64 * (1.0 / (1u64 << 53) as f64)
}

/// Makes ids impossible.
pub fn suppress(logits: &mut [f32], ids: &[i64]) -> Result<()> {
    let count = logits.len();
    for &id in ids {
        match usize::try_from(id).ok().and_then(|at| logits.get_mut(at)) {
            Some(score) => *score = f32::NEG_INFINITY,
            None => {
                refuse!("decoding.suppress names the id {id}, expected 0 to {}; export the bundle again", count - 1)
            }
        }
    }
    Ok(())
}
