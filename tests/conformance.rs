//! `conformance.md` says of each rule whether it is tested. This sees that it tells the truth.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::{fmt, fs, io};

const TABLE: &str = include_str!("conformance.md");

/// The first letters of ids, in the table's order.
const GROUPS: &str = "UCDSRFKGPLXTNQZHJ";

/// A rule's id: `F8` in the table, `f8` in the names of tests.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Id {
    /// The group's place in the table, so that ids sort as they do there.
    group: usize,
    number: u32,
}

impl Id {
    /// A token in lower case; `None` where it is a mere word.
    fn new(token: &str) -> Option<Self> {
        let group = GROUPS.to_ascii_lowercase().find(token.chars().next()?)?;
        let digits = token.get(1..)?;
        // `f08` is none: an id is written in one way only.
        let valid = !digits.starts_with('0') && digits.bytes().all(|octet| octet.is_ascii_digit());
        if valid { digits.parse().ok().map(|number| Self { group, number }) } else { None }
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", &GROUPS[self.group..=self.group], self.number)
    }
}

/// The ids at the front of a test's name; the first word that is none ends them.
fn ids(name: &str) -> impl Iterator<Item = Id> {
    name.split('_').map_while(Id::new)
}

/// The names of the tests in a source file. Those that a macro makes have no name there, and no id.
fn tests(source: &str) -> impl Iterator<Item = &str> {
    source.match_indices("#[test]").filter_map(|(at, attribute)| {
        // Only what stands at the front of its line is an attribute, not text in a comment or in a string.
        let (before, after) = (&source[..at], &source[at + attribute.len()..]);
        let line = &before[before.rfind('\n').map_or(0, |end| end + 1)..];
        let (_, name) = after.split_once("fn ").filter(|_| line.trim().is_empty())?;
        name.split(|c: char| !c.is_alphanumeric() && c != '_').next().filter(|name| !name.is_empty())
    })
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

/// What the page says.
#[derive(Default)]
struct Table<'t> {
    /// The rules that are called tested.
    tested: BTreeSet<Id>,
    /// The others.
    untested: BTreeSet<Id>,
    /// How many rows the page claims of each kind, and how many there are.
    claimed: BTreeMap<&'t str, usize>,
    counted: BTreeMap<&'t str, usize>,
}

impl<'t> Table<'t> {
    fn read(page: &'t str, problems: &mut Vec<String>) -> Self {
        let mut table = Self::default();
        for line in page.lines() {
            let Some(row) = line.strip_prefix('|').and_then(|line| line.strip_suffix('|')) else { continue };
            let cells: Vec<_> = row.split('|').map(str::trim).collect();
            match cells[..] {
                ["---", ..] | ["id" | "rows", ..] => {}
                [kind, count, _] => match count.parse() {
                    Ok(count) => _ = table.claimed.insert(kind, count),
                    Err(_) => problems.push(format!("not a count: {line}")),
                },
                [id, _, _, proof] => table.rule(id, proof, problems),
                _ => problems.push(format!("not a row: {line}")),
            }
        }
        table
    }

    fn rule(&mut self, id: &str, proof: &'t str, problems: &mut Vec<String>) {
        let Some(parsed) = Id::new(&id.to_ascii_lowercase()).filter(|parsed| parsed.to_string() == id) else {
            return problems.push(format!("{id}: not an id"));
        };
        if self.tested.contains(&parsed) || self.untested.contains(&parsed) {
            return problems.push(format!("{id}: twice in the table"));
        }
        // A reason is one of the kinds that the page counts, a colon, and what it means here.
        let reason = proof.strip_prefix("not tested: ").and_then(|reason| reason.split_once(": "));
        let kind = match reason {
            Some((kind, _)) => kind,
            None if proof == "tested" => "tested",
            None => return problems.push(format!("{id}: neither tested nor with a reason: {proof}")),
        };
        if reason.is_none() { &mut self.tested } else { &mut self.untested }.insert(parsed);
        for kind in ["all", kind] {
            *self.counted.entry(kind).or_default() += 1;
        }
    }
}

#[test]
fn every_rule_has_the_proof_that_the_table_names() {
    let mut problems = Vec::new();
    let table = Table::read(TABLE, &mut problems);

    let mut shown = BTreeMap::<Id, Vec<String>>::new();
    for folder in ["src", "tests"] {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        walk(&root.join(folder), &mut |path, source| {
            for name in tests(source) {
                let place = path.strip_prefix(root).unwrap_or(path).display();
                ids(name).for_each(|id| shown.entry(id).or_default().push(format!("{name} in {place}")));
            }
        })
        .unwrap();
    }

    for id in table.tested.iter().filter(|id| !shown.contains_key(id)) {
        problems.push(format!("{id}: tested, says the table, but no test has it"));
    }
    for (id, names) in &shown {
        let names = names.join(", ");
        if table.untested.contains(id) {
            problems.push(format!("{id}: not tested, says the table, but it is: {names}"));
        } else if !table.tested.contains(id) {
            problems.push(format!("{id}: not in the table: {names}"));
        }
    }
    // Both ways: no count is wrong, none is missing, none is left over.
    let kinds: BTreeSet<_> = table.claimed.keys().chain(table.counted.keys()).collect();
    for kind in kinds {
        let (claimed, counted) = (table.claimed.get(kind), table.counted.get(kind));
        if claimed != counted {
            let [claimed, counted] = [claimed, counted].map(|count| count.copied().unwrap_or_default());
            problems.push(format!("{kind}: the table's head counts {claimed} rows, there are {counted}"));
        }
    }

    let proven = table.tested.iter().filter(|id| shown.contains_key(id)).count();
    println!("{proven} of {} rules are tested", table.tested.len() + table.untested.len());
    assert!(problems.is_empty(), "{} problems:\n{}", problems.len(), problems.join("\n"));
}

#[test]
fn only_whole_tokens_at_the_front_of_a_name_are_ids() {
    let found = |name| ids(name).map(|id| id.to_string()).collect::<Vec<_>>().join(" ");
    assert_eq!(found("f8_k6_t2_streams_are_cut"), "F8 K6 T2");
    assert_eq!(found("x1_to_x5_each_code"), "X1");
    assert_eq!(found("f10"), "F10");
    for none in ["a_server", "f_8", "f8b_x", "f08_x", "utf8_x", "f_f8", "r_", "s", "", "w1_x", "é1_x"] {
        assert_eq!(found(none), "", "{none}");
    }
}

#[test]
fn tests_are_found_by_their_attribute() {
    let source =
        "#[test]\nfn a() {}\n    #[test]\n    #[ignore]\n    fn b1_c(x: u8) {}\n// #[test]\nfn no() {}
        let text = \"#[test] fn no()\";\n#[test]\nfn $name() {}\n#[test] fn d() {}";
    assert_eq!(tests(source).collect::<Vec<_>>(), ["a", "b1_c", "d"]);
}
