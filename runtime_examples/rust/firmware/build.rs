//! The vector table, memory map and semihosting of `../../mcu`, and where the recorded run of `edgernn-net` lies.

use std::env;
use std::path::Path;
use std::process::Command;

const FLAGS: &[&str] =
    &["-mcpu=cortex-m4", "-mthumb", "-mfloat-abi=hard", "-mfpu=fpv4-sp-d16", "-O2", "-ffreestanding"];

fn main() {
    let out = env::var("OUT_DIR").unwrap();
    let mcu = Path::new(&env::var("CARGO_MANIFEST_DIR").unwrap()).join("../../mcu");
    for source in ["startup.c", "semihosting.c"] {
        let object = format!("{out}/{source}.o");
        let mut compiler = Command::new("arm-none-eabi-gcc");
        let status = compiler.args(FLAGS).arg("-c").arg(mcu.join(source)).args(["-o", &object]).status();
        assert!(status.is_ok_and(|status| status.success()), "arm-none-eabi-gcc failed: {compiler:?}");
        println!("cargo:rustc-link-arg-bins={object}");
    }
    println!("cargo:rustc-link-arg-bins=-L{}", mcu.join("boards").display());
    println!("cargo:rustc-link-arg-bins=-Tmps2-an386.ld");
    println!("cargo:rustc-link-arg-bins=--defsym=stack_bytes=65536");
    println!("cargo:rerun-if-changed={}", mcu.display());
    println!("cargo:rustc-env=PREPARED={}", env::var("DEP_NET_PREPARED").unwrap());
}
