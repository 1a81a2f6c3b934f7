//! The composition root: builds every part in order and shuts down in reverse.

mod chores;
mod executions;
mod forecast;
mod open_files;
mod terms;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context as _;
use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use self::terms::Terms;
use crate::admin::{self, LiveConsoles};
use crate::base::{Clock, Fault, Masker, Supervisor, limits};
use crate::config::{self, Config};
use crate::events::Tail;
use crate::jobs::{self, Gate, Loader, Registry, Site};
use crate::lua::{Engine, EngineOptions};
use crate::outbox::{Courier, Outbox};
use crate::primitives::redis::{Place, Problem};
use crate::primitives::{self, Primitives};
use crate::runner::{self, Dispatcher, Lease};
use crate::store::{self, Store};
use crate::triggers::outside::{self, Outside};
use crate::triggers::{LiveDesk, housekeeping};
use crate::watch::{self, Watch};
use crate::web::{self, Web};

/// What the command line adds to the configuration.
#[derive(Debug, Clone, Default)]
pub struct DaemonOptions {
    /// Where the configuration came from.
    pub config_file: Option<PathBuf>,
    /// What takes secrets out of everything that is shown and kept.
    pub masker: Masker,
}

/// Runs the daemon until it is told to stop.
///
/// # Errors
/// When a part cannot be built (the message names it and the remedy), or one stops by itself.
pub async fn run(config: Config, options: DaemonOptions) -> anyhow::Result<()> {
    let clock = Clock::system();
    // Parts take shares of it.
    open_files::raise();
    // Whoever holds the addresses is the one daemon; everything after this may write.
    let listener = listen(config.http.listen).await?;
    let door = admin::Server::bind(&admin::Options { socket: config.admin.socket.clone() }).await?;
    let mut supervisor = Supervisor::default();
    let address = listener.local_addr().unwrap_or(config.http.listen);
    let daemon = Daemon::build(&config, &clock, &mut supervisor, (address, &options.masker)).await?;
    daemon.open(&config, &clock, &mut supervisor, (listener, address), door);
    daemon.announce(&clock, address, &config.scripts.dir, options.config_file.as_deref()).await;
    let mut signals = Signals::new()?;
    let outcome = wait(&mut supervisor, &mut signals).await;
    let _ = sd_notify::notify(&[sd_notify::NotifyState::Stopping]);
    let mut stopped = std::pin::pin!(supervisor.shutdown());
    tokio::select! {
        () = &mut stopped => {}
        signal = signals.next() => {
            warn!(signal, "asked to stop again; what still runs is interrupted");
            daemon.hurry.cancel();
            stopped.await;
        }
    }
    info!("stopped");
    outcome
}

/// The parts that others are built on.
struct Daemon {
    store: Store,
    primitives: Primitives,
    registry: Registry,
    site: Site,
    loader: jobs::Handle,
    runner: runner::Handle,
    /// What triggers cannot hear.
    hearing: outside::Health,
    /// Ends the grace of a stop.
    hurry: CancellationToken,
}

