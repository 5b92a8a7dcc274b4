//! The bundle's recorded run, and its replay on this device. Where an output would make the run too large, it has a few numbers
//! of it instead: OUTPUT.columns and the values there, the largest values, and the log-sum.

use crate::contract::{Sizes, BATCH, LAYERS, TIME};
use crate::error::{refuse, BundleError, Result};
use crate::manifest::{Role, TensorSpec};
use crate::model::Model;
use crate::tensor::{Dtype, Tensor, Tensors};

const LEAST: f64 = 1e-3; // a tensor smaller than this in every value is as good as zero

/// How far one tensor went from the recording, over all and, where it has any, at each step; a measure that is no number fails.
#[derive(Clone, Debug, PartialEq)]
pub struct Line {
    pub name: String,
    pub worst: f64,
    pub tolerance: f64,
    pub steps: Vec<f64>,
}

impl Line {
    pub fn ok(&self) -> bool {
        self.worst <= self.tolerance
    }

    /// What is said of it; of one that failed, at which step it was off first, and how far.
    pub fn verdict(&self) -> String {
        let first = self.steps.iter().position(|apart| apart.is_nan() || *apart > self.tolerance);
        match (self.ok(), first) {
            (true, _) => "ok".into(),
            (false, None) => "FAILED".into(),
            (false, Some(step)) => {
                let (last, by) = (self.steps.len() - 1, self.steps[step]);
                format!("FAILED: parts at step {step} of 0 to {last} by {by:.1e}")
            }
        }
    }
}

pub struct Golden<'a> {
    model: &'a Model,
    recorded: Tensors,
    /// How many steps were recorded.
    pub steps: usize,
    sizes: Sizes, // of the open axes in a step
}

impl<'a> Golden<'a> {
    /// That of the model's bundle; refuses one that is not of its contract.
    pub fn of(model: &'a Model) -> Result<Self> {
        let (contract, recorded) = (&model.bundle.contract, model.bundle.golden()?);
        let step = &contract.step;
        let counted = step.fresh().chain(step.outputs.iter().filter(|spec| spec.role == Role::State)).next();
        let steps = counted.and_then(|spec| recorded.get(&spec.name)?.shape().first().copied()).unwrap_or(0);
        if steps == 0 {
            refuse!("the golden run has no steps, expected one or more; export the bundle again");
        }
        let mut made = Self { model, recorded, steps, sizes: Sizes::from([(BATCH.to_owned(), 1)]) };
        for spec in step.contexts() {
            let mut sizes = std::mem::take(&mut made.sizes);
            contract.learn(spec, made.tensor(&spec.name)?.shape(), &mut sizes);
            made.sizes = sizes;
        }
        step.inputs.iter().try_for_each(|spec| made.require(spec, spec.role == Role::Input, &made.sizes))?;
        for spec in &step.outputs {
            if made.is_short(spec) {
                made.require_parts(spec)?
            } else {
                made.require(spec, true, &made.sizes)?
            }
        }
        if let Some(encode) = &contract.encode {
            let mut sizes = made.sizes.clone();
            sizes.remove(TIME);
            for spec in &encode.inputs {
                contract.learn(spec, made.tensor(&spec.name)?.shape(), &mut sizes);
            }
            encode.inputs.iter().chain(&encode.outputs).try_for_each(|spec| made.require(spec, false, &sizes))?;
        }
        Ok(made)
    }

    /// The fresh inputs of a step, and every context.
    pub fn inputs(&self, index: usize) -> Result<Tensors> {
        let step = &self.model.bundle.contract.step;
        let mut made = Tensors::new();
        for spec in step.contexts() {
            made.insert(spec.name.clone(), self.tensor(&spec.name)?.clone());
        }
        for spec in step.fresh() {
            made.insert(spec.name.clone(), self.row(spec, &spec.name, index)?);
        }
        Ok(made)
    }

    /// The recorded state before a step.
    pub fn state_before(&self, index: usize) -> Result<Tensors> {
        let mut made = Tensors::new();
        for spec in self.model.bundle.contract.step.states() {
            let own = match index.checked_sub(1) {
                None => self.tensor(&spec.name)?.clone(),
                Some(before) => self.row(spec, &crate::contract::next_name(&spec.name), before)?,
            };
            made.insert(spec.name.clone(), own);
        }
        Ok(made)
    }

    /// What encode is given.
    pub fn encode_inputs(&self) -> Result<Tensors> {
        let mut made = Tensors::new();
        for spec in self.model.bundle.contract.encode.iter().flat_map(|encode| &encode.inputs) {
            made.insert(spec.name.clone(), self.tensor(&spec.name)?.clone());
        }
        Ok(made)
    }

