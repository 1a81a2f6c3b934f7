//! Holds the project to its own law: who may import whom, how long a file may be, what may not be written.
//! Each failure names the file, the line and the rule.

#![allow(clippy::expect_used, reason = "a check that cannot read the project fails")]

#[path = "tidy/source.rs"]
mod source;

use std::collections::{BTreeMap, BTreeSet};

use source::{Source, climbs_out, crate_paths, files, root};

/// Lines that a file may have at most, and that the median Rust file of `src/` stays under.
const FILE_LINES_MAX: usize = 600;
const FILE_LINES_MEDIAN_MAX: usize = 150;

/// Crates that stay behind one part's wall, and who is behind it: a part, or a folder of one.
const WALLS: &[(&str, &[&str], &str)] = &[
    ("mlua", &["lua"], "Lua values never leave the runtime"),
    ("sqlx", &["store", "primitives/sql"], "Aegis's own database has one owner, and scripts' data sources another"),
    ("bollard", &["primitives"], "the Docker Engine is reached with a permit only"),
    ("hickory_resolver", &["primitives"], "name servers are asked with a permit only"),
    ("x509_parser", &["primitives"], "certificates are read where they are seen"),
    ("tokio_rustls", &["primitives"], "secure connections are made with a permit only"),
    ("redis", &["primitives"], "Redis and FalkorDB are reached with a permit only"),
    ("nfsserve", &["primitives/nfs"], "volumes are served in one place"),
    ("age", &["primitives/secrets"], "the encrypted store is read and written in one place"),
    ("aho_corasick", &["base"], "texts are masked in one place"),
    ("minijinja", &["primitives"], "templates are filled in one place, with fuel"),
    ("lettre", &["primitives"], "mail is sent by routes of the configuration only"),
    ("png", &["primitives"], "pictures are read in one place, within bounds"),
    ("toml", &["lua"], "TOML is read by a binding"),
    ("csv", &["lua"], "CSV is read by a binding"),
    ("axum", &["web"], "HTTP is served in one place"),
    ("maud", &["web"], "pages are made in one place"),
    ("utoipa", &["web"], "the API describes itself where it is served"),
    ("clap", &["cli", "main"], "arguments are read by the command line"),
    ("reedline", &["cli"], "the console's editor is in the client"),
    ("notify", &["jobs"], "folders are watched in one place"),
    ("tokio_cron_scheduler", &["triggers"], "it keeps the house, not the users' schedules"),
];

/// Statics that hold something which is made at run time, each with the reason why it may.
const STATICS: &[(&str, &str, &str)] = &[
    ("src/store/tests/postgres.rs", "CLUSTER", "one server for all tests of a process; starting one takes seconds"),
    ("src/primitives/sql/testing.rs", "POSTGRES", "one server for all tests of a process; starting one takes seconds"),
    ("src/primitives/sql/testing.rs", "MARIADB", "one server for all tests of a process; starting one takes seconds"),
];

fn hold(broken: Vec<String>) {
    assert!(broken.is_empty(), "{} broken:\n{}", broken.len(), broken.join("\n"));
}

fn rust_sources() -> Vec<Source> {
    let found = files("src", &[".rs"]);
    assert!(found.len() > 40, "found only {} files under src/", found.len());
    found
}

/// Every text that is shipped or read by people.
fn all_texts() -> Vec<Source> {
    const ENDINGS: &[&str] = &[
        ".rs", ".md", ".lua", ".luau", ".toml", ".yaml", ".yml", ".sql", ".js", ".css", ".sh", ".json", "/run", "run",
    ];
    let mut found = Vec::new();
    for folder in [".ci", ".config", "benches", "config", "docs", "migrations", "scripts", "src", "stdlib", "tests"] {
        found.extend(files(folder, ENDINGS));
    }
    for name in ["README.md", "Cargo.toml", "clippy.toml", "deny.toml", "rustfmt.toml"] {
        if let Ok(text) = std::fs::read_to_string(root().join(name)) {
            found.push(Source { path: name.to_owned(), code: text.clone(), text });
        }
    }
    assert!(found.iter().any(|file| file.path == "README.md"), "README.md is missing");
    found
}

/// The table in `src/lib.rs`: folder to rank. Parts without a rank may see everything.
fn ranks() -> BTreeMap<String, Option<u8>> {
    let text = std::fs::read_to_string(root().join("src/lib.rs")).expect("src/lib.rs");
    let mut ranks = BTreeMap::from([("lib".to_owned(), None), ("main".to_owned(), None)]);
    for row in text.lines().filter_map(|line| line.strip_prefix("//! | ")) {
        let mut cells = row.split('|').map(str::trim);
        let (Some(rank), Some(parts)) = (cells.next(), cells.next()) else { continue };
        for part in parts.split('`').skip(1).step_by(2) {
            ranks.insert(part.to_owned(), rank.parse().ok());
        }
    }
    assert!(ranks.len() > 10, "the table of ranks in src/lib.rs was not understood");
    ranks
}

