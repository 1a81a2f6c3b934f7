//! `aegis artifacts RUN [NAME]`: what a run keeps for people.

use std::path::PathBuf;

use comfy_table::Cell;
use serde_json::Value;

use crate::base::quantity;
use crate::cli::api::{self, ArtifactList};
use crate::cli::client::escape;
use crate::cli::context::Context;
use crate::cli::failure::Failure;
use crate::cli::{save, show, terminal};

#[derive(Debug, clap::Args)]
pub struct Args {
    /// The run's id, or the beginning of it
    run: String,
    /// The artifact whose content is wanted [default: list them]
    name: Option<String>,
    /// Write the content to this file instead of standard output
    #[arg(long, short, value_name = "FILE", requires = "name")]
    output: Option<PathBuf>,
}

pub(super) async fn run(args: Args, ctx: &Context) -> Result<(), Failure> {
    let client = ctx.client()?;
    let path = format!("/api/v1/runs/{}/artifacts", escape(&args.run));
    let Some(name) = args.name else {
        let answer: Value = client.get(&path).await?;
        if ctx.out.json {
            return ctx.out.document(&answer["artifacts"]);
        }
        let list: ArtifactList = api::read(answer)?;
        let now = ctx.clock.now();
        let rows = list.artifacts.iter().map(|artifact| {
            vec![
                Cell::new(show::plain(&artifact.name)),
                Cell::new(show::plain(&artifact.media_type)),
                Cell::new(quantity::show_size(artifact.bytes)),
                Cell::new(show::relative(artifact.created_at, now)),
            ]
        });
        return ctx.out.table(&["NAME", "TYPE", "SIZE", "MADE"], rows.collect(), "The run keeps nothing.");
    };
    let mut content = client.download(&format!("{path}/{}", escape(&name))).await?;
    match args.output {
        Some(file) => {
            let bytes = save::to(&mut content, &file, save::Existing::Replace).await?;
            ctx.out.note(format_args!("{} written to {}.", quantity::show_size(bytes), file.display()));
            Ok(())
        }
        None if terminal::stdout_is_terminal() && !content.is_text() => {
            Err(Failure::usage("the content is not text, and standard output is a terminal")
                .hint("write it to a file with -o FILE"))
        }
        None => {
            while let Some(bytes) = content.next().await? {
                ctx.out.raw(&bytes)?;
            }
            Ok(())
        }
    }
}
