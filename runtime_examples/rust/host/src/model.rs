//! A bundle's graphs as functions: state goes in and comes out, nothing is remembered between calls.

use std::path::Path;
use std::sync::Arc;

use crate::bundle::Bundle;
use crate::compiled;
use crate::contract::{next_name, Graph, Sizes, Start, BATCH, TIME};
use crate::error::{refuse, BundleError, Result};
use crate::manifest::{Artifact, TensorSpec};
use crate::ort::Ort;
use crate::tensor::{Tensor, Tensors};

/// One model file, opened by a runtime.
pub trait Session: Send + Sync {
    /// Runs it once: the inputs of its graph in the contract's order, then its outputs in that order.
    fn run(&self, inputs: &[&Tensor]) -> Result<Vec<Tensor>>;
}

/// How a sequence begins: contexts for every step, and the state before the first.
#[derive(Clone, Debug)]
pub struct Begun {
    pub contexts: Tensors,
    pub state: Tensors,
}

/// What a step gives: outputs for the caller, and the state for the next step.
#[derive(Clone, Debug)]
pub struct Results {
    pub outputs: Tensors,
    pub state: Tensors,
}

/// A bundle with a step file, and the encode file that goes with it.
pub struct Model {
    pub bundle: Bundle,
    pub artifact: Artifact,
    /// Whether several time steps may go in at once.
    pub open_time: bool,
    stepper: Box<dyn Session>,
    encoder: Option<(Artifact, Box<dyn Session>)>,
}

impl Model {
    /// Opens a bundle, a folder or a `.edgernn` file.
    ///
    /// `artifact` is the path of a step file in it; without one it is the first that runs here: the C that was compiled in,
    /// where it is this bundle's, else a file for onnxruntime, whose shared library is at `library` or where
    /// [`Ort::open`] looks.
    pub fn load(place: &Path, artifact: Option<&str>, library: Option<&Path>) -> Result<Self> {
        let bundle = Bundle::open(place)?;
        if let Some(chosen) = compiled::choose(&bundle, artifact)? {
            let (chosen, stepper) = (chosen.clone(), compiled::session(&bundle.contract.step)?);
            let ort = if bundle.contract.encode.is_some() { Some(Ort::open(library)?) } else { None };
            return Self::of(bundle, chosen, stepper, ort);
        }
        let steps: Vec<_> = of_onnx(&bundle, "step").collect();
        let wanted: Vec<_> = steps.iter().copied().filter(|own| artifact.is_none_or(|path| own.path == path)).collect();
        if wanted.is_empty() {
            let there = steps.iter().map(|own| own.path.as_str()).collect::<Vec<_>>().join(", ");
            let there = if there.is_empty() {
                "none: export the bundle with --to onnx, or build this host with EDGERNN_BUNDLE for its C"
            } else {
                &there
            };
            refuse!(
                "the bundle has no step artifact {}for onnxruntime; it has {there}",
                artifact.map_or(String::new(), |path| format!("{path} "))
            );
        }
        let ort = Ort::open(library)?;
        let chosen =
            newest_fitting(&wanted, &ort.version, artifact.unwrap_or("every step file of the bundle"))?.clone();
        let stepper = open(&bundle, &chosen, &bundle.contract.step, &ort)?;
        Self::of(bundle, chosen, stepper, Some(ort))
    }

    fn of(bundle: Bundle, artifact: Artifact, stepper: Box<dyn Session>, ort: Option<Arc<Ort>>) -> Result<Self> {
        let mut encoder = None;
        if let (Some(graph), Some(ort)) = (&bundle.contract.encode, ort) {
            let (own, other): (Vec<_>, Vec<_>) =
                of_onnx(&bundle, "encode").partition(|e| e.precision == artifact.precision);
            let found: Vec<_> = own.into_iter().chain(other).collect();
            if found.is_empty() {
                refuse!("the bundle has no encode file for onnxruntime, expected one; export it with --to onnx");
            }
            let chosen = newest_fitting(&found, &ort.version, "every encode file of the bundle")?.clone();
            let session = open(&bundle, &chosen, graph, &ort)?;
            encoder = Some((chosen, session));
        }
        let open_time =
            !bundle.contract.sizes.contains_key(TIME) && artifact.format == "onnx" && artifact.only(TIME).is_none();
        Ok(Self { bundle, artifact, open_time, stepper, encoder })
    }

