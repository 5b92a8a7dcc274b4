//! Writes text from a bundle, checks this device with it, or times a step. Results go to stdout; exit 0 done, 1 the check
//! failed, 2 bad input, told in one line on stderr.

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use edgernn_host::golden::{Golden, Line};
use edgernn_host::tokenizer::TextStream;
use edgernn_host::{vectors, BundleError, Model, Options, Result, Sampling, Tokenizer};

const USAGE: &str =
    "edgernn-run BUNDLE [--prompt TEXT] [--length N] [--temperature T] [--top-k K] [--top-p P] [--seed S] \
                     [--json] | --check | --time N, each with [--artifact PATH] [--library ONNXRUNTIME]";
const WARM_UP_STEPS: usize = 20;

/// The flags as they were written.
#[derive(Default)]
struct Flags {
    bundle: Option<PathBuf>,
    values: Vec<(&'static str, String)>,
    check: bool,
    json: bool,
}

const VALUES: [&str; 9] =
    ["--prompt", "--length", "--temperature", "--top-k", "--top-p", "--seed", "--artifact", "--library", "--time"];

fn main() -> ExitCode {
    match run() {
        Ok(code) => code,
        Err(Failure::Bundle(error)) => {
            eprintln!("error: {error}");
            ExitCode::from(2)
        }
        Err(Failure::Output) => ExitCode::SUCCESS, // the reader, such as head, has seen enough
    }
}

enum Failure {
    Bundle(BundleError),
    Output,
}

impl From<BundleError> for Failure {
    fn from(error: BundleError) -> Self {
        Self::Bundle(error)
    }
}

impl From<io::Error> for Failure {
    fn from(_: io::Error) -> Self {
        Self::Output
    }
}

fn run() -> std::result::Result<ExitCode, Failure> {
    let flags = Flags::read(std::env::args().skip(1))?;
    let Some(place) = &flags.bundle else {
        return Err(bad(format!("no bundle was given, expected one; use: {USAGE}")).into());
    };
    let steps: Option<usize> = flags.number("--time", "a whole number of 1 or more", |&steps| steps > 0)?;
    let given = Given {
        length: flags.number("--length", "a whole number of 0 or more", |_| true)?.unwrap_or(200),
        seed: flags.number("--seed", "a whole number of 0 to 18446744073709551615", |_| true)?.unwrap_or(0),
        temperature: flags
            .number("--temperature", "a number of 0 (greedy) or more", |t: &f64| *t >= 0.0 && t.is_finite())?,
        top_k: flags.number("--top-k", "a whole number of 0 (all tokens) or more", |_| true)?,
        top_p: flags
            .number("--top-p", "a number above 0 and at most 1, which keeps all", |p: &f64| *p > 0.0 && *p <= 1.0)?,
    };
    let library = flags.value("--library").map(PathBuf::from);
    let model = Model::load(place, flags.value("--artifact"), library.as_deref())?;
    if flags.check {
        return check(&model);
    }
    if let Some(steps) = steps {
        let (artifact, median) = (serde_json::json!(model.artifact.path), median_us(&model, steps)?);
        writeln!(io::stdout(), "{{\"artifact\": {artifact}, \"steps\": {steps}, \"median_us\": {median:.1}}}")?;
        return Ok(ExitCode::SUCCESS);
    }
    write(&model, &flags, &given)?;
    Ok(ExitCode::SUCCESS)
}

fn bad(message: String) -> BundleError {
    BundleError::new(message)
}

impl Flags {
    fn read(words: impl Iterator<Item = String>) -> Result<Self> {
        let (mut made, mut words) = (Self::default(), words);
        while let Some(word) = words.next() {
            let (name, own) =
                word.split_once('=').map_or((word.as_str(), None), |(name, value)| (name, Some(value.to_owned())));
            let known = VALUES.into_iter().find(|&known| known == name);
            match (known, word.as_str()) {
                (Some(known), _) => match own.or_else(|| words.next()) {
                    Some(value) => made.values.push((known, value)),
                    None => return Err(bad(format!("{known} has no value, expected one; use: {USAGE}"))),
                },
                (None, "--check") => made.check = true,
                (None, "--json") => made.json = true,
                (None, "--help") => return Err(bad(format!("use: {USAGE}"))),
                (None, other) if other.starts_with("--") || made.bundle.is_some() => {
                    return Err(bad(format!("the argument {other} is unknown, expected: {USAGE}")));
                }
                (None, place) => made.bundle = Some(PathBuf::from(place)),
            }
        }
        Ok(made)
    }

