//! `aegis test [PATH…]`: runs Lua tests (`*_test.lua`) with fakes in place of the world and a clock of their own.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use owo_colors::OwoColorize;
use serde_json::{Value, json};

use crate::base::{limits, quantity};
use crate::cli::context::Context;
use crate::cli::failure::{Exit, Failure};
use crate::cli::{engine, show};
use crate::jobs;
use crate::lua::{Bundle, TestResult};

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Files and folders [default: the scripts folder]
    paths: Vec<PathBuf>,
}

/// One file of tests and what came of it.
#[derive(Debug)]
struct Tested {
    file: PathBuf,
    results: Vec<TestResult>,
}

pub(super) async fn run(args: Args, ctx: &Context) -> Result<(), Failure> {
    let config = ctx.config(&[])?.config;
    let engine = engine::without_secrets(&config, &ctx.clock)?;
    let scripts = config.scripts.dir;
    let paths = if args.paths.is_empty() { vec![scripts.clone()] } else { args.paths };
    let work = move || -> Result<Vec<Tested>, Failure> {
        let mut tested = Vec::new();
        for file in find(&paths)? {
            let bundle = Arc::new(bundle(&file, root(&file, &scripts), &scripts)?);
            tested.push(Tested { results: engine.run_tests(&bundle), file });
        }
        Ok(tested)
    };
    let tested = tokio::task::spawn_blocking(work).await;
    report(&tested.map_err(|error| Failure::new(format!("the tests broke: {error}")))??, ctx)
}

/// Every file of tests in `paths`, each once, in order.
fn find(paths: &[PathBuf]) -> Result<Vec<PathBuf>, Failure> {
    let mut found = Vec::new();
    for path in paths {
        let failed = |error: std::io::Error| {
            Failure::new(format!("cannot look at {}: {error}", path.display())).exit(Exit::NotFound)
        };
        match std::fs::metadata(path).map_err(failed)?.is_dir() {
            true => walk(path, &mut found, 0).map_err(failed)?,
            false => found.push(path.clone()),
        }
    }
    found.sort();
    found.dedup();
    Ok(found)
}

/// Hidden folders and symlinks are passed over.
fn walk(dir: &Path, found: &mut Vec<PathBuf>, depth: usize) -> std::io::Result<()> {
    for entry in std::fs::read_dir(dir)? {
        let entry = entry?;
        let (kind, name) = (entry.file_type()?, entry.file_name());
        let name = name.to_string_lossy();
        if name.starts_with('.') || found.len() >= limits::SCRIPT_FILES_MAX {
            continue;
        }
        if kind.is_dir() && depth < limits::SCRIPT_FOLDERS_DEPTH_MAX {
            walk(&entry.path(), found, depth + 1)?;
        } else if kind.is_file() && (name.ends_with("_test.lua") || name.ends_with("_test.luau")) {
            found.push(entry.path());
        }
    }
    Ok(())
}

/// The folder whose scripts the file tests: the scripts folder when it is in there, else its own.
fn root<'a>(file: &'a Path, scripts: &'a Path) -> &'a Path {
    let inside = std::path::absolute(file).ok().zip(std::path::absolute(scripts).ok());
    let own = file.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    if inside.is_some_and(|(file, scripts)| file.starts_with(scripts)) { scripts } else { own }
}

/// The file, then everything that it may run or require, by paths relative to `root`; what is not there may be in the
/// scripts folder.
fn bundle(file: &Path, root: &Path, scripts: &Path) -> Result<Bundle, Failure> {
    let read = |path: &Path| {
        std::fs::read_to_string(path).map_err(|error| Failure::new(format!("cannot read {}: {error}", path.display())))
    };
    let name = file.strip_prefix(root).unwrap_or(file).to_string_lossy().into_owned();
    let mut files = vec![(name, read(file)?)];
    let further = if root != scripts && scripts.is_dir() { Some(scripts) } else { None };
    for folder in [Some(root), further].into_iter().flatten() {
        for path in jobs::scan(folder)?.files.into_keys() {
            if !files.iter().any(|(known, _)| *known == path) {
                let source = read(&folder.join(&path))?;
                files.push((path, source));
            }
        }
    }
    Ok(Bundle::new(files))
}

fn report(tested: &[Tested], ctx: &Context) -> Result<(), Failure> {
    let (mut passed, mut failed) = (0, 0);
    let mut all = Vec::new();
    for Tested { file, results } in tested {
        for result in results {
            match result.outcome {
                Ok(()) => passed += 1,
                Err(_) => failed += 1,
            }
            match ctx.out.json {
                true => all.push(as_json(file, result)),
                false => print(file, result, ctx)?,
            }
        }
    }
    if ctx.out.json {
        ctx.out.document(&all)?;
    } else {
        ctx.out.note(format_args!("{} files: {passed} passed, {failed} failed", tested.len()));
    }
    match failed {
        0 => Ok(()),
        _ => Err(Failure::silent(Exit::Failure)),
    }
}

fn print(file: &Path, result: &TestResult, ctx: &Context) -> Result<(), Failure> {
    let took = quantity::show_duration(result.duration);
    let name = format!("{}: {}", file.display(), show::plain(&result.name));
    match &result.outcome {
        Ok(()) => ctx.out.line(format_args!("{} {name} {}", "ok    ".green(), took.dimmed())),
        Err(fault) => ctx.out.line(format_args!("{} {name} {}\n{}", "FAILED".red(), took.dimmed(), show::fault(fault))),
    }
}

fn as_json(file: &Path, result: &TestResult) -> Value {
    json!({
        "file": file,
        "name": result.name,
        "ok": result.outcome.is_ok(),
        "error": result.outcome.as_ref().err(),
        "duration_ms": u64::try_from(result.duration.as_millis()).unwrap_or(u64::MAX),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tests_are_found_and_see_their_scripts() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let scripts = dir.path().join("scripts");
        std::fs::create_dir_all(scripts.join("lib/.git")).expect("folders");
        for file in ["a.lua", "a_test.lua", "lib/b.luau", "lib/b_test.luau", "lib/.git/c_test.lua", "notes_test.md"] {
            std::fs::write(scripts.join(file), file).expect("a file");
        }
        let found = find(&[scripts.clone(), scripts.join("a_test.lua")]).expect("they are found");
        assert_eq!(found, [scripts.join("a_test.lua"), scripts.join("lib/b_test.luau")]);

        assert_eq!(root(&found[1], &scripts), scripts);
        assert_eq!(root(Path::new("x_test.lua"), &scripts), Path::new("."));
        let bundle = |file: &Path, root: &Path| super::bundle(file, root, &scripts).expect("it is read");
        let beside = dir.path().join("tests");
        std::fs::create_dir(&beside).expect("a folder");
        for file in ["a_test.lua", "a.lua"] {
            std::fs::write(beside.join(file), "beside").expect("a file");
        }
        let far = bundle(&beside.join("a_test.lua"), &beside);
        let names: Vec<_> = far.files.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["a_test.lua", "a.lua", "lib/b.luau"]);
        assert_eq!(far.files[1].1, "beside", "what is beside the test comes first");
        let bundle = bundle(&found[1], &scripts);
        let names: Vec<_> = bundle.files.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["lib/b_test.luau", "a.lua", "lib/b.luau"]);
        assert_eq!(find(&["/nowhere".into()]).expect_err("nothing is there").code(), 5);
    }
}
