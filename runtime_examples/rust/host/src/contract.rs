//! The contract of a manifest: which tensors go into and come out of each graph, and what must hold between them. Nothing is
//! found by the name of a tensor.

use std::collections::{BTreeMap, BTreeSet};

use crate::error::{refuse, Result};
use crate::manifest::{First, RawContract, RawGraph, Role, TensorSpec};
use crate::tensor::element_count;

pub const BATCH: &str = "batch";
pub const TIME: &str = "time";
pub const LAYERS: &str = "layers";
const REGIONS: &str = "regions";

/// The sizes of a run's open axes: batch, time, and those that encode chooses.
pub type Sizes = BTreeMap<String, usize>;

/// The name under which a state comes out.
pub fn next_name(state: &str) -> String {
    format!("{state}_next")
}

#[derive(Debug)]
pub struct Graph {
    pub inputs: Vec<TensorSpec>,
    pub outputs: Vec<TensorSpec>,
}

impl Graph {
    pub fn states(&self) -> impl Iterator<Item = &TensorSpec> {
        of_role(&self.inputs, Role::State)
    }

    pub fn contexts(&self) -> impl Iterator<Item = &TensorSpec> {
        of_role(&self.inputs, Role::Context)
    }

    /// What is given by the caller at every call.
    pub fn fresh(&self) -> impl Iterator<Item = &TensorSpec> {
        of_role(&self.inputs, Role::Input)
    }
}

/// Where a state begins that does not begin with zeros.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    Stored,
    Encode,
}

#[derive(Debug)]
pub struct Contract {
    pub step: Graph,
    /// Runs once before the first step, where there is one.
    pub encode: Option<Graph>,
    pub sizes: Sizes,
    /// Frames along time that one step takes.
    pub step_frames: usize,
    /// Of states that do not begin with zeros.
    pub first: BTreeMap<String, Start>,
}

impl Contract {
    /// Refuses what does not hold together.
    pub fn new(raw: RawContract, version: u64) -> Result<Self> {
        let mut graphs = BTreeMap::new();
        for graph in raw.graphs {
            let name = graph.name.clone();
            if graphs.insert(name.clone(), checked(graph)?).is_some() {
                refuse!("manifest.json has two graphs named {name}; export the bundle again");
            }
        }
        let Some(step) = graphs.remove("step") else {
            refuse!("manifest.json has no graph named step; export the bundle again");
        };
        let first = first_values(raw.initial_state, version, &step)?;
        let (encode, sizes, step_frames) = (graphs.remove("encode"), raw.sizes.0, raw.step_frames.unwrap_or(1));
        let made = Self { step, encode, sizes, step_frames, first };
        made.check_sizes()?;
        made.check_states()?;
        made.check_encode()?;
        Ok(made)
    }

    /// The shape of a tensor in a run. Without a size of its own, batch is one row and time the frames of one step.
    pub fn shape(&self, spec: &TensorSpec, run: &Sizes) -> Result<Vec<usize>> {
        let mut shape = Vec::with_capacity(spec.axes.len());
        for axis in &spec.axes {
            shape.push(match (self.sizes.get(axis).or_else(|| run.get(axis)), axis.as_str()) {
                (Some(&size), _) => size,
                (None, BATCH) => 1,
                (None, TIME) => self.step_frames,
                (None, _) => refuse!("the contract gives no size to the axis {axis}; export the bundle again"),
            });
        }
        Ok(shape)
    }

    /// Takes from a tensor's shape what it says of open axes that are not known yet.
    pub fn learn(&self, spec: &TensorSpec, shape: &[usize], run: &mut Sizes) {
        if shape.len() == spec.axes.len() {
            for (axis, &size) in spec.axes.iter().zip(shape) {
                if !self.sizes.contains_key(axis) && !run.contains_key(axis) {
                    run.insert(axis.clone(), size);
                }
            }
        }
    }

    /// The fresh input of step that takes token ids.
    pub fn ids(&self) -> Option<&TensorSpec> {
        self.step.fresh().find(|spec| spec.below.is_some() && spec.dtype.is_integer())
    }

    /// The output of step that rates every id.
    pub fn scores(&self) -> Option<&TensorSpec> {
        let below = self.ids()?.below.as_ref();
        of_role(&self.step.outputs, Role::Output).find(|spec| spec.axes.last() == below)
    }

    /// The output that says where in its contexts a model looked.
    pub fn attention(&self) -> Option<&TensorSpec> {
        let scores = self.scores();
        let looked: BTreeSet<_> = self
            .step
            .contexts()
            .flat_map(|spec| &spec.axes)
            .filter(|&axis| axis == REGIONS || !self.sizes.contains_key(axis) && axis != BATCH && axis != TIME)
            .collect();
        of_role(&self.step.outputs, Role::Output)
            .find(|&spec| Some(spec) != scores && spec.axes.iter().any(|axis| looked.contains(axis)))
    }