    fn value(&self, name: &str) -> Option<&str> {
        self.values.iter().rev().find(|(own, _)| *own == name).map(|(_, value)| value.as_str())
    }

    fn number<T: std::str::FromStr>(&self, name: &str, expected: &str, good: impl Fn(&T) -> bool) -> Result<Option<T>> {
        let Some(text) = self.value(name) else { return Ok(None) };
        let read = text.parse().ok().filter(|value| good(value) && !text.starts_with('+'));
        read.map(Some).ok_or_else(|| bad(format!("{} is {text:?}, expected {expected}; change it", &name[2..])))
    }
}

struct Given {
    length: usize,
    seed: u64,
    temperature: Option<f64>,
    top_k: Option<usize>,
    top_p: Option<f64>,
}

fn check(model: &Model) -> std::result::Result<ExitCode, Failure> {
    let mut out = io::stdout().lock();
    let mut lines = Vec::new();
    let golden = model.bundle.manifest.golden.is_some();
    if golden {
        lines.extend(Golden::of(model)?.check()?);
    }
    lines.extend(vectors::replay(&model.bundle)?);
    if model.bundle.manifest.tokenizer.is_some() {
        Tokenizer::of(&model.bundle)?; // refuses another one
        lines.push(Line { name: "tokenizer".into(), worst: 0.0, tolerance: 0.0, steps: Vec::new() });
    }
    if !golden {
        writeln!(out, "golden           - 0 not run; the bundle has no recorded run")?;
    }
    for line in &lines {
        writeln!(out, "{:<16} {:.1e} {} {}", line.name, line.worst, line.tolerance, line.verdict())?;
    }
    Ok(ExitCode::from(u8::from(!lines.iter().all(Line::ok))))
}

/// The median time of a step in µs, over the recorded inputs, each step on the last one's state.
fn median_us(model: &Model, count: usize) -> Result<f64> {
    let golden = Golden::of(model)?;
    let inputs = (0..golden.steps).map(|index| golden.inputs(index)).collect::<Result<Vec<_>>>()?;
    let (mut state, mut times) = (golden.state_before(0)?, Vec::new());
    for at in 0..WARM_UP_STEPS.saturating_add(count) {
        let from = Instant::now();
        state = model.step(&inputs[at % inputs.len()], &state)?.state;
        if at >= WARM_UP_STEPS {
            times.push(from.elapsed().as_secs_f64() * 1e6);
        }
    }
    times.sort_by(f64::total_cmp);
    Ok(times[count / 2])
}

fn write(model: &Model, flags: &Flags, given: &Given) -> std::result::Result<(), Failure> {
    let tokenizer = Tokenizer::of(&model.bundle)?;
    if model.bundle.contract.encode.is_some() {
        return Err(bad(
            "the bundle is a captioner, and this program decodes no pictures, expected a language model; give \
                        Model::caption the picture's values"
                .into(),
        )
        .into());
    }
    let own = model.bundle.manifest.decoding.sampling;
    let sampling = Sampling {
        temperature: given.temperature.unwrap_or(own.temperature),
        top_k: given.top_k.unwrap_or(own.top_k),
        top_p: given.top_p.unwrap_or(own.top_p),
    };
    let prompt = flags.value("--prompt").unwrap_or_default();
    let writing = model.generate(&tokenizer, prompt, Options { length: given.length, seed: given.seed, sampling })?;
    let mut out = io::stdout().lock();
    if flags.json {
        let tokens = writing.collect::<Result<Vec<_>>>()?;
        let (artifact, text) = (serde_json::json!(model.artifact.path), serde_json::json!(tokenizer.decode(&tokens)?));
        writeln!(out, "{{\"artifact\": {artifact}, \"tokens\": {tokens:?}, \"text\": {text}}}")?;
        return Ok(());
    }
    let mut stream = TextStream::new(&tokenizer);
    for id in tokenizer.encode(prompt)? {
        write!(out, "{}", stream.push(id)?)?; // as the model reads it
    }
    for token in writing {
        write!(out, "{}", stream.push(token?)?)?;
        out.flush()?;
    }
    writeln!(out, "{}", stream.flush())?;
    Ok(())
}
