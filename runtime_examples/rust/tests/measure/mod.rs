//! How far a run is from the recorded one, as the bundle format measures it. Without `std`, for a board.

extern crate alloc;

use alloc::{format, string::String, vec::Vec};

/// What a step makes, and what was recorded; of a state, in layers.
pub struct Made {
    pub name: &'static str,
    pub made: Vec<f64>,
    pub recorded: Vec<f64>,
    pub layers: usize,
    pub inner: usize,
}

/// How far a tensor is off at each step.
pub struct Row {
    pub name: String,
    pub steps: Vec<f64>,
}

impl Row {
    pub fn worst(&self) -> f64 {
        self.steps.iter().copied().fold(0.0, f64::max)
    }

    /// What is said of it; of one that failed, at which step it was off first, and how far.
    pub fn told(&self, tolerance: f64) -> String {
        let start = format!("{} {:.1e} {tolerance}", self.name, self.worst());
        match self.steps.iter().position(|&off| off > tolerance) {
            None => format!("{start} ok"),
            Some(step) => {
                let (last, by) = (self.steps.len() - 1, self.steps[step]);
                format!("{start} FAILED: parts at step {step} of 0 to {last} by {by:.1e}")
            }
        }
    }
}

/// Runs `steps` steps and returns each tensor's row. Where steps are `forced`, each starts from the recorded
/// state `before` it, and a state is measured layer by layer.
pub fn replay<S, E>(
    steps: usize,
    forced: bool,
    before: impl Fn(usize) -> S,
    step: impl Fn(usize, &mut S) -> Result<Vec<Made>, E>,
) -> Result<Vec<Row>, E> {
    let mut drifts: Vec<Drift> = Vec::new();
    let mut state = before(0);
    for at in 0..steps {
        if forced {
            state = before(at);
        }
        let mut places = 0;
        for own in step(at, &mut state)? {
            let layers = if forced { own.layers } else { 1 };
            for layer in 0..layers {
                let place = |i: &usize| layers == 1 || i / own.inner % own.layers == layer;
                let pairs: Vec<_> = (0..own.made.len()).filter(place).map(|i| (own.recorded[i], own.made[i])).collect();
                if at == 0 {
                    drifts.push(Drift { name: format!("{}[{layer}]", own.name), ..Drift::default() });
                }
                drifts[places].add(&pairs);
                places += 1;
            }
        }
    }
    Ok(drifts.into_iter().map(|drift| Row { steps: drift.off(forced), name: drift.name }).collect())
}

/// The differences of one tensor, or of one layer of a state.
#[derive(Default)]
struct Drift {
    name: String,
    largest: f64,
    steps: Vec<Step>,
}

struct Step {
    difference: f64, // the largest; infinite where a value is not finite
    size: f64,       // mean squares: of the recording, of the difference
    apart: f64,
}

impl Drift {
    fn add(&mut self, pairs: &[(f64, f64)]) {
        let (mut size, mut apart, mut difference) = (0.0, 0.0, 0.0);
        for (wanted, made) in pairs {
            let off = if (wanted - made).is_finite() { wanted - made } else { f64::INFINITY };
            let wanted = if wanted.is_finite() { *wanted } else { 0.0 };
            self.largest = self.largest.max(magnitude(wanted));
            difference = f64::max(difference, magnitude(off));
            size += wanted * wanted;
            apart += off * off;
        }
        self.steps.push(Step { difference, size: size / pairs.len() as f64, apart: apart / pairs.len() as f64 });
    }

    /// How far it is off at each step.
    fn off(&self, forced: bool) -> Vec<f64> {
        let over_run = self.steps.iter().map(|step| step.size).sum::<f64>() / self.steps.len() as f64;
        let least = over_run.max(1e-6); // smaller than 1e-3 is as good as zero
        let off = |step: &Step| {
            if forced && step.difference.is_finite() {
                root(step.apart / step.size.max(least))
            } else {
                step.difference / self.largest.max(1.0)
            }
        };
        self.steps.iter().map(off).collect()
    }
}

fn magnitude(x: f64) -> f64 {
    if x < 0.0 {
        -x
    } else {
        x
    }
}

/// The square root by Newton's method, from above: `core` has none.
fn root(x: f64) -> f64 {
    let mut y = f64::max(x, 1.0);
    for _ in 0..80 {
        y = 0.5 * (y + x / y);
    }
    y
}