impl Daemon {
    async fn build(
        config: &Config,
        clock: &Clock,
        supervisor: &mut Supervisor,
        (address, masker): (SocketAddr, &Masker),
    ) -> anyhow::Result<Self> {
        // Before anything is written that a secret could be in.
        let mut primitives = masked_primitives(config, clock, masker)?;
        primitives.secrets.refresh().await;
        let vault = primitives.secrets.clone();
        supervisor.spawn("secrets", |stop| vault.serve(stop));
        let options = store::Options { url: config.store.url.clone(), node: node_name(&config.node) };
        let (store, writer) = Store::open_masked(options, clock.clone(), masker.clone()).await?;
        let listener = writer.listener();
        supervisor.spawn_within("store", limits::SHUTDOWN_STORE_WAIT, |stop| writer.run(stop));
        supervisor.spawn("store listener", |stop| listener.run(stop));
        let shares = store.is_shared();
        let lease = match shares {
            true => {
                let labels = config.node.labels.clone();
                Some(Lease::register(store.clone(), clock, place(&store, address), labels).await?)
            }
            false => None,
        };

        let outbox = Outbox { store: store.clone(), clock: clock.clone() };
        primitives.notify = primitives.notify.kept_in(Arc::new(outbox));
        serve_volumes(&primitives, supervisor).await?;
        let name = format!("{} {address}", node_name(&config.node));
        serve_executions(&primitives, (&store, &name), supervisor).await?;
        let io = tokio::runtime::Handle::current();
        let engine = Engine::new(EngineOptions { io, clock: clock.clone(), primitives: primitives.clone() });

        let (registry, site) = (Registry::default(), site(config)?);
        let (loader, loader_handle) = Loader::new(jobs::Options {
            dir: config.scripts.dir.clone(),
            engine: engine.clone(),
            store: store.clone(),
            registry: registry.clone(),
            clock: clock.clone(),
            site: site.clone(),
            gate: gate(config)?,
        });
        supervisor.spawn("loader", |stop| loader.run(stop));

        let options = runner::Options {
            lanes: config.runner.lanes,
            running_max: config.runner.max_running,
            grace: config.runner.shutdown_grace,
            shares,
            labels: config.node.labels.clone(),
            hurry: CancellationToken::new(),
        };
        let (dispatcher, runner) =
            Dispatcher::new(&options, store.clone(), registry.clone(), clock.clone(), &engine)
                .context("no thread for the lanes; raise the limit on processes (ulimit -u) or lower runner.lanes")?;
        if let Some(lease) = lease {
            let runner = runner.clone();
            supervisor.spawn("lease", |stop| lease.run(runner, stop));
        }
        let allowance = options.grace + limits::SHUTDOWN_RUNNER_MARGIN;
        supervisor.spawn_within("runner", allowance, |stop| dispatcher.run(stop));

        let hurry = options.hurry;
        let hearing = outside::Health::default();
        let daemon = Self { store, primitives, registry, site, loader: loader_handle, runner, hearing, hurry };
        daemon.schedules(config, clock, supervisor).await?;
        Ok(daemon)
    }

    /// Schedules begin when the registry is filled, from where an earlier daemon left off.
    async fn schedules(&self, config: &Config, clock: &Clock, supervisor: &mut Supervisor) -> anyhow::Result<()> {
        self.loader.ready().await.context("the scripts folder was not read")?;
        let (candidate, leadership) = self.store.candidate();
        supervisor.spawn("leadership", |stop| candidate.run(stop));
        let desk = LiveDesk { runner: self.runner.clone(), store: self.store.clone() };
        let watch = self.watch(config, clock)?;
        let leads = leadership.clone();
        supervisor.spawn("watch", |stop| watch.serve(leads, stop));
        let (store, notify) = (self.store.clone(), self.primitives.notify.clone());
        let (courier, leads) = (Courier { store, notify, clock: clock.clone() }, leadership.clone());
        supervisor.spawn("notifications", |stop| courier.serve(leads, stop));
        let told = Arc::new(desk.clone());
        let mut outside = Outside::new(self.registry.clone(), told, &self.primitives, clock.clone());
        outside.health = self.hearing.clone();
        let leads = leadership.clone();
        supervisor.spawn("triggers", |stop| outside.serve(leads, stop));
        let (registry, calendars) = (self.registry.clone(), self.site.calendars.clone());
        let terms = Terms { registry, desk, clock: clock.clone(), calendars };
        supervisor.spawn("schedule", |stop| terms.serve(leadership, stop));
        let chores = chores::chores(config, &self.store, clock);
        supervisor.spawn("housekeeping", |stop| housekeeping::run(chores, stop));
        Ok(())
    }