#[test]
fn a_file_imports_only_lower_ranks_and_its_own_folder() {
    let ranks = ranks();
    let mut broken = Vec::new();
    for file in rust_sources() {
        let part = file.part().to_owned();
        let Some(own) = ranks.get(&part) else {
            broken.push(format!("{}:1: {part} has no rank in the table of src/lib.rs", file.path));
            continue;
        };
        for at in climbs_out(&file) {
            let line = file.line_at(at);
            broken.push(format!("{}:{line}: super:: leaves the folder; write crate:: so that it shows", file.path));
        }
        let Some(own) = own else { continue };
        for (at, target) in crate_paths(&file) {
            let allowed = target == part || ranks.get(&target).is_some_and(|rank| rank.is_some_and(|rank| rank < *own));
            if !allowed {
                let line = file.line_at(at);
                broken.push(format!("{}:{line}: {part} (rank {own}) may not import {target}", file.path));
            }
        }
    }
    hold(broken);
}

#[test]
fn foreign_crates_stay_behind_their_walls() {
    let mut broken = Vec::new();
    for file in rust_sources() {
        let inside = |place: &str| {
            file.part() == place || (place.contains('/') && file.path.starts_with(&format!("src/{place}/")))
        };
        for (name, behind, reason) in WALLS.iter().filter(|(_, behind, _)| !behind.iter().any(|place| inside(place))) {
            for at in file.words(name) {
                let is_path = file.code[at + name.len()..].trim_start().starts_with("::");
                let is_module = file.code[..at].trim_end().ends_with("::") || file.code[..at].ends_with("mod ");
                if is_path && !is_module && !is_local_module(&file, name) {
                    let line = file.line_at(at);
                    let owners = behind.join(", ");
                    broken.push(format!("{}:{line}: {name} belongs to {owners}: {reason}", file.path));
                }
            }
        }
    }
    hold(broken);
}

/// `notify::Notify` inside `primitives` means our own module of that name, which the file imports or declares.
fn is_local_module(file: &Source, name: &str) -> bool {
    let local = |at: usize| {
        let before = file.code[..at].trim_end();
        let line_start = file.code[..at].rfind('\n').map_or(0, |newline| newline + 1);
        let statement = file.code[..at].rfind(';').map_or(line_start, |end| end + 1);
        let text = &file.code[statement..at];
        before.ends_with("mod") || (text.contains("use ") && (text.contains("crate::") || text.contains("super::")))
    };
    file.words(name).any(local)
}

#[test]
fn files_stay_short() {
    let mut broken = Vec::new();
    let mut texts = files("src", &[".rs", ".js", ".css"]);
    for folder in ["tests", "benches", "scripts", "stdlib"] {
        texts.extend(files(folder, &[".rs", ".lua", ".luau"]));
    }
    for file in texts.iter().filter(|file| !file.path.ends_with(".d.luau")) {
        let lines = file.text.lines().count();
        if lines > FILE_LINES_MAX {
            broken
                .push(format!("{}:{lines}: a file has at most {FILE_LINES_MAX} lines; split it by meaning", file.path));
        }
    }
    let mut lengths: Vec<usize> = rust_sources().iter().map(|file| file.text.lines().count()).collect();
    lengths.sort_unstable();
    let median = lengths[lengths.len() / 2];
    if median >= FILE_LINES_MEDIAN_MAX {
        broken.push(format!("src: the median file has {median} lines; it stays under {FILE_LINES_MEDIAN_MAX}"));
    }
    hold(broken);
}

#[test]
fn nothing_is_left_unfinished() {
    // Written in pieces, so that this list does not find itself.
    let marks = [concat!("TO", "DO"), concat!("FIX", "ME")];
    let mut broken = Vec::new();
    for file in all_texts().iter().filter(|file| file.path.ends_with(".rs") || file.path.ends_with(".lua")) {
        for mark in marks {
            for (at, _) in file.text.match_indices(mark) {
                broken.push(format!("{}:{}: {mark} is work left undone", file.path, file.line_at(at)));
            }
        }
        for (word, rule) in [("todo", "todo! panics"), ("unimplemented", "unimplemented! panics")] {
            for at in file.words(word).filter(|at| file.code[at + word.len()..].starts_with('!')) {
                broken.push(format!("{}:{}: {rule}", file.path, file.line_at(at)));
            }
        }
        for at in file.words("ignore").filter(|at| file.code[..*at].ends_with("#[")) {
            broken.push(format!("{}:{}: a test that is not run proves nothing", file.path, file.line_at(at)));
        }
    }
    hold(broken);
}

