//! What can be typed after `aegis`. Each command's own arguments stand beside it, in `commands/`.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use super::commands::{
    alerts, approve, artifacts, audit, backup, cancel, check, completions, daemon, deploy, enable, event, init, job,
    jobs, logs, man, notify, ps, repl, retry, run, runs, schedule, secret, show, stack, test, token, trigger, types,
    volume,
};

/// Runs a server's operations from hot-reloadable Lua.
///
/// Start the daemon with `aegis daemon`, drop a .lua file into scripts/, and look at it with `aegis jobs`.
#[derive(Debug, Parser)]
#[command(name = "aegis", version, max_term_width = 100, propagate_version = false)]
#[command(after_help = "Exit codes: 0 ok, 1 failure, 2 usage, 3 the run failed, 4 not authorised, 5 not found,\n\
                        6 daemon unreachable, 130 interrupted.")]
pub struct Cli {
    #[command(flatten)]
    pub global: Global,
    #[command(subcommand)]
    pub command: Command,
}

/// Understood by every command.
#[derive(Debug, Clone, Default, Args)]
pub struct Global {
    /// Write JSON: one document, or one object a line for streams.
    #[arg(long, global = true)]
    pub json: bool,
    /// The daemon's socket [default: admin.socket of the configuration]
    #[arg(long, global = true, value_name = "PATH", env = "AEGIS_SOCKET", hide_env_values = true)]
    pub socket: Option<PathBuf>,
    /// The configuration file [default: config/aegis.yaml when it is there]
    #[arg(long, global = true, value_name = "FILE", env = "AEGIS_CONFIG", hide_env_values = true)]
    pub config: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the daemon in the foreground
    Daemon(daemon::Args),
    /// Write a configuration, an example job, editor settings and type stubs
    Init(init::Args),
    /// Compile and validate job files
    Check(check::Args),
    /// Run one job file without a daemon
    Run(run::Args),
    /// Run Lua tests with fakes in place of the world
    Test(test::Args),
    /// List jobs: schedule, next run, last result
    Jobs(jobs::Args),
    /// Show one job: parameters, grants, versions
    Job(job::Args),
    /// Submit a run of a job
    Trigger(trigger::Args),
    /// List runs, newest first
    Runs(runs::Args),
    /// Show one run: steps, parameters, result, error
    Show(show::Args),
    /// Show or follow the log of a run
    Logs(logs::Args),
    /// Cancel a run
    Cancel(cancel::Args),
    /// Approve what a run waits for
    Approve(approve::Args),
    /// Reject what a run waits for
    Reject(approve::Args),
    /// List the approvals that wait for somebody
    Approvals,
    /// List what is wrong, or say that you look after it
    Alerts(alerts::Args),
    /// List the checks of the configuration and what they say
    Checks,
    /// Keep alerts quiet for a while
    #[command(subcommand)]
    Silence(alerts::SilenceCommand),
    /// Try a route of notifications, and see what is on its way
    #[command(subcommand)]
    Notify(notify::Command),
    /// Send events to runs that wait for them
    #[command(subcommand)]
    Event(event::Command),
    /// List or fetch what a run keeps for people
    Artifacts(artifacts::Args),
    /// Run again with the same parameters
    Retry(retry::Args),
    /// Let a job's schedules fire
    Enable(enable::Args),
    /// Keep a job's schedules from firing
    Disable(enable::Args),
    /// Forecast: every due time in a window, or a period played through
    Schedule(schedule::Args),
    /// List containers
    Ps(ps::Args),
    /// Run stacks of containers from Compose files
    #[command(subcommand)]
    Stack(stack::Command),
    /// Deploy a stack, with the way back when it does not become well
    Deploy(deploy::Args),
    /// Console on the live daemon
    Repl(repl::Args),
    /// Create, list and revoke API tokens
    #[command(subcommand)]
    Token(token::Command),
    /// Show who did what, and prove that the log of it is whole
    #[command(subcommand)]
    Audit(audit::AuditCommand),
    /// Make, snapshot, restore and delete volumes, and look into them
    #[command(subcommand)]
    Volume(volume::Command),
    /// Set, list and remove secrets
    #[command(subcommand)]
    Secret(secret::Command),
    /// List the daemons that share the database
    Nodes,
    /// Write a consistent copy of Aegis's own state, while the daemon runs
    Backup(backup::Args),
    /// Put a backup in the place of Aegis's own state, while no daemon runs
    Restore(backup::RestoreArgs),
    /// Write type stubs for editors
    Types(types::Args),
    /// Check the installation and say the fix for what is wrong
    Doctor,
    /// Write a completion script for a shell
    Completions(completions::Args),
    /// Write the manual page
    Man(man::Args),
}

