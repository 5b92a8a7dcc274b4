//! Replays `sampler.json`: random numbers and choices of tokens that every device must make alike.

use serde::Deserialize;

use crate::bundle::Bundle;
use crate::error::{refuse, Result};
use crate::golden::Line;
use crate::json;
use crate::sampler::{sample, suppress, uniform_at, Sampling};

#[derive(Deserialize)]
struct Head {
    version: u64,
    generator: String,
}

#[derive(Deserialize)]
struct Vectors {
    uniforms: Vec<Numbers>,
    tokens: Vec<Choice>,
}

#[derive(Deserialize)]
struct Numbers {
    seed: u64,
    position: u64,
    values: Vec<f64>,
}

#[derive(Deserialize)]
struct Choice {
    logits: Vec<f32>,
    suppress: Vec<i64>,
    #[serde(flatten)]
    sampling: Sampling,
    uniform: f64,
    token: usize,
}

/// How many numbers and tokens are not the recorded ones, without end where the file records none; no line where the bundle
/// has no vectors.
pub fn replay(bundle: &Bundle) -> Result<Vec<Line>> {
    let Some(file) = bundle.vectors()? else { return Ok(Vec::new()) };
    let head: Head = json::read(&file, "sampler.json")?;
    if head.version != 1 || head.generator != "splitmix64" {
        refuse!(
            "sampler.json is of version {} and {}, expected 1 and splitmix64; use a host that reads it",
            head.version,
            head.generator
        );
    }
    let vectors: Vectors = json::read(&file, "sampler.json")?;
    let numbers = vectors.uniforms.iter().flat_map(|group| {
        (group.position..).zip(&group.values).map(|(position, &value)| value == uniform_at(group.seed, position))
    });
    let mut tokens = Vec::new();
    for choice in &vectors.tokens {
        let mut logits = choice.logits.clone();
        suppress(&mut logits, &choice.suppress)?;
        tokens.push(sample(&logits, &choice.sampling, choice.uniform)? == choice.token);
    }
    Ok(vec![line("uniforms", &numbers.collect::<Vec<_>>()), line("sampler", &tokens)])
}

fn line(name: &str, right: &[bool]) -> Line {
    let wrong = right.iter().filter(|&&right| !right).count();
    let worst = if right.is_empty() { f64::INFINITY } else { wrong as f64 };
    Line { name: name.to_owned(), worst, tolerance: 0.0, steps: Vec::new() }
}