#[test]
fn no_global_holds_state() {
    const HOLDERS: [&str; 8] =
        ["OnceLock", "LazyLock", "OnceCell", "Mutex", "RwLock", "ArcSwap", "Atomic", "UnsafeCell"];
    let mut broken = Vec::new();
    let mut used = BTreeSet::new();
    for file in rust_sources() {
        for at in file.words("static").filter(|at| !file.code[..*at].ends_with(['\'', '&'])) {
            let declaration = &file.code[at..];
            let declaration = &declaration[..declaration.find(['=', ';']).unwrap_or(declaration.len())];
            let name: String = declaration["static".len()..]
                .trim_start()
                .chars()
                .take_while(|c| c.is_alphanumeric() || *c == '_')
                .collect();
            if let Some(entry) = STATICS.iter().find(|(path, allowed, _)| *path == file.path && *allowed == name) {
                used.insert(entry.1);
                continue;
            }
            let mutable = declaration["static".len()..].trim_start().starts_with("mut ");
            if mutable || HOLDERS.iter().any(|holder| declaration.contains(holder)) {
                let line = file.line_at(at);
                broken.push(format!("{}:{line}: the static {name} holds state; hand it to who needs it", file.path));
            }
        }
        for at in file.words("thread_local") {
            broken.push(format!("{}:{}: thread-local state is a global too", file.path, file.line_at(at)));
        }
    }
    for (path, name, _) in STATICS.iter().filter(|(_, name, _)| !used.contains(name)) {
        broken.push(format!("{path}:1: {name} is excused in tests/tidy.rs and does not exist"));
    }
    hold(broken);
}

#[test]
fn every_limit_limits_something() {
    let sources = rust_sources();
    let is_limits = |file: &&Source| file.path == "src/base/limits.rs" || file.path.starts_with("src/base/limits/");
    let mut broken = Vec::new();
    for limits in sources.iter().filter(is_limits) {
        for at in limits.words("const") {
            let name: String =
                limits.code[at + "const ".len()..].chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
            let mut others = sources.iter().filter(|file| !is_limits(file));
            if !others.any(|file| file.words(&name).next().is_some()) {
                broken.push(format!("{}:{}: nothing observes {name}", limits.path, limits.line_at(at)));
            }
        }
    }
    hold(broken);
}

#[test]
fn the_map_of_the_code_is_true() {
    let map = std::fs::read_to_string(root().join("docs/architecture.md")).expect("docs/architecture.md");
    let mut broken = Vec::new();
    for (number, line) in map.lines().enumerate() {
        for quoted in line.split('`').skip(1).step_by(2) {
            let folders =
                ["src/", "tests/", "scripts/", "stdlib/", "config/", "migrations/", "docs/", "benches/", ".ci/"];
            let is_path = folders.iter().any(|folder| quoted.starts_with(folder)) && !quoted.contains([' ', '*', '<']);
            if is_path && !root().join(quoted).exists() {
                broken.push(format!("docs/architecture.md:{}: there is no {quoted}", number + 1));
            }
        }
    }
    for entry in std::fs::read_dir(root().join("src")).expect("src").flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let shown = if entry.path().is_dir() { format!("`src/{name}/`") } else { format!("`src/{name}`") };
        if !map.contains(&shown) {
            broken.push(format!("docs/architecture.md:1: it does not mention {shown}"));
        }
    }
    hold(broken);
}

/// Links between the documents lead somewhere.
#[test]
fn links_in_documents_lead_to_files() {
    let mut broken = Vec::new();
    for file in all_texts().iter().filter(|file| file.path.ends_with(".md")) {
        let folder = root().join(&file.path).parent().expect("a file is in a folder").to_owned();
        for (at, _) in file.text.match_indices("](") {
            let target: String = file.text[at + 2..].chars().take_while(|c| !matches!(c, ')' | '#' | '\n')).collect();
            let is_outside = target.is_empty() || target.contains("://") || target.starts_with("mailto:");
            if !is_outside && !folder.join(&target).exists() {
                broken.push(format!("{}:{}: there is no {target}", file.path, file.line_at(at)));
            }
        }
    }
    hold(broken);
}

