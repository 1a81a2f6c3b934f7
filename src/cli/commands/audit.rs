//! `aegis audit tail`: who did what. `aegis audit verify`: that the log is whole.

use comfy_table::{Cell, Color};
use owo_colors::OwoColorize;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::base::limits::{AUDIT_POLL, STORE_PAGE_ROWS_MAX};
use crate::cli::api;
use crate::cli::client::{Client, with_query};
use crate::cli::context::Context;
use crate::cli::failure::{Exit, Failure};
use crate::cli::show;
use crate::model::AuditRecord;
use crate::model::audit::{Broken, Chain, Mark, OK};

#[derive(Debug, clap::Subcommand)]
pub enum AuditCommand {
    /// Show the newest records of the audit log, and further ones as they come
    Tail(TailArgs),
    /// Prove that no record was changed, removed, added or moved; exit 1 and the first bad record otherwise
    Verify(VerifyArgs),
}

#[derive(Debug, clap::Args)]
pub struct TailArgs {
    /// Go on with new records
    #[arg(long, short)]
    follow: bool,
    /// Not older than this: an age such as 24h, or a time
    #[arg(long, value_name = "AGE|TIME")]
    since: Option<String>,
    /// Only of this job
    #[arg(long)]
    job: Option<String>,
    /// Only by this actor, such as token:ci
    #[arg(long)]
    actor: Option<String>,
    /// Only what did not go well
    #[arg(long)]
    refused: bool,
    /// At most so many to begin with
    #[arg(long, short = 'n', value_name = "RECORDS", default_value_t = 50)]
    lines: usize,
}

#[derive(Debug, clap::Args)]
pub struct VerifyArgs {
    /// A record that was noted elsewhere, as an earlier `verify` printed it: it must still be in the log
    #[arg(long, value_name = "NUMBER:HASH", value_parser = anchor)]
    anchor: Option<Mark>,
}

#[derive(Debug, Deserialize)]
struct Page {
    records: Vec<Row>,
    next: Option<i64>,
    head: Mark,
    checkpoint: Option<Mark>,
}

#[derive(Debug, Deserialize)]
struct Row {
    #[serde(flatten)]
    record: AuditRecord,
    /// The daemon's word for a record of which it hides a part.
    intact: Option<bool>,
}

pub(super) async fn run(command: AuditCommand, ctx: &Context) -> Result<(), Failure> {
    match command {
        AuditCommand::Tail(args) => tail(args, ctx).await,
        AuditCommand::Verify(args) => verify(args, ctx).await,
    }
}

fn anchor(text: &str) -> Result<Mark, String> {
    let bad = || format!("{text:?} is not NUMBER:HASH, such as 812:9f86d08…; `aegis audit verify` prints one");
    let (seq, hash) = text.split_once(':').ok_or_else(bad)?;
    let is_hash = hash.len() == 64 && hash.chars().all(|c| c.is_ascii_hexdigit());
    let seq = seq.parse().ok().filter(|seq: &i64| *seq > 0 && is_hash).ok_or_else(bad)?;
    Ok(Mark { seq, hash: hash.to_ascii_lowercase() })
}

async fn page(client: &Client, pairs: &[(&str, Option<String>)]) -> Result<Page, Failure> {
    let answer: Value = client.get(&with_query("/api/v1/audit", pairs)).await?;
    api::read(answer)
}

