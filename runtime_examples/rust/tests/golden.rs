//! The recorded run of the bundle, on this machine.

mod measure;

use edgernn_net::State;
use measure::{replay, Made};

include!(concat!(env!("OUT_DIR"), "/golden.rs"));

#[test]
fn the_recorded_run_holds() {
    let rows = replay(STEPS, FORCED, state_before, step_at).expect("the recorded inputs are taken");
    for row in &rows {
        println!("{}", row.told(TOLERANCE));
    }
    assert!(
        rows.iter().all(|row| row.worst() <= TOLERANCE),
        "the rows above say which tensor is off, from which step on"
    );
    assert!(rows.iter().any(|row| row.worst() > 0.0), "compared with itself?");
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
