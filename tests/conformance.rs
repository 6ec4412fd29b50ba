//! Checks `conformance.md` against the tests: each rule that it calls tested has a test, and no
//! other rule has one.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::{fs, io};

const PAGE: &str = include_str!("conformance.md");

/// The first letters of ids.
const GROUPS: &str = "UCDSRFKGPLXTNQZHJ";

/// Whether `token` has the form of an id: a group's letter and a number without leading zeros.
fn is_id(token: &str) -> bool {
    let number = token.strip_prefix(|letter| GROUPS.contains(letter)).unwrap_or_default();
    !number.is_empty() && !number.starts_with('0') && number.bytes().all(|byte| byte.is_ascii_digit())
}

/// The ids in `Proves: C6, C7.`; `None` if the text has another form.
fn ids(proves: &str) -> Option<Vec<&str>> {
    let list = proves.strip_prefix("Proves: ")?.strip_suffix('.')?;
    let ids: Vec<_> = list.split(", ").collect();
    ids.iter().all(|id| is_id(id)).then_some(ids)
}

/// Calls `found` with the name of each test in a source file and the `Proves` lines of its
/// documentation. The name is empty if the lines are not on a test.
fn read_tests(source: &str, found: &mut dyn FnMut(&str, &str)) {
    let (mut proves, mut is_test) = (String::new(), false);
    for line in source.lines().map(str::trim) {
        if let Some(doc) = line.strip_prefix("/// ") {
            if !proves.is_empty() && !proves.ends_with('.') {
                // A long list continues on the next line.
                proves = format!("{proves} {doc}");
            } else if doc.starts_with("Proves:") {
                proves += doc;
            }
        } else if line == "#[test]" {
            is_test = true;
        } else if !line.starts_with("#[") && !line.starts_with("//") {
            // The item that the documentation and the attributes belong to.
            let name = line.split_once("fn ").map_or("", |(_, rest)| rest);
            let name = name.split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap_or_default();
            if is_test || !proves.is_empty() {
                found(if is_test { name } else { "" }, &proves);
            }
            (proves, is_test) = (String::new(), false);
        }
    }
}

/// Calls `read` with each Rust file below `folder`.
fn walk(folder: &Path, read: &mut dyn FnMut(&Path, &str)) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            walk(&path, read)?;
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            read(&path, &fs::read_to_string(&path)?);
        }
    }
    Ok(())
}

/// The rules and counts of the page.
#[derive(Default)]
struct Table {
    tested: BTreeSet<&'static str>,
    untested: BTreeSet<&'static str>,
    /// The number of rows of each kind, as the page states it and as counted.
    stated: BTreeMap<&'static str, usize>,
    counted: BTreeMap<&'static str, usize>,
}

impl Table {
    fn read(page: &'static str, problems: &mut Vec<String>) -> Self {
        let mut table = Self::default();
        for line in page.lines() {
            let Some(row) = line.strip_prefix('|').and_then(|line| line.strip_suffix('|')) else { continue };
            let cells: Vec<_> = row.split('|').map(str::trim).collect();
            match cells[..] {
                ["---", ..] | ["id" | "rows", ..] => {}
                [kind, count, _] => match count.parse() {
                    Ok(count) => _ = table.stated.insert(kind, count),
                    Err(_) => problems.push(format!("not a count: {line}")),
                },
                [id, _, _, proof] => table.add_rule(id, proof, problems),
                _ => problems.push(format!("not a row: {line}")),
            }
        }
        table
    }

    fn add_rule(&mut self, id: &'static str, proof: &'static str, problems: &mut Vec<String>) {
        if !is_id(id) {
            problems.push(format!("{id}: not an id"));
        }
        if self.tested.contains(id) || self.untested.contains(id) {
            problems.push(format!("{id}: two rows have this id"));
        }
        // A reason is one of the counted kinds, a colon, and an explanation.
        let reason = proof.strip_prefix("not tested: ").and_then(|reason| reason.split_once(": "));
        let kind = match reason {
            Some((kind, _)) => kind,
            None if proof == "tested" => "tested",
            None => return problems.push(format!("{id}: neither tested nor with a reason: {proof}")),
        };
        if reason.is_none() { &mut self.tested } else { &mut self.untested }.insert(id);
        for kind in ["all", kind] {
            *self.counted.entry(kind).or_default() += 1;
        }
    }
}

