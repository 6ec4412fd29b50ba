//! Linker arguments of every program: memory layout and scripts for a QEMU board.

fn main() {
    let processor = std::env::var("CARGO_CFG_TARGET_ARCH").expect("set by cargo");
    let (memory, scripts) = match processor.as_str() {
        "arm" => ("arm", &["-Tlink.x"][..]),
        "riscv32" => ("riscv", &["-Tmemory.x", "-Tlink.x"][..]),
        _ => return,
    };
    println!("cargo:rustc-link-search={}/../memory/{memory}", env!("CARGO_MANIFEST_DIR"));
    println!("cargo:rerun-if-changed=../memory");
    // defmt keeps the log's texts in a section of their own.
    let log = if env!("CARGO_PKG_NAME") == "device" { &["-Tdefmt.x"][..] } else { &[] };
    for argument in scripts.iter().chain(&["--nmagic"]).chain(log) {
        println!("cargo:rustc-link-arg-bins={argument}");
    }
}
