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

/// Runs `steps` steps and returns each tensor's name and measure. Where steps are `forced`, each starts from the recorded
/// state `before` it, and a state is measured layer by layer.
pub fn replay<S, E>(
    steps: usize,
    forced: bool,
    before: impl Fn(usize) -> S,
    step: impl Fn(usize, &mut S) -> Result<Vec<Made>, E>,
) -> Result<Vec<(String, f64)>, E> {
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
                    drifts.push(Drift { name: format!("{}[{layer}]", own.name), finite: true, ..Drift::default() });
                }
                drifts[places].add(&pairs);
                places += 1;
            }
        }
    }
    Ok(drifts.into_iter().map(|drift| (drift.name.clone(), drift.worst(forced))).collect())
}

/// The differences of one tensor, or of one layer of a state.
#[derive(Default)]
struct Drift {
    name: String,
    largest: f64,
    difference: f64,
    finite: bool,
    steps: Vec<(f64, f64)>, // mean squares: of the recording, of the difference
}

impl Drift {
    fn add(&mut self, pairs: &[(f64, f64)]) {
        let (mut size, mut apart) = (0.0, 0.0);
        for (wanted, made) in pairs {
            let off = wanted - made;
            self.finite &= off.is_finite();
            self.largest = self.largest.max(magnitude(*wanted));
            self.difference = self.difference.max(magnitude(off));
            size += wanted * wanted;
            apart += off * off;
        }
        self.steps.push((size / pairs.len() as f64, apart / pairs.len() as f64));
    }

    fn worst(&self, forced: bool) -> f64 {
        if !self.finite {
            return f64::INFINITY;
        }
        if !forced {
            return self.difference / self.largest.max(1.0);
        }
        let over_run = self.steps.iter().map(|(size, _)| size).sum::<f64>() / self.steps.len() as f64;
        let least = over_run.max(1e-6); // smaller than 1e-3 is as good as zero
        root(self.steps.iter().fold(0.0, |most, (size, apart)| f64::max(most, apart / size.max(least))))
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