#[test]
fn the_page_agrees_with_the_tests() {
    let mut problems = Vec::new();
    let table = Table::read(PAGE, &mut problems);

    let mut proven = BTreeMap::<String, Vec<String>>::new();
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for folder in ["src", "tests"] {
        walk(&root.join(folder), &mut |path, source| {
            read_tests(source, &mut |name, proves| {
                let place = format!("{name} in {}", path.strip_prefix(root).unwrap_or(path).display());
                if name.split('_').next().is_some_and(|first| is_id(&first.to_uppercase())) {
                    problems
                        .push(format!("{place}: ids go into a line `/// Proves: ...`, not into the name"));
                }
                match ids(proves) {
                    _ if proves.is_empty() => {}
                    Some(_) if name.is_empty() => {
                        problems.push(format!("{place}: `{proves}` is not on a test"))
                    }
                    Some(ids) => {
                        for id in ids {
                            proven.entry(id.to_owned()).or_default().push(place.clone());
                        }
                    }
                    None => problems.push(format!("{place}: not a list of ids: `{proves}`")),
                }
            });
        })
        .unwrap();
    }

    for id in table.tested.iter().filter(|id| !proven.contains_key(**id)) {
        problems.push(format!("{id}: tested according to the page, but no test proves it"));
    }
    for (id, places) in &proven {
        let places = places.join(", ");
        if table.untested.contains(&**id) {
            problems.push(format!("{id}: not tested according to the page, but proven by {places}"));
        } else if !table.tested.contains(&**id) {
            problems.push(format!("{id}: not on the page: {places}"));
        }
    }
    let kinds: BTreeSet<_> = table.stated.keys().chain(table.counted.keys()).collect();
    for kind in kinds {
        let (stated, counted) = (table.stated.get(kind), table.counted.get(kind));
        if stated != counted {
            problems.push(format!("{kind}: the page states {stated:?} rows, and has {counted:?}"));
        }
    }
    println!("{} of {} rules are tested", table.tested.len(), table.tested.len() + table.untested.len());
    assert!(problems.is_empty(), "{} problems:\n{}", problems.len(), problems.join("\n"));
}

#[test]
fn a_proves_line_lists_ids_and_ends_with_a_full_stop() {
    assert_eq!(ids("Proves: F8."), Some(vec!["F8"]));
    assert_eq!(ids("Proves: F8, K6, Z30."), Some(vec!["F8", "K6", "Z30"]));
    for malformed in ["F8", "F8, K6", "F8,K6.", "F8 K6.", ".", "f8.", "F08.", "F.", "W1.", "F8, all.", "É1."]
    {
        assert_eq!(ids(&format!("Proves: {malformed}")), None, "{malformed}");
    }
}

#[test]
fn proves_lines_are_found_on_their_tests() {
    let one = ["/// Text.", "/// Proves: A1,", "/// B2.", "#[test]", "#[ignore]", "fn one(x: u8) {}"];
    let helper = ["/// Proves: C3.", "fn helper() {}", "    #[cfg(a)]", "    #[test]", "    fn two() {}"];
    let others = ["// #[test]", "fn no() {}", "let text = \"#[test]\";", "#[test]", "fn $name() {}", ""];
    let source = [&one[..], &helper, &others].concat().join("\n");
    let mut found = Vec::new();
    read_tests(&source, &mut |name, proves| found.push(format!("{name}: {proves}")));
    assert_eq!(found, ["one: Proves: A1, B2.", ": Proves: C3.", "two: ", ": "]);
}
