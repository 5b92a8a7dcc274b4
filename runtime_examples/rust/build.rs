//! Compares the bundle with its manifest, writes the Rust that its header stands for, and compiles its C.
//!
//! EDGERNN_BUNDLE is the bundle's folder; EDGERNN_ARTIFACT names the step in C where it is not the first. PYTHON,
//! CC (or CC_thumbv7em_none_eabihf and the like), AR and EDGERNN_CFLAGS are what their names say.

use std::env;
use std::path::{Path, PathBuf};
use std::process::{exit, Command};

// With contraction off every compiler gives the same bits; the others keep a compiler without libc from calling one.
const FLAGS: &[&str] = &["-O3", "-std=gnu11", "-ffp-contract=off", "-fno-trapping-math"];
const BARE: &[&str] = &["-ffreestanding", "-fno-tree-loop-distribute-patterns"];
// What the C has kernels for, of the features that the crate is compiled with: RUSTFLAGS="-C target-cpu=native".
const X86: &[&str] = &["avx", "avx2", "avx512f", "avx512bw", "avx512vl", "avx512vnni"];
const CORTEX_M4: &[&str] = &["-mcpu=cortex-m4", "-mthumb", "-mfloat-abi=hard", "-mfpu=fpv4-sp-d16"];

fn main() {
    let here = PathBuf::from(given("CARGO_MANIFEST_DIR").unwrap());
    let out = PathBuf::from(given("OUT_DIR").unwrap());
    let target = given("TARGET").unwrap();
    let Some(bundle) = given("EDGERNN_BUNDLE") else {
        fail("EDGERNN_BUNDLE is not set, expected the folder of a bundle: edgernn export RUN --to c --out net");
    };
    let bundle = here.join(bundle); // an absolute path stays as it is
    println!("cargo:rerun-if-changed={}", bundle.display());

    let tables = here.join("../compiled");
    println!("cargo:rerun-if-changed={}", tables.display());
    let mut prepare = Command::new(given("PYTHON").unwrap_or("python3".into()));
    prepare.arg(tables.join("prepare.py")).arg(&bundle).arg(&out).arg("--rust");
    if let Some(artifact) = given("EDGERNN_ARTIFACT") {
        prepare.args(["--artifact", &artifact]);
    }
    run(&mut prepare);

    let mut sources = vec!["step.c", "step.weights.S"];
    for (cfg, source) in [("has_text", "text.c"), ("has_tokens", "tokens.c")] {
        println!("cargo:rustc-check-cfg=cfg({cfg})");
        if out.join(source).exists() {
            println!("cargo:rustc-cfg={cfg}");
            sources.push(source);
        }
    }
    let objects: Vec<_> = sources.iter().map(|source| compile(source, &target, &out)).collect();
    let archive = out.join("libnet.a");
    let _ = std::fs::remove_file(&archive); // or what was there before stays in it
    let own = if bare(&target) { "arm-none-eabi-ar" } else { "ar" };
    run(Command::new(given("AR").unwrap_or(own.into())).arg("crs").arg(&archive).args(&objects));
    println!("cargo:rustc-link-search=native={}", out.display());
    println!("cargo:rustc-link-lib=static=net");
    println!("cargo:prepared={}", out.display()); // DEP_NET_PREPARED of a crate that wants the recorded run
}

/// Compiles in the folder of the sources, where the weights are that the assembler takes in.
fn compile(source: &str, target: &str, out: &Path) -> PathBuf {
    let object = out.join(format!("{source}.o"));
    let own = if bare(target) { "arm-none-eabi-gcc" } else { "cc" };
    let named = given(&format!("CC_{}", target.replace('-', "_")));
    let compiler = named.or_else(|| if bare(target) { None } else { given("CC") }).unwrap_or(own.into());
    let mut command = Command::new(compiler);
    command.current_dir(out).args(["-c", source, "-o"]).arg(&object);
    if bare(target) {
        command.args(CORTEX_M4);
    } else {
        command.arg("-fPIC").args(machine());
    }
    if source.ends_with(".c") {
        command.args(FLAGS).args(if bare(target) { BARE } else { &[] });
    }
    command.args(given("EDGERNN_CFLAGS").unwrap_or_default().split_whitespace());
    run(&mut command);
    object
}

/// The flags of the instruction sets that the crate is compiled for.
fn machine() -> Vec<String> {
    let features = given("CARGO_CFG_TARGET_FEATURE").unwrap_or_default();
    let has = |name: &str| features.split(',').any(|own| own == name);
    match given("CARGO_CFG_TARGET_ARCH").unwrap_or_default().as_str() {
        "x86_64" => X86.iter().filter(|name| has(name)).map(|name| format!("-m{name}")).collect(),
        "aarch64" if has("dotprod") => vec!["-march=armv8.2-a+dotprod".into()],
        _ => Vec::new(),
    }
}

/// Whether the target is a microcontroller; of these the flags of a Cortex-M4 are known, EDGERNN_CFLAGS says others.
fn bare(target: &str) -> bool {
    target.starts_with("thumb")
}

fn given(name: &str) -> Option<String> {
    println!("cargo:rerun-if-env-changed={name}");
    env::var(name).ok().filter(|value| !value.is_empty())
}

fn run(command: &mut Command) {
    let program = command.get_program().to_string_lossy().into_owned();
    match command.status() {
        Ok(status) if status.success() => (),
        Ok(_) => fail(&format!("{program} failed, see above: {command:?}")),
        Err(error) => fail(&format!("{program} does not start: {error}; install it, or name another one")),
    }
}

fn fail(line: &str) -> ! {
    eprintln!("error: {line}");
    exit(1)
}