    /// Looks at what is checked and measured, and tells people.
    fn watch(&self, config: &Config, clock: &Clock) -> anyhow::Result<Watch> {
        let plan = |(name, check): (&String, &config::CheckConfig)| {
            check.plan(name).map_err(|problem| anyhow::anyhow!("checks.{name}: {problem}"))
        };
        let options = watch::Options {
            rules: config.alerts.rules(),
            checks: config.checks.iter().map(plan).collect::<anyhow::Result<_>>()?,
            policy: config.alerts.policy(),
        };
        let Primitives { notify, prober, .. } = self.primitives.clone();
        Ok(Watch { options, store: self.store.clone(), notify, prober, clock: clock.clone() })
    }

    /// Opens the doors, last of all.
    fn open(
        &self,
        config: &Config,
        clock: &Clock,
        supervisor: &mut Supervisor,
        (listener, address): (TcpListener, SocketAddr),
        door: admin::Server,
    ) {
        let options = web::Options { listen: address, allowed_hosts: config.http.allowed_hosts.clone() };
        let web = Web::new(options, self.web_parts(clock, &config.scripts.dir));
        let api = web.router();
        supervisor.spawn("web", |stop| web::serve(listener, web, stop));
        let consoles =
            LiveConsoles { runner: self.runner.clone(), registry: self.registry.clone(), loader: self.loader.clone() };
        let clock = clock.clone();
        supervisor.spawn("admin socket", |stop| door.run(api, Arc::new(consoles), clock, stop));
    }

    fn web_parts(&self, clock: &Clock, scripts: &Path) -> web::Parts {
        let (dir, loader) = (scripts.to_owned(), self.loader.clone());
        let readable = web::Probe::new("scripts", move || {
            let (dir, loader) = (dir.clone(), loader.clone());
            async move {
                loader.ready().await.map_err(|stopped| stopped.to_string())?;
                tokio::fs::read_dir(&dir).await.map(drop).map_err(|failure| {
                    format!("cannot read the scripts folder {}: {failure}; create it or fix its mode", dir.display())
                })
            }
        });
        web::Parts {
            loader: self.loader.clone(),
            store: self.store.clone(),
            tail: Tail::new(self.store.clone()),
            runner: self.runner.clone(),
            jobs: self.registry.clone(),
            docker: self.primitives.docker.clone(),
            notify: self.primitives.notify.clone(),
            stacks: self.primitives.stacks.clone(),
            volumes: self.primitives.volumes.clone(),
            egress: self.primitives.egress.clone(),
            secrets: self.primitives.secrets.clone(),
            forecast: Arc::new(forecast::LiveForecast {
                registry: self.registry.clone(),
                calendars: self.site.calendars.clone(),
            }),
            probes: [vec![readable], self.source_probes()].concat(),
            metrics: web::Metrics::default(),
            clock: clock.clone(),
        }
    }

    /// Of what jobs listen to, and of the databases and servers that the configuration names.
    fn source_probes(&self) -> Vec<web::Probe> {
        let (redis, graph) = (self.primitives.redis.clone(), self.primitives.graph.clone());
        let sql = self.primitives.sql.clone();
        let hearing = self.hearing.clone();
        let mut probes = vec![web::Probe::new("triggers", move || {
            let hearing = hearing.clone();
            async move { hearing.check() }
        })];
        let volumes = self.primitives.volumes.clone();
        if volumes.is_configured() {
            probes.push(web::Probe::new("nfs", move || {
                let volumes = volumes.clone();
                async move { volumes.check().await }
            }));
        }
        let egress = self.primitives.egress.clone();
        if egress.is_enabled() {
            probes.push(web::Probe::new("egress", move || {
                let egress = egress.clone();
                async move { egress.health().await }
            }));
        }
        let vault = self.primitives.secrets.clone();
        if vault.sources() > 0 {
            probes.push(web::Probe::new("secrets", move || std::future::ready(no_problem(vault.problems()))));
        }
        if !sql.is_empty() {
            probes.push(web::Probe::new("sql", move || {
                let sql = sql.clone();
                async move { sql.ping().await }
            }));
        }
        let proxies = self.primitives.proxies.clone();
        if !proxies.is_empty() {
            probes.push(web::Probe::new("proxies", move || {
                let proxies = proxies.clone();
                async move { answer_of_all(proxies.check().await.into_iter().filter_map(|(_, answer)| answer.err())) }
            }));
        }
        if redis.sources().next().is_some() {
            probes.push(web::Probe::new("redis", move || {
                let redis = redis.clone();
                async move { all_answer(redis.ping().await) }
            }));
        }
        if graph.sources().next().is_some() {
            probes.push(web::Probe::new("graph", move || {
                let graph = graph.clone();
                async move { all_answer(graph.ping().await) }
            }));
        }
        probes
    }

