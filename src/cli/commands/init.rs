//! `aegis init [DIR]`: a folder to start from.

use std::borrow::Cow;
use std::io::Write;
use std::path::{Path, PathBuf};

use crate::cli::context::Context;
use crate::cli::failure::Failure;
use crate::config;
use crate::lua;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Where; it is made when it is not there
    #[arg(default_value = ".")]
    dir: PathBuf,
    /// Overwrite files that are there
    #[arg(long)]
    force: bool,
}

const LUAURC: &str = r#"{
  "languageMode": "nonstrict",
  "aliases": { "lib": "scripts/lib" }
}
"#;
/// For the Luau language server in Visual Studio Code; other editors take the same settings.
const VSCODE: &str = r#"{
  "files.associations": { "*.lua": "luau" },
  "luau-lsp.platform.type": "standard",
  "luau-lsp.types.definitionFiles": { "aegis": "types/aegis.d.luau" }
}
"#;
const GITIGNORE: &str = "/data/\n/run/\n";

/// By path, with their text.
fn files() -> [(&'static str, Cow<'static, str>); 6] {
    [
        (config::DEFAULT_PATH, config::DEFAULT_FILE.into()),
        ("scripts/hello.lua", include_str!("../../../scripts/hello.lua").into()),
        (".luaurc", LUAURC.into()),
        (".vscode/settings.json", VSCODE.into()),
        ("types/aegis.d.luau", lua::types().into()),
        (".gitignore", GITIGNORE.into()),
    ]
}

pub(super) fn run(args: Args, ctx: &Context) -> Result<(), Failure> {
    let written = write(&args.dir, args.force, &files())?;
    if ctx.out.json {
        let files: Vec<_> =
            written.iter().map(|(name, new)| serde_json::json!({ "file": name, "written": new })).collect();
        return ctx.out.document(&files);
    }
    for (name, new) in &written {
        let what = if *new { "wrote" } else { "kept " };
        ctx.out.note(format_args!("{what} {}", args.dir.join(name).display()));
    }
    if written.iter().any(|(_, new)| !new) {
        ctx.out.note("Files that were there stay as they were; --force overwrites them.");
    }
    let change = if args.dir == Path::new(".") { String::new() } else { format!("cd {} && ", args.dir.display()) };
    ctx.out
        .note(format_args!("Next: {change}aegis daemon, and in another terminal: aegis trigger hello --wait --follow"));
    Ok(())
}

/// Each file with whether it was written. What is there stays, unless `force`.
fn write(dir: &Path, force: bool, files: &[(&'static str, Cow<str>)]) -> Result<Vec<(&'static str, bool)>, Failure> {
    files.iter().map(|(name, text)| Ok((*name, write_one(&dir.join(name), text, force)?))).collect()
}

fn write_one(path: &Path, text: &str, force: bool) -> Result<bool, Failure> {
    let failed = |error: std::io::Error| Failure::new(format!("cannot write {}: {error}", path.display()));
    if let Some(parent) = path.parent() {
        std::fs::create_dir_all(parent).map_err(failed)?;
    }
    let mut options = std::fs::OpenOptions::new();
    // `create_new` is what keeps a file that came between a look and the write.
    let opened = match force {
        true => options.write(true).create(true).truncate(true).open(path),
        false => options.write(true).create_new(true).open(path),
    };
    match opened {
        Ok(mut file) => file.write_all(text.as_bytes()).map(|()| true).map_err(failed),
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Ok(false),
        Err(error) => Err(failed(error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_there_stays_unless_forced() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let inside = dir.path().join("new");
        let mine = inside.join("scripts/hello.lua");
        std::fs::create_dir_all(inside.join("scripts")).expect("a folder");
        std::fs::write(&mine, "mine").expect("a file");
        let written = write(&inside, false, &files()).expect("the rest is written");
        let kept: Vec<_> = written.iter().filter(|(_, new)| !new).map(|(name, _)| *name).collect();
        assert_eq!(kept, ["scripts/hello.lua"]);
        assert_eq!(std::fs::read_to_string(&mine).expect("it is there"), "mine");
        let loaded = config::Config::load(Some(&inside.join(config::DEFAULT_PATH))).expect("the file loads");
        assert_eq!(loaded.scripts, config::Config::default().scripts);

        write(&inside, true, &files()).expect("all is written");
        assert_ne!(std::fs::read_to_string(&mine).expect("it is there"), "mine");
    }

    #[test]
    fn the_settings_are_json() {
        for text in [LUAURC, VSCODE] {
            serde_json::from_str::<serde_json::Value>(text).expect("JSON");
        }
    }
}