    /// Begins a sequence.
    ///
    /// `inputs` are those of encode where the model has that graph, which then says how many rows there are; else none, and
    /// there are `rows` rows. A state begins with what encode gives, with its stored value in every row, or with zeros, each
    /// as the contract says.
    pub fn begin(&self, inputs: &Tensors, rows: usize) -> Result<Begun> {
        let contract = &self.bundle.contract;
        if rows == 0 || (contract.encode.is_none() && !inputs.is_empty()) {
            refuse!(
                "a sequence begins with {} inputs and {rows} rows, expected what encode takes, if there is encode, and 1 row \
                 or more",
                inputs.len()
            );
        }
        let (mut made, mut sizes) = (Tensors::new(), Sizes::new());
        if let Some(encode) = &contract.encode {
            made = self.encode(inputs)?;
            encode.inputs.iter().for_each(|spec| contract.learn(spec, inputs[&spec.name].shape(), &mut sizes));
        } else {
            sizes.insert(BATCH.to_owned(), rows);
        }
        let mut begun = Begun { contexts: Tensors::new(), state: Tensors::new() };
        for spec in contract.step.contexts() {
            let context = taken(&mut made, &spec.name)?;
            contract.learn(spec, context.shape(), &mut sizes);
            begun.contexts.insert(spec.name.clone(), context);
        }
        for spec in contract.step.states() {
            let first = match contract.first.get(&spec.name) {
                Some(Start::Encode) => taken(&mut made, &spec.name)?,
                Some(Start::Stored) => self.stored(spec, sizes.get(BATCH).copied().unwrap_or(1))?,
                None => Tensor::zeros(spec.dtype, &contract.shape(spec, &sizes)?)?,
            };
            begun.state.insert(spec.name.clone(), first);
        }
        Ok(begun)
    }

    fn stored(&self, spec: &TensorSpec, rows: usize) -> Result<Tensor> {
        let one = &self.bundle.stored[&spec.name];
        match spec.axes.iter().position(|axis| axis == BATCH) {
            Some(axis) if !self.bundle.contract.sizes.contains_key(BATCH) => one.repeated(axis, rows),
            _ => Ok(one.clone()),
        }
    }

    /// Runs one step, or several where [`Self::open_time`]. `inputs` are every fresh input and every context.
    pub fn step(&self, inputs: &Tensors, state: &Tensors) -> Result<Results> {
        let contract = &self.bundle.contract;
        let mut outputs = self.run(&*self.stepper, &contract.step, &[inputs, state])?;
        let mut after = Tensors::new();
        for spec in contract.step.states() {
            after.insert(spec.name.clone(), taken(&mut outputs, &next_name(&spec.name))?);
        }
        Ok(Results { outputs, state: after })
    }

    /// `state` with row `other_row` of another state in place of `row`, so that a row begins again, goes back or goes on in
    /// another place; neither is changed. A state without rows stays as it is.
    pub fn set_row(&self, state: &Tensors, row: usize, other: &Tensors, other_row: usize) -> Result<Tensors> {
        let mut made = Tensors::new();
        for spec in self.bundle.contract.step.states() {
            let (Some(own), Some(from)) = (state.get(&spec.name), other.get(&spec.name)) else {
                refuse!("a state has no {}; give what begin or step gave", spec.name);
            };
            let place = spec.axes.iter().position(|axis| axis == BATCH);
            made.insert(
                spec.name.clone(),
                place.map_or(Ok(own.clone()), |axis| own.with_place(axis, row, from, other_row))?,
            );
        }
        Ok(made)
    }

    /// Runs encode once; everything that it gives, by name.
    pub fn encode(&self, inputs: &Tensors) -> Result<Tensors> {
        match (&self.encoder, &self.bundle.contract.encode) {
            (Some((_, session)), Some(graph)) => self.run(&**session, graph, &[inputs]),
            _ => refuse!("this bundle has no encode graph; give the bundle of a model that has one"),
        }
    }

    /// The encode file in use.
    pub fn encode_artifact(&self) -> Option<&Artifact> {
        self.encoder.as_ref().map(|(artifact, _)| artifact)
    }