    /// Runs the whole recording: what encode gives where there is one, then every output and state of step.
    pub fn check(&self) -> Result<Vec<Line>> {
        let promise = self.model.artifact.promise()?;
        let step = &self.model.bundle.contract.step;
        let mut drifts: Vec<(String, Drift)> = Vec::new();
        let mut state = self.state_before(0)?;
        for index in 0..self.steps {
            let before = if promise.forced { self.state_before(index)? } else { state };
            let made = self.model.step(&self.inputs(index)?, &before)?;
            for spec in step.outputs.iter().filter(|spec| spec.role != Role::State) {
                for (name, own) in self.compared(spec, &made.outputs[&spec.name].numbers(), index)? {
                    let expected = self.numbers(&name, index)?;
                    drift_of(&mut drifts, &name).add(&expected, &own);
                }
            }
            for spec in step.states() {
                let after = crate::contract::next_name(&spec.name);
                self.add_state(spec, &after, &made.state[&spec.name], (index, promise.forced), &mut drifts)?;
            }
            state = made.state;
        }
        let mut lines = self.encode_lines()?;
        lines.extend(drifts.into_iter().map(|(name, drift)| drift.line(name, promise.forced, promise.tolerance)));
        Ok(lines)
    }

    fn encode_lines(&self) -> Result<Vec<Line>> {
        let (Some(encode), Some(artifact)) = (&self.model.bundle.contract.encode, self.model.encode_artifact()) else {
            return Ok(Vec::new());
        };
        let (made, promise) = (self.model.encode(&self.encode_inputs()?)?, artifact.promise()?);
        let mut lines = Vec::new();
        for spec in &encode.outputs {
            let mut drift = Drift::default();
            drift.add(&self.tensor(&spec.name)?.numbers(), &made[&spec.name].numbers());
            let line = drift.line(spec.name.clone(), promise.forced, promise.tolerance);
            lines.push(Line { steps: Vec::new(), ..line }); // before any step
        }
        Ok(lines)
    }

    /// In a forced run each layer by itself: an error in one of three would be small in all of them together.
    fn add_state(
        &self,
        spec: &TensorSpec,
        name: &str,
        made: &Tensor,
        (index, forced): (usize, bool),
        drifts: &mut Vec<(String, Drift)>,
    ) -> Result<()> {
        let (expected, found) = (self.numbers(name, index)?, made.numbers());
        let Some(axis) = spec.axes.iter().position(|axis| axis == LAYERS).filter(|_| forced) else {
            drift_of(drifts, name).add(&expected, &found);
            return Ok(());
        };
        let (layers, inner) = (made.shape()[axis], made.shape()[axis + 1..].iter().product::<usize>());
        for layer in 0..layers {
            let of = |all: &[f64]| -> Vec<f64> {
                all.iter().enumerate().filter(|(at, _)| at / inner % layers == layer).map(|(_, &value)| value).collect()
            };
            drift_of(drifts, &format!("{name}[{layer}]")).add(&of(&expected), &of(&found));
        }
        Ok(())
    }

    fn is_short(&self, spec: &TensorSpec) -> bool {
        let columns = format!("{}.columns", spec.name);
        spec.role == Role::Output && !self.recorded.contains_key(&spec.name) && self.recorded.contains_key(&columns)
    }

    /// What is recorded of an output at a step, by name, as this device has it.
    fn compared(&self, spec: &TensorSpec, values: &[f64], index: usize) -> Result<Vec<(String, Vec<f64>)>> {
        if !self.is_short(spec) {
            return Ok(vec![(spec.name.clone(), values.to_vec())]);
        }
        let part = |part: &str| format!("{}.{part}", spec.name);
        let columns = self.tensor(&part("columns"))?.ids()?;
        let ids: Vec<f64> = self.numbers(&part("largest_ids"), index)?;
        let width = self.model.bundle.contract.shape(spec, &self.sizes)?.pop().unwrap_or(1).max(1);
        let rows: Vec<&[f64]> = values.chunks_exact(width).collect();
        let kept = (ids.len() / rows.len().max(1)).max(1);
        let at_columns = rows.iter().flat_map(|row| columns.iter().map(|&column| row[column as usize])).collect();
        let largest = ids.iter().enumerate().map(|(at, &id)| rows[at / kept][id as usize]).collect();
        let log_sum = rows.iter().map(|row| {
            let top = row.iter().copied().fold(f64::NEG_INFINITY, |one, other| if one > other { one } else { other });
            let sum = top + row.iter().map(|value| (value - top).exp()).sum::<f64>().ln();
            if spec.dtype == Dtype::Float64 {
                sum
            } else {
                f64::from(sum as f32)
            }
        });
        let log_sum = log_sum.collect();
        Ok(vec![(part("at_columns"), at_columns), (part("largest"), largest), (part("log_sum"), log_sum)])
    }

