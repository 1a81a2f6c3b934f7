//! One file a command. Each has its `Args` and a `run` that does it.

pub(super) mod alerts;
pub(super) mod approve;
pub(super) mod artifacts;
pub(super) mod audit;
pub(super) mod backup;
pub(super) mod cancel;
pub(super) mod check;
pub(super) mod completions;
pub(super) mod daemon;
pub(super) mod deploy;
mod doctor;
pub(super) mod enable;
pub(super) mod event;
pub(super) mod init;
pub(super) mod job;
pub(super) mod jobs;
pub(super) mod logs;
pub(super) mod man;
mod nodes;
pub(super) mod notify;
pub(super) mod ps;
pub(super) mod repl;
pub(super) mod retry;
pub(super) mod run;
pub(super) mod runs;
pub(super) mod schedule;
pub(super) mod secret;
pub(super) mod show;
mod simulate;
pub(super) mod stack;
pub(super) mod test;
pub(super) mod token;
pub(super) mod trigger;
pub(super) mod types;
pub(super) mod volume;
mod watch;

use super::args::Command;
use super::context::Context;
use super::failure::Failure;

pub(super) async fn dispatch(command: Command, ctx: Context) -> Result<(), Failure> {
    match command {
        Command::Daemon(args) => daemon::run(args, &ctx).await,
        Command::Init(args) => init::run(args, &ctx),
        Command::Check(args) => check::run(args, &ctx).await,
        Command::Run(args) => run::run(args, &ctx).await,
        Command::Test(args) => test::run(args, &ctx).await,
        Command::Jobs(args) => jobs::run(args, &ctx).await,
        Command::Job(args) => job::run(args, &ctx).await,
        Command::Trigger(args) => trigger::run(args, &ctx).await,
        Command::Runs(args) => runs::run(args, &ctx).await,
        Command::Show(args) => show::run(args, &ctx).await,
        Command::Logs(args) => logs::run(args, &ctx).await,
        Command::Cancel(args) => cancel::run(args, &ctx).await,
        Command::Approve(args) => approve::run(args, true, &ctx).await,
        Command::Reject(args) => approve::run(args, false, &ctx).await,
        Command::Approvals => approve::list(&ctx).await,
        Command::Alerts(args) => alerts::run(args, &ctx).await,
        Command::Checks => alerts::checks(&ctx).await,
        Command::Silence(command) => alerts::silence(command, &ctx).await,
        Command::Notify(command) => notify::run(command, &ctx).await,
        Command::Event(command) => event::run(command, &ctx).await,
        Command::Artifacts(args) => artifacts::run(args, &ctx).await,
        Command::Retry(args) => retry::run(args, &ctx).await,
        Command::Enable(args) => enable::run(args, true, &ctx).await,
        Command::Disable(args) => enable::run(args, false, &ctx).await,
        Command::Schedule(args) => schedule::run(args, &ctx).await,
        Command::Ps(args) => ps::run(args, &ctx).await,
        Command::Repl(args) => repl::run(args, &ctx).await,
        Command::Stack(command) => stack::run(command, &ctx).await,
        Command::Deploy(args) => deploy::run(args, &ctx).await,
        Command::Token(command) => token::run(command, &ctx).await,
        Command::Audit(command) => audit::run(command, &ctx).await,
        Command::Secret(command) => secret::run(command, &ctx).await,
        Command::Volume(command) => volume::run(command, &ctx).await,
        Command::Nodes => nodes::run(&ctx).await,
        Command::Backup(args) => backup::run(args, &ctx).await,
        Command::Restore(args) => backup::restore(args, &ctx).await,
        Command::Types(args) => types::run(args, &ctx),
        Command::Doctor => doctor::run(&ctx).await,
        Command::Completions(args) => completions::run(args, &ctx),
        Command::Man(args) => man::run(args, &ctx),
    }
}