impl Command {
    /// Whether it serves, or runs scripts, rather than asking the daemon.
    pub fn needs_threads(&self) -> bool {
        matches!(self, Self::Daemon(_) | Self::Run(_) | Self::Check(_) | Self::Test(_) | Self::Repl(_))
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn documented_lines_parse() {
        let lines = [
            "aegis daemon --config /etc/aegis.yaml",
            "aegis init",
            "aegis init dir --force",
            "aegis check",
            "aegis check a.lua b.lua --json",
            "aegis run x.lua --param a=1 --param b=two --grant docker=read --dry-run",
            "aegis test scripts",
            "aegis jobs --json",
            "aegis job hello",
            "aegis job approve hello --yes",
            "aegis audit tail -f --since 1h --job hello --json",
            "aegis audit verify",
            "aegis trigger hello --param name=x --wait --follow --idempotency-key k --dry-run",
            "aegis runs --job hello --state failed --since 1h",
            "aegis show 01jd",
            "aegis logs 01jd -f --since 5m --json",
            "aegis cancel 01jd",
            "aegis approve 01jd",
            "aegis approve 01jd switch --comment fine",
            "aegis reject 01jd switch -m no",
            "aegis approvals --json",
            "aegis alerts",
            "aegis alerts --state firing --since 24h --json",
            "aegis alerts ack 00ff -m fine",
            "aegis checks --json",
            "aegis silence add alert=disk_* mount=/data --for 2h -m moving",
            "aegis silence list",
            "aegis silence end 01jd",
            "aegis notify test alerts -m hello",
            "aegis notify queue --json",
            "aegis notify retry 01jd",
            "aegis event send paid --key order-7 --run 01jd --data {\"amount\":3}",
            "aegis artifacts 01jd",
            "aegis artifacts 01jd report.txt -o report.txt",
            "aegis nodes",
            "aegis backup aegis.backup",
            "aegis restore aegis.backup --yes",
            "aegis schedule --simulate --to 7d --assume 30s",
            "aegis retry 01jd --wait",
            "aegis enable hello",
            "aegis disable hello",
            "aegis schedule --job hello --from now --to 2h",
            "aegis ps --socket /run/aegis.sock",
            "aegis repl -e 1+1",
            "aegis token create ci --role operator --job deploy --expires 90d",
            "aegis token list",
            "aegis token revoke ci --yes",
            "aegis secret init",
            "aegis secret set SHOP_KEY",
            "aegis secret list --json",
            "aegis secret remove SHOP_KEY --yes",
            "aegis types --out dir",
            "aegis doctor",
            "aegis completions bash",
            "aegis man",
        ];
        parse_all(&lines);
    }

    #[test]
    fn documented_lines_of_stacks_parse() {
        parse_all(&[
            "aegis stack config -f compose.yaml -f prod.yaml --profile debug --env-file prod.env --json",
            "aegis stack list",
            "aegis stack plan shop --force --json",
            "aegis stack up shop web db --wait --remove-orphans --timeout 5m --dry-run",
            "aegis stack down shop --volumes",
            "aegis stack ps shop",
            "aegis stack logs shop web -n 50 --since 10m",
            "aegis stack restart shop web",
            "aegis stack pull shop",
            "aegis stack build shop",
            "aegis deploy shop",
            "aegis deploy shop --strategy ab -p min_requests=0",
            "aegis deploy shop --strategy blue-green --approve --refresh --force -p keep=1 --dry-run --no-wait",
            "aegis deploy history shop --json",
            "aegis deploy rollback shop --to 0a1b2c3d",
        ]);
    }

    #[track_caller]
    fn parse_all(lines: &[&str]) {
        for line in lines {
            if let Err(error) = Cli::try_parse_from(line.split(' ')) {
                panic!("{line}: {error}");
            }
        }
    }

    #[test]
    fn wrong_lines_are_usage_errors() {
        for line in [
            "aegis",
            "aegis dameon",
            "aegis trigger",
            "aegis trigger x --param novalue",
            "aegis runs --state odd",
            "aegis silence add --for 2h",
            "aegis event send paid --data bare",
            "aegis artifacts 01jd -o file",
            "aegis schedule --assume 30s",
            "aegis job",
            "aegis deploy",
            "aegis deploy shop --strategy odd",
            "aegis audit verify --anchor 12",
            "aegis secret set SHOP_KEY value",
        ] {
            let error = Cli::try_parse_from(line.split(' ')).expect_err(line);
            assert_eq!(error.exit_code(), 2, "{line}");
        }
    }
}
