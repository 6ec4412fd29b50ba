//! What is published can be read without the repository: each relative link of a page leads to a
//! file of the same package.

use std::path::{Component, Path, PathBuf};
use std::process::Command;
use std::{fs, str};

/// The files that `cargo publish` packs, relative to the package.
fn packaged(package: &str) -> Vec<PathBuf> {
    let listed = Command::new(env!("CARGO"))
        .args(["package", "--list", "--quiet", "--allow-dirty", "--package", package])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    assert!(listed.status.success(), "{}", String::from_utf8_lossy(&listed.stderr));
    str::from_utf8(&listed.stdout).unwrap().lines().map(PathBuf::from).collect()
}

/// The targets of the links and pictures in a page of Markdown, HTML tags included.
fn targets(page: &str) -> impl Iterator<Item = &str> {
    let ends = [("](", ')'), ("src=\"", '"'), ("srcset=\"", '"'), ("href=\"", '"')];
    ends.into_iter().flat_map(move |(start, end)| {
        page.split(start).skip(1).filter_map(move |rest| Some(rest.split_once(end)?.0))
    })
}

/// A link's target, relative to the package; `None` if it leads out of it.
fn resolve(page: &Path, target: &str) -> Option<PathBuf> {
    let mut resolved = page.parent()?.to_path_buf();
    for component in Path::new(target).components() {
        match component {
            Component::Normal(name) => resolved.push(name),
            Component::CurDir => {}
            Component::ParentDir if resolved.pop() => {}
            _ => return None,
        }
    }
    Some(resolved)
}

#[test]
fn relative_links_lead_to_packaged_files() {
    let mut broken = Vec::new();
    let mut relative = 0;
    for (package, folder) in [("sansocket", ""), ("sansocket-io", "sansocket-io")] {
        let files = packaged(package);
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
        // rustdoc checks the links of the guide, in src.
        let is_page = |file: &Path| file.extension().is_some_and(|extension| extension == "md");
        for page in files.iter().filter(|file| is_page(file) && !file.starts_with("src")) {
            let text = fs::read_to_string(root.join(page)).unwrap();
            for target in targets(&text).filter(|target| !target.contains(':') && !target.starts_with('#')) {
                relative += 1;
                let path = target.split('#').next().unwrap_or_default();
                let packed = resolve(page, path).is_some_and(|path| {
                    path.as_os_str().is_empty() || files.iter().any(|file| file.starts_with(&path))
                });
                if !packed {
                    broken.push(format!("{package}: {}: {target}", page.display()));
                }
            }
        }
        for licence in ["LICENSE-APACHE", "LICENSE-MIT", "README.md"] {
            assert!(files.iter().any(|file| file == Path::new(licence)), "{package} has no {licence}");
        }
    }
    assert!(relative > 0, "no relative link was found");
    assert!(broken.is_empty(), "links that lead to no packaged file: {broken:#?}");
}
