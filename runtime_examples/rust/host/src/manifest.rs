//! `manifest.json` as plain data. What holds together in it is judged by [`crate::contract`] and [`crate::bundle`].

use std::collections::BTreeMap;

use serde::de::DeserializeOwned;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::contract::Contract;
use crate::error::{refuse, BundleError, Result};
use crate::json::{self, Unique};
use crate::sampler::Sampling;
use crate::tensor::Dtype;

pub const MANIFEST: &str = "manifest.json";

/// What of the manifest a host reads.
#[derive(Debug)]
pub struct Manifest {
    pub artifacts: Vec<Artifact>,
    /// Every file of the bundle but the model files.
    pub files: BTreeMap<String, Digest>,
    pub tokenizer: Option<TokenizerEntry>,
    pub decoding: Decoding,
    /// The file of the recorded run.
    pub golden: Option<String>,
    /// The file of the sampler's vectors.
    pub sampler: Option<String>,
    /// The file of the stored first values.
    pub initial_state: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Digest {
    pub bytes: u64,
    pub sha256: String,
}

/// One model file.
#[derive(Clone, Debug, Deserialize)]
pub struct Artifact {
    pub path: String,
    pub format: String,
    pub precision: String,
    pub graph: String,
    #[serde(flatten)]
    pub digest: Digest,
    #[serde(default)]
    pub narrowing: Option<Narrowing>,
    #[serde(default)]
    requires: Option<Unique<String>>,
    #[serde(default)]
    tolerance: Option<f64>,
    #[serde(default)]
    forced: Option<bool>,
    #[serde(default)]
    parity: Option<Parity>,
}

/// What a file fixes of the contract.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Narrowing {
    /// Axis → the only size that the file takes.
    pub axes: Unique<u64>,
    /// Tensor → a dtype that is not the contract's.
    pub dtypes: Unique<String>,
    /// Whether the runtime keeps the state.
    pub runtime_state: bool,
}

#[derive(Clone, Debug, Deserialize)]
struct Parity {
    tolerance: Option<f64>,
}

/// How far a file may be from the recorded run; forced: each step from the recorded state, relative.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Promise {
    pub tolerance: f64,
    pub forced: bool,
}

#[derive(Clone, Debug, Deserialize)]
pub struct TokenizerEntry {
    pub kind: String,
    pub path: String,
    /// A text, and the ids that it must give.
    pub text: String,
    pub ids: Vec<i64>,
}

/// How a text begins and ends, and how its tokens are chosen where nothing else is asked for.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct Decoding {
    pub start: Vec<i64>,
    pub stop: Vec<i64>,
    pub suppress: Vec<i64>,
    /// The most tokens; 0 where there is no limit.
    pub length: usize,
    #[serde(flatten)]
    pub sampling: Sampling,
}

#[derive(Debug, Deserialize)]
pub struct RawContract {
    pub graphs: Vec<RawGraph>,
    pub sizes: Unique<usize>,
    #[serde(default)]
    pub initial_state: Option<First>,
    #[serde(default)]
    pub step_frames: Option<usize>,
    #[serde(default)]
    pub latency_frames: Option<u64>,
}

/// Version 1 has one word for all states, version 2 a word for each.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub enum First {
    Word(String),
    Each(Unique<String>),
}

#[derive(Debug, Deserialize)]
pub struct RawGraph {
    pub name: String,
    pub inputs: Vec<TensorSpec>,
    pub outputs: Vec<TensorSpec>,
}

/// One tensor of a graph.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct TensorSpec {
    pub name: String,
    pub role: Role,
    pub dtype: Dtype,
    pub axes: Vec<String>,
    /// The axis whose size bounds its values.
    #[serde(default)]
    pub below: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    Input,
    Context,
    State,
    Output,
}

impl Artifact {
    /// What the golden run allows, where the manifest says it. Before schema version 2 an artifact has no tolerance of its
    /// own: then it is the one that it was packed with, and forced where its numbers are no floats.
    pub fn promise(&self) -> Result<Promise> {
        let packed = self.parity.as_ref().and_then(|parity| parity.tolerance);
        Ok(match (self.tolerance, packed) {
            (Some(tolerance), _) => Promise { tolerance, forced: self.forced.unwrap_or(false) },
            (None, Some(tolerance)) => Promise { tolerance, forced: !self.precision.starts_with("float") },
            (None, None) => refuse!(
                "{MANIFEST} does not say how far {} may be from the golden run, expected its tolerance; \
                 export the bundle again",
                self.path
            ),
        })
    }

    /// Refuses numbers that mean nothing.
    fn check(&self) -> Result<()> {
        if let Some(tolerance) = self.tolerance.filter(|&tolerance| tolerance < 0.0) {
            refuse!("{} has the tolerance {tolerance}, expected 0 or more; export the bundle again", self.path);
        }
        let number = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
        match self.needs().filter(|needed| !needed.split('.').all(number)) {
            Some(needed) => refuse!("{} requires onnxruntime {needed}, which is no version; export again", self.path),
            None => Ok(()),
        }
    }

    /// The lowest version of onnxruntime that runs it, where the manifest names one.
    pub fn needs(&self) -> Option<&str> {
        self.requires.as_ref()?.0.get("onnxruntime").map(String::as_str)
    }

    /// The only size that it takes along an axis.
    pub fn only(&self, axis: &str) -> Option<u64> {
        self.narrowing.as_ref()?.axes.0.get(axis).copied()
    }
}

impl Manifest {
    /// Reads `manifest.json`, and its contract; an error names the member that is damaged.
    pub fn parse(bytes: &[u8]) -> Result<(Self, Contract)> {
        let members: Unique<Box<RawValue>> = json::read(bytes, MANIFEST)?;
        let version: u64 = required(&members, "schema_version")?;
        if !(1..=2).contains(&version) {
            refuse!("{MANIFEST} has schema_version {version}, expected 1 or 2; use a host that reads it");
        }
        let contract = Contract::new(required(&members, "contract")?, version)?;
        let made = Self {
            artifacts: required(&members, "artifacts")?,
            files: required::<Unique<Digest>>(&members, "files")?.0,
            tokenizer: optional(&members, "tokenizer")?,
            decoding: optional(&members, "decoding")?.unwrap_or_default(),
            golden: optional(&members, "golden")?,
            sampler: optional(&members, "sampler")?,
            initial_state: optional(&members, "initial_state")?,
        };
        made.decoding.sampling.check()?;
        made.artifacts.iter().try_for_each(Artifact::check)?;
        Ok((made, contract))
    }
}

fn required<T: DeserializeOwned>(members: &Unique<Box<RawValue>>, name: &str) -> Result<T> {
    match members.0.get(name) {
        Some(raw) => json::field(raw, MANIFEST, name),
        None => Err(BundleError::new(format!("{MANIFEST} has no {name:?}; export the bundle again"))),
    }
}

/// A member that is there and not null.
fn optional<T: DeserializeOwned>(members: &Unique<Box<RawValue>>, name: &str) -> Result<Option<T>> {
    members.0.get(name).map_or(Ok(None), |raw| json::field(raw, MANIFEST, name))
}