    /// Says where everything is, and how to sign in when nobody can yet.
    async fn announce(&self, clock: &Clock, address: SocketAddr, scripts: &Path, config: Option<&Path>) {
        let url = format!("http://{address}");
        let snapshot = self.registry.snapshot();
        info!(
            dashboard = %url,
            scripts = %scripts.display(),
            jobs = snapshot.jobs.len(),
            rejected = snapshot.diagnostics.len(),
            config = %config.map_or_else(|| "built-in defaults".to_owned(), |file| file.display().to_string()),
            "ready"
        );
        match self.store.tokens().await {
            Ok(tokens) if tokens.iter().all(|token| token.revoked_at.is_some()) => {
                match web::auth::issue_login_link(&self.store, clock, &url).await {
                    Ok(link) => info!("sign in once within 15 minutes: {link}"),
                    Err(error) => error!(?error, "no login link could be made; use `aegis token create`"),
                }
            }
            Ok(_) => {}
            Err(error) => error!(%error, "the tokens cannot be read"),
        }
        let _ = sd_notify::notify(&[sd_notify::NotifyState::Ready]);
    }
}

/// Opens the volumes, and has them served until everything that may use them has stopped.
async fn serve_volumes(primitives: &Primitives, supervisor: &mut Supervisor) -> anyhow::Result<()> {
    let volumes = primitives.volumes.clone();
    let Some(gateway) = volumes.open().await? else { return Ok(()) };
    let allowance = limits::NFS_DRAIN_WAIT + limits::SHUTDOWN_PART_WAIT;
    supervisor.spawn_within("nfs", allowance, |stop| gateway.run(stop));
    supervisor.spawn("volumes", |stop| volumes.serve(stop));
    Ok(())
}

/// Lets executions out, and looks after what they leave behind, until the runner has stopped.
async fn serve_executions(
    primitives: &Primitives,
    (store, name): (&Store, &str),
    supervisor: &mut Supervisor,
) -> Result<(), store::StoreError> {
    let egress = primitives.egress.clone();
    if egress.is_enabled() {
        egress.begin(executions::owner(store, name).await?);
        let runs = Arc::new(executions::StoredRuns(store.clone()));
        supervisor.spawn_within("executions", limits::EGRESS_STOP_WAIT, |stop| egress.serve(runs, stop));
    }
    Ok(())
}

fn no_problem(problems: Vec<primitives::secrets::SecretError>) -> Result<(), String> {
    let texts: Vec<String> = problems.iter().map(ToString::to_string).collect();
    if texts.is_empty() { Ok(()) } else { Err(texts.join("; ")) }
}

/// What is wrong with the servers that do not answer.
fn all_answer(answers: Vec<(Place, Result<(), Problem>)>) -> Result<(), String> {
    answer_of_all(answers.into_iter().filter_map(|(place, answer)| Some(answer.err()?.fault(&place))))
}

fn answer_of_all(wrong: impl Iterator<Item = Fault>) -> Result<(), String> {
    let wrong: Vec<String> = wrong.map(|fault| fault.to_string()).collect();
    if wrong.is_empty() { Ok(()) } else { Err(wrong.join("; ")) }
}

async fn listen(address: SocketAddr) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address).await.with_context(|| {
        format!(
            "cannot listen on {address}: choose another address with http.listen or --listen, or stop what holds it"
        )
    })
}

