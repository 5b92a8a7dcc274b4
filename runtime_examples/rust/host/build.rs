//! Compiles a bundle's C into the host where EDGERNN_BUNDLE is its folder; EDGERNN_ARTIFACT names the step in C where it is not
//! the first. Without it the host runs files for onnxruntime alone. PYTHON is the interpreter of ../../compiled/prepare.py,
//! which compares every file with the manifest's digests first.

use std::env;
use std::fs;
use std::path::PathBuf;
use std::process::{exit, Command};

// With contraction off every compiler gives the same bits.
const FLAGS: [&str; 3] = ["-std=gnu11", "-ffp-contract=off", "-fno-trapping-math"];
const LINK: &str = "#include \"names.h\"\nconst network *edgernn_network(void);\n\
    const network *edgernn_network(void)\n{\n    return the_network();\n}\n";
// What the C has kernels for, of the features that the crate is compiled with: RUSTFLAGS="-C target-cpu=native".
const X86: [&str; 6] = ["avx", "avx2", "avx512f", "avx512bw", "avx512vl", "avx512vnni"];

fn main() {
    println!("cargo:rustc-check-cfg=cfg(has_network)");
    println!("cargo:rerun-if-changed=build.rs");
    let Some(bundle) = given("EDGERNN_BUNDLE") else { return };
    let here = PathBuf::from(given("CARGO_MANIFEST_DIR").unwrap());
    let out = PathBuf::from(given("OUT_DIR").unwrap()).join("net");
    let (bundle, tables) = (here.join(bundle), here.join("../../compiled")); // an absolute path stays as it is
    println!("cargo:rerun-if-changed={}", bundle.display());
    println!("cargo:rerun-if-changed={}", tables.display());

    let mut prepare = Command::new(given("PYTHON").unwrap_or("python3".into()));
    prepare.arg(tables.join("prepare.py")).arg(&bundle).arg(&out);
    if let Some(artifact) = given("EDGERNN_ARTIFACT") {
        prepare.args(["--artifact", &artifact]);
    }
    match prepare.status() {
        Ok(status) if status.success() => (),
        Ok(_) => fail("prepare.py refuses the bundle, see above"),
        Err(error) => fail(&format!("python3 does not start: {error}; install it, or name another one by PYTHON")),
    }
    fs::write(out.join("link.c"), LINK)
        .unwrap_or_else(|error| fail(&format!("cannot write to {}: {error}", out.display())));

    let mut build = cc::Build::new();
    build.files(["link.c", "network.c", "step.c", "step.weights.S"].map(|source| out.join(source)));
    for flag in FLAGS.into_iter().map(String::from).chain(machine()) {
        build.flag(&flag);
    }
    build.opt_level(3).include(&out).compile("edgernn_network"); // the assembler finds the weights there too
    println!("cargo:rustc-cfg=has_network");
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

fn given(name: &str) -> Option<String> {
    println!("cargo:rerun-if-env-changed={name}");
    env::var(name).ok().filter(|value| !value.is_empty())
}

fn fail(line: &str) -> ! {
    eprintln!("error: {line}");
    exit(1)
}
