//! The recorded run of the bundle, on this machine.

use edgernn_net::State;

/// What a step makes, and what was recorded; of a state, in layers.
struct Made {
    name: &'static str,
    made: Vec<f64>,
    recorded: Vec<f64>,
    layers: usize,
    inner: usize,
}

include!(concat!(env!("OUT_DIR"), "/golden.rs"));

/// The differences of one tensor, or of one layer of a state, over a run.
#[derive(Default)]
struct Drift {
    name: String,
    largest: f64,
    difference: f64,
    finite: bool,
    steps: Vec<(f64, f64)>, // root mean squares: of the recording, of the difference
}

impl Drift {
    fn add(&mut self, pairs: &[(f64, f64)]) {
        let mean = |square: &dyn Fn(&(f64, f64)) -> f64| pairs.iter().map(square).sum::<f64>() / pairs.len() as f64;
        self.finite &= pairs.iter().all(|(wanted, made)| (wanted - made).is_finite());
        self.largest = pairs.iter().fold(self.largest, |most, (wanted, _)| most.max(wanted.abs()));
        self.difference = pairs.iter().fold(self.difference, |most, (wanted, made)| most.max((wanted - made).abs()));
        self.steps.push((
            mean(&|(wanted, _)| wanted * wanted).sqrt(),
            mean(&|(wanted, made)| (wanted - made).powi(2)).sqrt(),
        ));
    }

    fn worst(&self) -> f64 {
        if !self.finite {
            return f64::INFINITY;
        }
        if !FORCED {
            return self.difference / self.largest.max(1.0);
        }
        let squares: f64 = self.steps.iter().map(|(size, _)| size * size).sum();
        let over_run = (squares / self.steps.len() as f64).sqrt().max(1e-3); // smaller is as good as zero
        self.steps.iter().fold(0.0, |most, (size, apart)| f64::max(most, apart / size.max(over_run)))
    }
}

#[test]
fn the_recorded_run_holds() {
    let mut drifts: Vec<Drift> = Vec::new();
    let mut state = state_before(0);
    for at in 0..STEPS {
        if FORCED {
            state = state_before(at);
        }
        let mut places = 0;
        for own in step_at(at, &mut state).expect("the recorded inputs are taken") {
            let layers = if FORCED { own.layers } else { 1 };
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
    for drift in &drifts {
        println!("{} {:.1e} {TOLERANCE}", drift.name, drift.worst());
    }
    assert!(drifts.iter().all(|drift| drift.worst() <= TOLERANCE), "the rows above say which tensor is off");
    assert!(drifts.iter().any(|drift| drift.worst() > 0.0), "compared with itself?");
}

#[test]
fn a_clone_of_the_state_is_a_fork() {
    let values = |made: Vec<Made>| made.into_iter().map(|own| own.made).collect::<Vec<_>>();
    let mut state = state_before(0);
    step_at(0, &mut state).unwrap();
    let before = state.clone();
    let mut fork = state.clone();
    let next = STEPS - 1;
    let first = values(step_at(next, &mut state).unwrap());
    assert_eq!(fork, before, "a step of one changes no other");
    assert_eq!(values(step_at(next, &mut fork).unwrap()), first);
    assert_eq!(fork, state);
}
