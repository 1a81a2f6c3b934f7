//! `aegis stack config`: what the files of a stack come to, without a daemon.

use std::path::PathBuf;

use crate::cli::context::Context;
use crate::cli::failure::Failure;
use crate::primitives::stack::Disk;
use crate::primitives::stack::compose::{Loaded, Options, load};

#[derive(Debug, Clone, Default, clap::Args)]
pub struct Args {
    /// A Compose file; several are laid over each other [default: compose.yaml and its override here]
    #[arg(long, short, value_name = "FILE")]
    pub file: Vec<PathBuf>,
    /// A profile whose services are wanted too; '*' for all
    #[arg(long, value_name = "NAME")]
    pub profile: Vec<String>,
    /// A file of variables [default: .env beside the first file]
    #[arg(long, value_name = "FILE")]
    pub env_file: Vec<PathBuf>,
    /// The stack's name [default: as the files have it, or the folder's]
    #[arg(long, short, value_name = "NAME")]
    pub project_name: Option<String>,
}

pub(super) fn run(args: &Args, ctx: &Context) -> Result<(), Failure> {
    let loaded = loaded(args)?;
    for warning in &loaded.warnings {
        ctx.out.note(warning);
    }
    let shown = loaded.project.to_json().map_err(|problem| Failure::new(problem.to_string()))?;
    if ctx.out.json {
        return ctx.out.document(&shown);
    }
    let text = serde_saphyr::to_string(&shown).map_err(|problem| Failure::new(problem.to_string()))?;
    ctx.out.raw(text.as_bytes())
}

/// As a person in this folder would have it: with the variables of the environment.
fn loaded(args: &Args) -> Result<Loaded, Failure> {
    let here = std::env::current_dir()?;
    let texts = |paths: &[PathBuf]| -> Vec<String> {
        paths.iter().map(|path| here.join(path).to_string_lossy().into_owned()).collect()
    };
    let variables = std::env::vars_os();
    let environment = variables.filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
    let options = Options {
        folder: if args.file.is_empty() { here.to_string_lossy().into_owned() } else { String::new() },
        files: texts(&args.file),
        name: args.project_name.clone(),
        profiles: args.profile.clone(),
        env_files: texts(&args.env_file),
        environment: environment.collect(),
        home: std::env::home_dir().map(|home| home.to_string_lossy().into_owned()),
    };
    load(&Disk, &options).map_err(|problem| crate::base::Fault::from(problem).into())
}
