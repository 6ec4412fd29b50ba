//! A program that links this crate contains no panic from this crate.
//!
//! `tests/no_panic/src/main.rs` calls every public function except `Debug`, `Display` and the
//! buffers of `alloc`, with input that the compiler cannot predict. It is linked without the
//! standard library and without unreachable code. This test searches the disassembly for calls of
//! panics: an `unwrap`, an index or a slice that can fail leaves one.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

/// Calls a panic on purpose: the search must find it.
const ON_PURPOSE: &str = "no_panic::fails_on_purpose";

/// Parts of the names of panics in `core` and of the functions that call them.
const PANICS: [&str; 4] = ["core::panicking::", "_fail", "panic_fmt", "no_panic::panic"];

#[test]
fn no_panic_from_this_crate_is_linked() {
    if !cfg!(all(target_arch = "x86_64", target_os = "linux", target_env = "gnu")) {
        return println!("skipped: the program is linked for x86_64 Linux only");
    }
    let package = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/no_panic");
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join("no_panic");
    let triple = "x86_64-unknown-linux-gnu";
    let built = Command::new(env!("CARGO"))
        .args(["build", "--quiet", "--release", "--target", triple, "--target-dir"])
        .arg(&target)
        .arg("--manifest-path")
        .arg(package.join("Cargo.toml"))
        .env(
            "RUSTFLAGS",
            "-Clink-arg=-nostartfiles -Clink-arg=-lc -Clink-arg=-Wl,-emain -Clink-arg=-Wl,--gc-sections",
        )
        .status()
        .unwrap();
    assert!(built.success());
    let program = target.join(triple).join("release/no-panic");
    let Ok(disassembly) = Command::new("objdump").args(["-dC", "--no-show-raw-insn"]).arg(program).output()
    else {
        return println!("skipped: objdump is absent");
    };
    let disassembly = String::from_utf8(disassembly.stdout).unwrap();

    // Pairs of a caller and the function that it calls.
    let mut function = "";
    let mut calls = BTreeSet::new();
    for line in disassembly.lines() {
        let Some((_, name)) = line.split_once('<') else { continue };
        match name.strip_suffix(">:") {
            Some(name) => function = name,
            None => drop(calls.insert((function, name.trim_end_matches('>')))),
        }
    }
    assert!(calls.len() > 200, "too few calls: the format of the disassembly has changed");

    // A function in core that calls a panic counts as a panic.
    let is_in_core = |name: &str| name.starts_with("core::") || name.starts_with("<core::");
    let mut panics: BTreeSet<&str> = calls.iter().map(|(_, callee)| *callee).collect();
    panics.retain(|callee| PANICS.iter().any(|panic| callee.contains(panic)));
    loop {
        let callers = calls.iter().filter(|(caller, callee)| panics.contains(callee) && is_in_core(caller));
        let more: BTreeSet<&str> = callers.map(|(caller, _)| *caller).collect();
        if more.is_subset(&panics) {
            break;
        }
        panics.extend(more);
    }
    let callers = calls.iter().filter(|(caller, callee)| panics.contains(callee) && !is_in_core(caller));
    let (on_purpose, own): (Vec<&(&str, &str)>, Vec<_>) =
        callers.partition(|(caller, _)| caller.contains(ON_PURPOSE));
    assert!(!on_purpose.is_empty(), "the panic on purpose was not found: the names may have changed");
    assert!(own.is_empty(), "calls of panics: {own:#?}");
}