    /// How many ids there are; 0 where step takes none.
    pub fn vocabulary(&self) -> usize {
        let below = self.ids().and_then(|spec| spec.below.as_ref());
        below.and_then(|axis| self.sizes.get(axis)).copied().unwrap_or(0)
    }

    fn check_sizes(&self) -> Result<()> {
        if let Some(axis) = self.sizes.iter().find(|(_, &size)| size == 0).map(|(axis, _)| axis) {
            refuse!("manifest.json gives the axis {axis} the size 0, expected 1 or more; export the bundle again");
        }
        if self.step_frames == 0 {
            refuse!("manifest.json has a step of 0 frames, expected 1 or more; export the bundle again");
        }
        let mut open = Sizes::new();
        let chosen = self.encode.iter().flat_map(|encode| &encode.inputs).chain(self.step.contexts());
        chosen.for_each(|spec| self.learn(spec, &vec![1; spec.axes.len()], &mut open));
        for graph in self.encode.iter().chain([&self.step]) {
            for spec in graph.inputs.iter().chain(&graph.outputs) {
                element_count(&self.shape(spec, &open)?)?;
                if spec.below.as_ref().is_some_and(|axis| !self.sizes.contains_key(axis)) {
                    refuse!("manifest.json bounds {} by an axis without a size; export the bundle again", spec.name);
                }
            }
        }
        Ok(())
    }

    fn check_states(&self) -> Result<()> {
        for state in self.step.states() {
            let wanted = TensorSpec { name: next_name(&state.name), ..state.clone() };
            if !self.step.outputs.contains(&wanted) {
                refuse!(
                    "the step takes the state {} and does not return it as {}; export the bundle again",
                    state.name,
                    wanted.name
                );
            }
        }
        let (taken, given) = (self.step.states().count(), of_role(&self.step.outputs, Role::State).count());
        if taken != given {
            refuse!("the step takes {taken} states and returns {given}, expected the same; export the bundle again");
        }
        Ok(())
    }

    /// Encode gives every context, and the first states that are its.
    fn check_encode(&self) -> Result<()> {
        let begun = self.step.states().filter(|spec| self.first.get(&spec.name) == Some(&Start::Encode));
        for spec in self.step.contexts().chain(begun) {
            let made = self.encode.iter().flat_map(|encode| &encode.outputs).find(|made| made.name == spec.name);
            if made.is_none_or(|made| made.dtype != spec.dtype || made.axes != spec.axes) {
                refuse!("no encode graph gives {} as the step takes it; export the bundle again", spec.name);
            }
        }
        Ok(())
    }
}

pub fn of_role(specs: &[TensorSpec], role: Role) -> impl Iterator<Item = &TensorSpec> {
    specs.iter().filter(move |spec| spec.role == role)
}

/// Refuses a graph with two tensors of one name, and a tensor with an axis twice.
fn checked(graph: RawGraph) -> Result<Graph> {
    for side in [&graph.inputs, &graph.outputs] {
        let mut names = BTreeSet::new();
        for spec in side {
            if !names.insert(&spec.name) {
                refuse!("the graph {} has two tensors named {}; export the bundle again", graph.name, spec.name);
            }
            if spec.axes.iter().collect::<BTreeSet<_>>().len() != spec.axes.len() {
                refuse!("{} has the axes {:?}, expected each once; export the bundle again", spec.name, spec.axes);
            }
        }
    }
    Ok(Graph { inputs: graph.inputs, outputs: graph.outputs })
}

fn first_values(given: Option<First>, version: u64, step: &Graph) -> Result<BTreeMap<String, Start>> {
    let words: BTreeMap<String, String> = match (given, version) {
        (Some(First::Word(word)), 1) if word == "zeros" => BTreeMap::new(),
        (Some(First::Word(word)), 1) => step.states().map(|spec| (spec.name.clone(), word.clone())).collect(),
        (Some(First::Each(each)), 2) => each.0,
        (None, 2) => BTreeMap::new(),
        (found, _) => refuse!(
            "manifest.json has the initial_state {found:?}, expected what version {version} says of states; \
             export the bundle again"
        ),
    };
    let mut made = BTreeMap::new();
    for (name, word) in words {
        let start = match word.as_str() {
            "stored" => Start::Stored,
            "learned" if version == 1 => Start::Stored,
            "encode" => Start::Encode,
            _ => refuse!("initial_state begins {name} with {word}, expected stored or encode; export the bundle again"),
        };
        if !step.states().any(|spec| spec.name == name) {
            refuse!("initial_state begins {name}, which is no state; export the bundle again");
        }
        made.insert(name, start);
    }
    Ok(made)
}