/// What scripts can reach, as the configuration has it, for running a file without a daemon.
pub fn primitives(config: &Config, clock: &Clock) -> anyhow::Result<Primitives> {
    masked_primitives(config, clock, &Masker::default())
}

fn masked_primitives(config: &Config, clock: &Clock, masker: &Masker) -> anyhow::Result<Primitives> {
    let options = primitives::Options {
        clock: clock.clone(),
        docker_host: config.docker.host.clone(),
        deny: config.outgoing.deny.clone(),
        ca_file: config.outgoing.ca_file.clone(),
        hosts: config.outgoing.hosts.clone(),
        routes: config.notify.routes.clone(),
        sql: config.sql.clone(),
        roots: config.fs.roots.clone(),
        stacks: config.stacks.clone(),
        proxies: config.proxies.clone(),
        process: primitives::process::Options {
            programs: config.process.programs.clone(),
            // This very binary, also after another one was installed in its place.
            keeper: Some("/proc/self/exe".into()),
        },
        redis: config.redis.clone(),
        graph: config.graph.clone(),
        llm: config.llm.clone(),
        secrets: secrets(config),
        volumes: config.nfs.options(),
        egress: config.egress.options(),
        masker: masker.clone(),
        ..primitives::Options::default()
    };
    Primitives::new(options).map_err(|fault: Fault| anyhow::anyhow!("{fault}"))
}

/// The sources of secrets, with the credentials that systemd has made for this process.
pub fn secrets(config: &Config) -> primitives::secrets::Options {
    primitives::secrets::Options {
        config: config.secrets.clone(),
        credentials_directory: std::env::var_os("CREDENTIALS_DIRECTORY").map(PathBuf::from),
    }
}

/// What job files may name, as the configuration has it. Also for checking files without a daemon.
pub fn site(config: &Config) -> anyhow::Result<Site> {
    Ok(Site { calendars: Arc::new(config.calendars().context("calendars")?) })
}

/// The operator's policy. Also for checking files without a daemon.
pub fn gate(config: &Config) -> anyhow::Result<Gate> {
    let path = &config.scripts.policy;
    let is_default = *path == config::Config::default().scripts.policy;
    anyhow::ensure!(
        is_default || path.exists(),
        "there is no policy at {}: set scripts.policy to a file, or leave it out",
        path.display()
    );
    Gate::open(path).map_err(|faults| {
        let said: Vec<String> = faults.iter().map(ToString::to_string).collect();
        anyhow::anyhow!("the policy is wrong, and there is no earlier one to go on with:\n{}", said.join("\n"))
    })
}

/// Until a signal asks for the end, or a part ends by itself.
async fn wait(supervisor: &mut Supervisor, signals: &mut Signals) -> anyhow::Result<()> {
    tokio::select! {
        signal = signals.next() => info!(signal, "stopping"),
        escalation = supervisor.escalation() => {
            warn!(task = escalation.task, "stopping because a part of the daemon is gone");
            return Err(escalation.into());
        }
    }
    Ok(())
}

/// The signals that ask for the end.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn new() -> anyhow::Result<Self> {
        let terminate = signal(SignalKind::terminate()).context("cannot watch for SIGTERM")?;
        let interrupt = signal(SignalKind::interrupt()).context("cannot watch for SIGINT")?;
        Ok(Self { terminate, interrupt })
    }

    async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        }
    }
}

/// What no other process that is alive can be: this address, on this machine, in this network namespace.
fn place(store: &Store, address: SocketAddr) -> String {
    let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    let network = std::fs::read_link("/proc/self/ns/net").unwrap_or_default();
    format!("{} {address} {} {}", store.node(), boot.trim(), network.display())
}

fn node_name(node: &crate::config::Node) -> String {
    if let Some(name) = &node.name {
        return name.clone();
    }
    let name = rustix::system::uname();
    name.nodename().to_string_lossy().into_owned()
}
