//! Prints the public items of a crate, one a line: `api RUSTDOC.json`.

use public_api::{Builder, Error};

fn main() -> Result<(), Error> {
    let path = std::env::args_os().nth(1).expect("the path of a JSON file from rustdoc");
    let api = Builder::from_rustdoc_json(path)
        .omit_auto_derived_impls(true)
        .omit_auto_trait_impls(true)
        .omit_blanket_impls(true)
        .build()?;
    print!("{api}");
    Ok(())
}