#[test]
fn nothing_tells_where_it_was_written() {
    // In pieces, so that this file passes its own test.
    let forbidden = [
        (concat!("/wo", "rk/"), "a path of one machine"),
        (concat!("/ro", "ot/"), "a path of one machine"),
        (concat!(".car", "go/registry"), "a path of one machine"),
        (concat!("far", "m-"), "a tool of one workplace"),
        (concat!("issues", " show"), "a tool of one workplace"),
        (concat!("shared/", "design"), "a document that readers do not have"),
        (concat!("lua-", "api.md"), "a document that readers do not have"),
        (concat!("find", "ings.md"), "a document that readers do not have"),
        (concat!("require", "ments.md"), "a document that readers do not have"),
        (concat!("inter", "faces.md"), "a document that readers do not have"),
        (concat!("BR", "IEF"), "a document that readers do not have"),
    ];
    let mut broken = Vec::new();
    for file in all_texts() {
        for (word, rule) in forbidden {
            for (at, _) in file.text.match_indices(word) {
                broken.push(format!("{}:{}: {word:?} is {rule}", file.path, file.line_at(at)));
            }
        }
    }
    hold(broken);
}

/// Examples use reserved names, so that nobody's real host is called or named by accident.
#[test]
fn addresses_are_reserved_or_public_projects() {
    const HOSTS: &[&str] = &[
        "example.com",
        "example.org",
        "example.net",
        "example",
        "invalid",
        "test",
        "localhost",
        "github.com",
        "docs.rs",
        "www.apache.org",
        "www.w3.org",
        "www.sqlite.org",
        "json-schema.org",
        "doc.rust-lang.org",
        "luau.org",
        "docs.docker.com",
        "opencontainers.org",
        "www.standardwebhooks.com",
        "api.stripe.com",
        // Where messages go unless the configuration says otherwise.
        "api.telegram.org",
        "api.nexmo.com",
        "api.resend.com",
    ];
    let mut broken = Vec::new();
    for file in all_texts() {
        for scheme in ["http://", "https://"] {
            for (at, _) in file.text.match_indices(scheme) {
                let rest = &file.text[at + scheme.len()..];
                let authority: String = rest
                    .chars()
                    .take_while(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '@' | '_'))
                    .collect();
                let host = authority.rsplit('@').next().unwrap_or_default().trim_end_matches('.').to_ascii_lowercase();
                // Addresses in whatever notation end in a digit or in nothing; names end in letters.
                let last = host.rsplit('.').next().unwrap_or_default();
                let is_name = host.contains('.') && last.starts_with(|c: char| c.is_ascii_alphabetic());
                let allowed = HOSTS.iter().any(|known| host == *known || host.ends_with(&format!(".{known}")));
                if is_name && !allowed {
                    broken.push(format!("{}:{}: {host} is neither reserved nor listed", file.path, file.line_at(at)));
                }
            }
        }
    }
    let lock = std::fs::read_to_string(root().join("Cargo.lock")).expect("Cargo.lock");
    for (number, line) in lock.lines().enumerate().filter(|(_, line)| line.starts_with("source = ")) {
        if line != "source = \"registry+https://github.com/rust-lang/crates.io-index\"" {
            broken.push(format!("Cargo.lock:{}: {line} is not the public registry", number + 1));
        }
    }
    hold(broken);
}

mod reader {
    use super::source::{Source, blank, climbs_out, crate_paths};

    fn source(path: &str, text: &str) -> Source {
        Source { path: path.to_owned(), text: text.to_owned(), code: blank(text) }
    }

    #[test]
    fn comments_and_literals_are_not_code() {
        let text = "a /* x /* y */ */ b // c\n\"crate::\\\" d\" r#\"e\"# 'f' '\\'' &'g h b\"i\" \"\"";
        let code = blank(text);
        assert_eq!(code.len(), text.len());
        assert_eq!(code.split_whitespace().collect::<String>(), "ab&'ghb");
    }

    #[test]
    fn paths_are_found_in_every_form() {
        let file = source(
            "src/store/x.rs",
            "use crate::base::{A, B};\nuse crate::{model::Run, lua, web::{self, x}};\nfn f() { crate::jobs::go() } // crate::no\npub(crate) fn g() {}",
        );
        let heads: Vec<String> = crate_paths(&file).into_iter().map(|(_, name)| name).collect();
        assert_eq!(heads, ["base", "model", "lua", "web", "jobs"]);
    }

    #[test]
    fn climbing_out_of_a_folder_shows() {
        let text = "use super::a;\nuse super::super::b;\nmod tests { use super::super::c; }";
        let lines = |path| {
            let file = source(path, text);
            climbs_out(&file).into_iter().map(|at| file.line_at(at)).collect::<Vec<_>>()
        };
        assert_eq!(lines("src/web/deep/file.rs"), [0_usize; 0]);
        assert_eq!(lines("src/web/file.rs"), [2]);
        assert_eq!(lines("src/web/mod.rs"), [1, 2, 3]);
    }
}
