//! A program that links the crate contains no panic of the crate's own.
//!
//! `tests/no_panic/src/main.rs` calls everything that is public but `Debug`, `Display` and `alloc`'s buffers, with input that
//! the compiler cannot know. It is linked without the standard library, and what is not reached is dropped; then every call
//! of a panic is looked up in the disassembly. An `unwrap` on input, an index or a slice that might fail would be one.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

/// Who calls a panic, so that it is known that one would be found.
const ON_PURPOSE: &str = "no_panic::fails_on_purpose";

/// What core's panics and the helpers before them are called.
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

    // Who calls whom, by name.
    let mut function = "";
    let mut calls = BTreeSet::new();
    for line in disassembly.lines() {
        let Some((_, name)) = line.split_once('<') else { continue };
        match name.strip_suffix(">:") {
            Some(name) => function = name,
            None => drop(calls.insert((function, name.trim_end_matches('>')))),
        }
    }
    assert!(calls.len() > 200, "the disassembly is not what it was expected to be");

    // A function of core's that calls a panic is as good as one.
    let is_cores = |name: &str| name.starts_with("core::") || name.starts_with("<core::");
    let mut panics: BTreeSet<&str> = calls.iter().map(|(_, callee)| *callee).collect();
    panics.retain(|callee| PANICS.iter().any(|panic| callee.contains(panic)));
    loop {
        let callers = calls.iter().filter(|(caller, callee)| panics.contains(callee) && is_cores(caller));
        let more: BTreeSet<&str> = callers.map(|(caller, _)| *caller).collect();
        if more.is_subset(&panics) {
            break;
        }
        panics.extend(more);
    }
    let callers = calls.iter().filter(|(caller, callee)| panics.contains(callee) && !is_cores(caller));
    let (on_purpose, own): (Vec<&(&str, &str)>, Vec<_>) =
        callers.partition(|(caller, _)| caller.contains(ON_PURPOSE));
    assert!(!on_purpose.is_empty(), "not even the panic on purpose is found: the names may have changed");
    assert!(own.is_empty(), "panics, and who calls them: {own:#?}");
}