async fn tail(args: TailArgs, ctx: &Context) -> Result<(), Failure> {
    let client = ctx.client()?;
    let filter = [
        ("job", args.job.clone()),
        ("actor", args.actor.clone()),
        ("refused", args.refused.then(|| "true".to_owned())),
    ];
    let with = |more: Vec<(&'static str, Option<String>)>| filter.iter().cloned().chain(more).collect::<Vec<_>>();
    let limit = args.lines.min(STORE_PAGE_ROWS_MAX).to_string();
    let newest = page(&client, &with(vec![("since", args.since.clone()), ("limit", Some(limit))])).await?;
    let mut after = newest.head.seq;
    let first: Vec<&AuditRecord> = newest.records.iter().rev().map(|row| &row.record).collect();
    if first.is_empty() && !args.follow && !ctx.out.json {
        ctx.out.note("No record fits.");
    }
    for record in first {
        after = after.max(record.seq);
        print(record, ctx)?;
    }
    if !args.follow {
        return Ok(());
    }
    loop {
        let more = vec![("after", Some(after.to_string())), ("limit", Some(STORE_PAGE_ROWS_MAX.to_string()))];
        let page = page(&client, &with(more)).await?;
        for row in &page.records {
            print(&row.record, ctx)?;
        }
        // What does not fit the filter need not be looked at again.
        after = page.records.last().map_or(page.head.seq, |last| last.record.seq).max(after);
        if page.next.is_none() || page.records.is_empty() {
            ctx.clock.sleep(AUDIT_POLL).await;
        }
    }
}

fn print(record: &AuditRecord, ctx: &Context) -> Result<(), Failure> {
    if ctx.out.json {
        return ctx.out.raw(format!("{}\n", json!(record)).as_bytes());
    }
    let outcome = match record.outcome.as_str() {
        OK => OK.green().to_string(),
        other => show::plain(other).red().to_string(),
    };
    let mut line = format!(
        "{:>6} {} {outcome} {} {}",
        record.seq.dimmed(),
        show::time(record.at),
        show::plain(&record.actor),
        show::plain(&record.action).bold()
    );
    for text in [Some(&record.object), record.permission.as_ref()].into_iter().flatten().filter(|text| !text.is_empty())
    {
        line += &format!(" {}", show::plain(text));
    }
    if let Some(job) = &record.job {
        let run = record.run.as_deref().map_or_else(String::new, |run| format!("/{run}"));
        line += &format!(" {}", format_args!("[{job}{run}]").dimmed());
    }
    ctx.out.line(line)
}

/// Checks every record here, from what the daemon hands over, and takes its word for nothing.
async fn verify(args: VerifyArgs, ctx: &Context) -> Result<(), Failure> {
    let client = ctx.client()?;
    let mut begun = begin(&client).await?;
    // Retention may move the beginning between two pages.
    let outcome = loop {
        let outcome = walk(&client, &begun, args.anchor.clone()).await?;
        let now = begin(&client).await?;
        if outcome.is_ok() || now.checkpoint == begun.checkpoint {
            break outcome;
        }
        begun = now;
    };
    match outcome {
        Ok(Checked { head, records, hidden }) => {
            let from = begun.checkpoint.as_ref().map_or(1, |mark| mark.seq + 1);
            if ctx.out.json {
                return ctx.out.document(&json!({
                    "ok": true, "records": records, "hidden": hidden, "from": from, "head": head,
                }));
            }
            let mut rows = vec![
                vec![Cell::new("log"), Cell::new("whole").fg(Color::Green)],
                vec![Cell::new("records"), Cell::new(format!("{records}, from {from} to {}", head.seq))],
                vec![Cell::new("head"), Cell::new(format!("{}:{}", head.seq, head.hash))],
            ];
            if hidden > 0 {
                let told = format!("in {hidden} there is a secret, which is not shown; the daemon has checked these");
                rows.insert(2, vec![Cell::new("hidden"), Cell::new(told)]);
            }
            ctx.out.table(&["", ""], rows, "")?;
            ctx.out.note(
                "Note the head elsewhere: `aegis audit verify --anchor HEAD` proves later that the log still holds it.",
            );
            Ok(())
        }
        Err(broken) => {
            if ctx.out.json {
                ctx.out.document(&json!({ "ok": false, "record": broken.seq(), "problem": broken.to_string() }))?;
                return Err(Failure::silent(Exit::Failure));
            }
            Err(Failure::new(format!("the audit log is broken at record {}: {broken}", broken.seq())))
        }
    }
}

async fn begin(client: &Client) -> Result<Page, Failure> {
    page(client, &[("limit", Some("1".to_owned()))]).await
}

/// A log that is whole.
struct Checked {
    head: Mark,
    records: u64,
    hidden: u64,
}

/// From the beginning of what is kept to the head as it was at the start.
async fn walk(client: &Client, begun: &Page, anchor: Option<Mark>) -> Result<Result<Checked, Broken>, Failure> {
    let mut chain = match Chain::new(begun.checkpoint.as_ref(), anchor) {
        Ok(chain) => chain,
        Err(broken) => return Ok(Err(broken)),
    };
    // From the very first number: a record before the beginning of what is kept was put there.
    let mut after = 0;
    while after < begun.head.seq {
        let pairs = [("after", Some(after.to_string())), ("limit", Some(STORE_PAGE_ROWS_MAX.to_string()))];
        let page = page(client, &pairs).await?;
        let Some(last) = page.records.last() else { break };
        after = last.record.seq;
        for Row { record, intact } in &page.records {
            if record.seq > begun.head.seq {
                break;
            }
            let pushed = match intact {
                Some(is_intact) => chain.push_hidden(record, *is_intact),
                None => chain.push(record),
            };
            if let Err(broken) = pushed {
                return Ok(Err(broken));
            }
        }
    }
    let (records, hidden) = (chain.checked, chain.hidden);
    let ended = chain.end(&begun.head).map(|head| Checked { head, records, hidden });
    if ended.is_ok() && begin(client).await?.head == begun.head {
        // Nobody has written meanwhile: what is behind the head has no place there.
        let pairs = [("after", Some(begun.head.seq.to_string())), ("limit", Some("1".to_owned()))];
        let behind = page(client, &pairs).await?;
        if let (Some(record), true) = (behind.records.first(), behind.head == begun.head) {
            return Ok(Err(Broken::Beyond { seq: record.record.seq, head: begun.head.seq }));
        }
    }
    Ok(ended)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn anchors_are_a_number_and_a_hash() {
        let hash = "ab".repeat(32);
        assert_eq!(anchor(&format!("12:{hash}")), Ok(Mark { seq: 12, hash: hash.clone() }));
        for bad in ["12", "12:abc", &format!("0:{hash}"), &format!("x:{hash}")] {
            assert!(anchor(bad).is_err(), "{bad}");
        }
    }
}