    fn run(&self, session: &dyn Session, graph: &Graph, given: &[&Tensors]) -> Result<Tensors> {
        let mut sizes = Sizes::new();
        let mut inputs = Vec::with_capacity(graph.inputs.len());
        for spec in &graph.inputs {
            let Some(tensor) = given.iter().find_map(|tensors| tensors.get(&spec.name)) else {
                refuse!("{} is missing; give every input, context and state", spec.name);
            };
            self.check(spec, tensor, &mut sizes)?;
            inputs.push(tensor);
        }
        let made = session.run(&inputs)?;
        graph.outputs.iter().zip(&made).try_for_each(|(spec, tensor)| self.check(spec, tensor, &mut sizes))?;
        Ok(graph.outputs.iter().map(|spec| spec.name.clone()).zip(made).collect())
    }

    /// Makes sure that a tensor is as the contract says, and of the same open axes as those before it.
    fn check(&self, spec: &TensorSpec, found: &Tensor, sizes: &mut Sizes) -> Result<()> {
        let contract = &self.bundle.contract;
        contract.learn(spec, found.shape(), sizes);
        let expected = contract.shape(spec, sizes)?;
        if found.shape() != expected || found.dtype() != spec.dtype {
            refuse!("{} is {found:?}, expected {} {expected:?}; give what the contract says", spec.name, spec.dtype);
        }
        let Some(most) =
            spec.below.as_ref().and_then(|axis| contract.sizes.get(axis)).filter(|_| spec.dtype.is_integer())
        else {
            return Ok(());
        };
        match found.numbers().into_iter().find(|&id| id < 0.0 || id >= *most as f64) {
            Some(id) => {
                refuse!("an id of {} is {id}, expected 0 to {}; use the bundle's tokenizer", spec.name, most - 1)
            }
            None => Ok(()),
        }
    }
}

fn taken(tensors: &mut Tensors, name: &str) -> Result<Tensor> {
    tensors.remove(name).ok_or_else(|| BundleError::new(format!("the model gives no {name}; export the bundle again")))
}

fn of_onnx<'a>(bundle: &'a Bundle, graph: &'a str) -> impl Iterator<Item = &'a Artifact> {
    bundle.manifest.artifacts.iter().filter(move |own| own.format == "onnx" && own.graph == graph)
}

/// The first artifact that a library of this version runs; `what` they are is told where there is none.
fn newest_fitting<'a>(wanted: &[&'a Artifact], version: &str, what: &str) -> Result<&'a Artifact> {
    if let Some(found) = wanted.iter().find(|own| own.needs().is_none_or(|least| is_new_enough(version, least))) {
        return Ok(found);
    }
    let least = wanted
        .iter()
        .filter_map(|own| own.needs())
        .reduce(|one, other| if is_new_enough(one, other) { other } else { one });
    refuse!(
        "{what} needs onnxruntime {} or newer, this is {version}; update it or choose another",
        least.unwrap_or("?")
    )
}

/// Whether a version such as 1.22.1 is `least` or newer, number by number; what is left out is 0.
pub fn is_new_enough(version: &str, least: &str) -> bool {
    let numbers = |text: &str| -> Vec<u64> {
        let digits = |part: &str| part.chars().take_while(char::is_ascii_digit).collect::<String>();
        let mut made: Vec<u64> = text.split('.').map(|part| digits(part).parse().unwrap_or(0)).collect();
        made.resize(made.len().max(8), 0);
        made
    };
    numbers(version) >= numbers(least)
}

/// Refuses a file that fixes what this host leaves open, then opens it.
fn open(bundle: &Bundle, artifact: &Artifact, graph: &Graph, ort: &Arc<Ort>) -> Result<Box<dyn Session>> {
    require_fitting(bundle, artifact)?;
    ort.session(&bundle.model(artifact)?, graph, &artifact.path)
}

/// Refuses a file that takes another number of rows or frames, converts dtypes or keeps the state.
pub fn require_fitting(bundle: &Bundle, artifact: &Artifact) -> Result<()> {
    let path = &artifact.path;
    for (axis, wanted) in [(TIME, bundle.contract.step_frames as u64), (BATCH, 1)] {
        if let Some(size) = artifact.only(axis).filter(|&size| size != wanted) {
            refuse!("{path} takes only {size} along {axis}, expected {wanted}; choose another artifact");
        }
    }
    let Some(narrowing) = &artifact.narrowing else { return Ok(()) };
    if let Some((name, dtype)) = narrowing.dtypes.0.iter().next() {
        refuse!("{path} takes {name} as {dtype}, and this host converts no dtype; choose another artifact");
    }
    if narrowing.runtime_state {
        refuse!("{path} keeps the state itself; choose another artifact");
    }
    Ok(())
}