    /// Makes sure that the parts of an output are of the shapes that belong together, and their ids below its size.
    fn require_parts(&self, spec: &TensorSpec) -> Result<()> {
        let part = |part: &str| self.tensor(&format!("{}.{part}", spec.name));
        let whole = self.model.bundle.contract.shape(spec, &self.sizes)?;
        let (columns, ids) = (part("columns")?, part("largest_ids")?);
        let before = [&[self.steps], &whole[..whole.len().saturating_sub(1)]].concat();
        let with = |last: usize| [&before[..], &[last]].concat();
        let kept = ids.shape().last().copied().unwrap_or(0);
        let wanted = [
            ("at_columns", with(columns.size())),
            ("log_sum", before.clone()),
            ("largest_ids", with(kept)),
            ("largest", with(kept)),
        ];
        let mut fits = columns.size() > 0 && ids.size() > 0;
        for (name, shape) in &wanted {
            fits &= part(name)?.shape() == shape;
        }
        let most = whole.last().copied().unwrap_or(0) as i64;
        fits &= columns.ids()?.into_iter().chain(ids.ids()?).all(|id| (0..most).contains(&id));
        if !fits {
            refuse!("the golden run has parts of {} that do not fit it; export the bundle again", spec.name);
        }
        Ok(())
    }

    fn tensor(&self, name: &str) -> Result<&Tensor> {
        let found = self.recorded.get(name);
        found.ok_or_else(|| BundleError::new(format!("the golden run has no tensor {name}; export the bundle again")))
    }

    /// What is recorded of a tensor at a step.
    fn row(&self, spec: &TensorSpec, name: &str, index: usize) -> Result<Tensor> {
        self.tensor(name)?.part(&self.model.bundle.contract.shape(spec, &self.sizes)?, index)
    }

    fn numbers(&self, name: &str, index: usize) -> Result<Vec<f64>> {
        let all = self.tensor(name)?;
        Ok(all.part(&[all.size() / self.steps], index)?.numbers())
    }

    fn require(&self, spec: &TensorSpec, each_step: bool, sizes: &Sizes) -> Result<()> {
        let mut expected = if each_step { vec![self.steps] } else { vec![] };
        expected.extend(self.model.bundle.contract.shape(spec, sizes)?);
        let found = self.tensor(&spec.name)?;
        if found.shape() != expected || found.dtype() != spec.dtype {
            refuse!(
                "the golden run has {} as {found:?}, expected {} {expected:?}; export the bundle again",
                spec.name,
                spec.dtype
            );
        }
        Ok(())
    }
}

/// The differences of one tensor over a run.
#[derive(Default)]
struct Drift {
    largest: f64,
    rows: Vec<Row>,
}

/// A step of it.
struct Row {
    difference: f64, // the largest; infinite where one is no number
    size: f64,       // root mean squares: of the recording, of the difference
    apart: f64,
}

fn drift_of<'d>(drifts: &'d mut Vec<(String, Drift)>, name: &str) -> &'d mut Drift {
    let at = drifts.iter().position(|(own, _)| own == name).unwrap_or_else(|| {
        drifts.push((name.to_owned(), Drift::default()));
        drifts.len() - 1
    });
    &mut drifts[at].1
}

impl Drift {
    fn add(&mut self, expected: &[f64], found: &[f64]) {
        let apart: Vec<f64> = expected.iter().zip(found).map(|(one, other)| one - other).collect();
        let unlike = apart.iter().any(|value| !value.is_finite()) || expected.len() != found.len();
        let expected: Vec<f64> = expected.iter().map(|value| if value.is_finite() { *value } else { 0.0 }).collect();
        let most = |of: &[f64]| of.iter().fold(0.0, |most: f64, value| most.max(value.abs()));
        self.largest = self.largest.max(most(&expected));
        let difference = if unlike { f64::INFINITY } else { most(&apart) };
        let (size, apart) = (root_mean_square(expected.iter()), root_mean_square(apart.iter()));
        self.rows.push(Row { difference, size, apart });
    }

    fn line(&self, name: String, forced: bool, tolerance: f64) -> Line {
        let over_run = root_mean_square(self.rows.iter().map(|row| &row.size)).max(LEAST);
        let off = |row: &Row| {
            if forced && row.difference.is_finite() {
                row.apart / row.size.max(over_run)
            } else {
                row.difference / self.largest.max(1.0)
            }
        };
        let steps: Vec<f64> = self.rows.iter().map(off).collect();
        Line { name, worst: steps.iter().copied().fold(0.0, f64::max), tolerance, steps }
    }
}

fn root_mean_square<'a>(values: impl ExactSizeIterator<Item = &'a f64>) -> f64 {
    let count = values.len().max(1) as f64;
    (values.map(|value| value * value).sum::<f64>() / count).sqrt()
}
