//! `aegis logs RUN`: its log, as it is or as it grows.

use serde_json::Value;

use super::watch::{self, Lines};
use crate::base::{Timestamp, quantity};
use crate::cli::api::{self, LogPage};
use crate::cli::client::{Client, escape, with_query};
use crate::cli::context::Context;
use crate::cli::failure::Failure;
use crate::cli::show;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// The run's id, or the beginning of it
    run: String,
    /// Go on with new lines until the run ends
    #[arg(long, short)]
    follow: bool,
    /// Not older than this: an age such as 5m, or a time
    #[arg(long, value_name = "AGE|TIME")]
    since: Option<String>,
    /// Only the last so many lines
    #[arg(long, short = 'n', value_name = "LINES", conflicts_with = "follow")]
    tail: Option<usize>,
    /// Only lines of at least this level
    #[arg(long, value_parser = ["debug", "info", "warn", "error"])]
    level: Option<String>,
}

pub(super) async fn run(args: Args, ctx: &Context) -> Result<(), Failure> {
    let client = ctx.client()?;
    let since = args.since.as_deref().map(|text| moment(text, ctx.clock.now())).transpose()?;
    let last = print_stored(&client, &args, since, ctx).await?;
    if args.follow {
        let lines = if ctx.out.json { Lines::Json } else { Lines::Text };
        watch::follow(&client, &args.run, last, args.level.as_deref(), Some(lines), ctx).await?;
    }
    Ok(())
}

/// Prints what is there, page after page; gives the number of the last line.
async fn print_stored(client: &Client, args: &Args, since: Option<Timestamp>, ctx: &Context) -> Result<u64, Failure> {
    let (mut after, mut last) = (0, 0);
    loop {
        let path = with_query(
            &format!("/api/v1/runs/{}/logs", escape(&args.run)),
            &[
                ("after", Some(after.to_string())),
                ("tail", args.tail.map(|lines| lines.to_string())),
                ("level", args.level.clone()),
            ],
        );
        let answer: Value = client.get(&path).await?;
        let lines = answer["lines"].clone();
        let page: LogPage = api::read(answer)?;
        for (line, whole) in page.lines.iter().zip(lines.as_array().into_iter().flatten()) {
            last = whole["seq"].as_u64().unwrap_or(last);
            if since.is_some_and(|since| line.at < since) {
                continue;
            }
            match ctx.out.json {
                true => ctx.out.raw(format!("{whole}\n").as_bytes())?,
                false => ctx.out.line(show::log_line(line))?,
            }
        }
        match page.next {
            Some(next) => (after, last) = (next, next),
            None => return Ok(last.max(after)),
        }
    }
}

/// An age such as `5m`, or a time in RFC 3339.
fn moment(text: &str, now: Timestamp) -> Result<Timestamp, Failure> {
    if let Ok(at) = text.parse() {
        return Ok(at);
    }
    let age = quantity::parse_duration(text).map_err(|_| {
        Failure::usage(format!(
            "--since {text:?} is neither an age such as \"5m\" nor a time such as \"2026-11-22T06:00:00Z\""
        ))
    })?;
    let signed = jiff::SignedDuration::try_from(age).unwrap_or(jiff::SignedDuration::MAX);
    Ok(now.checked_sub(signed).unwrap_or(Timestamp::MIN))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_ages_or_times() {
        let now: Timestamp = "2026-11-22T12:00:00Z".parse().expect("a time");
        let read = |text| moment(text, now).map(|at| at.to_string()).ok();
        assert_eq!(read("5m").as_deref(), Some("2026-11-22T11:55:00Z"));
        assert_eq!(read("2026-01-01T00:00:00Z").as_deref(), Some("2026-01-01T00:00:00Z"));
        assert_eq!(read("yesterday"), None);
    }
}
