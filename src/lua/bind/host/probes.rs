//! Looking at other hosts.

use std::time::Duration;

use super::told;
use crate::base::{Fault, limits};
use crate::lua::bind::{Args, CallContext, Datum};
use crate::primitives::permit::{self, ProbePermit};
use crate::primitives::probe::{DnsQuery, PingQuery, Probe, TlsQuery};

fn reach(context: &CallContext) -> Result<(&Probe, ProbePermit), Fault> {
    Ok((&context.primitives.probe, permit::probe(&context.run()?.grants)?))
}

fn timeout(options: &Args, default: Duration) -> Duration {
    options.duration("timeout").unwrap_or(default).min(limits::PROBE_TIMEOUT_MAX)
}

fn port(context: &CallContext, port: Option<i64>, default: u16) -> Result<u16, Fault> {
    let Some(port) = port else { return Ok(default) };
    u16::try_from(port).ok().filter(|port| *port > 0).ok_or_else(|| {
        let message = format!("{}: {port} is not a port", context.name);
        Fault::new("probe.bad_port", message).hint("write a number from 1 to 65535")
    })
}

pub async fn dns(context: CallContext, args: Args) -> Result<Datum, Fault> {
    let (probe, permit) = reach(&context)?;
    let options = args.record("options");
    let query = DnsQuery {
        name: args.need("name")?.to_owned(),
        kind: options.text("type").unwrap_or("A").to_owned(),
        server: options.text("server").map(str::to_owned),
        timeout: timeout(&options, limits::PROBE_TIMEOUT_DEFAULT),
    };
    told(probe.dns(&permit, &query).await?)
}

pub async fn tcp(context: CallContext, args: Args) -> Result<Datum, Fault> {
    let (probe, permit) = reach(&context)?;
    let port = port(&context, args.integer("port"), 0)?;
    let timeout = timeout(&args.record("options"), limits::PROBE_TIMEOUT_DEFAULT);
    told(probe.tcp(&permit, args.need("host")?, port, timeout).await?)
}

pub async fn tls(context: CallContext, args: Args) -> Result<Datum, Fault> {
    const HTTPS: u16 = 443;
    let (probe, permit) = reach(&context)?;
    let options = args.record("options");
    let query = TlsQuery {
        host: args.need("host")?.to_owned(),
        port: port(&context, options.integer("port"), HTTPS)?,
        server_name: options.text("server_name").map(str::to_owned),
        timeout: timeout(&options, limits::PROBE_TIMEOUT_DEFAULT),
    };
    told(probe.tls(&permit, &query).await?)
}

pub async fn ping(context: CallContext, args: Args) -> Result<Datum, Fault> {
    let (probe, permit) = reach(&context)?;
    let options = args.record("options");
    let count = options.integer("count").and_then(|count| usize::try_from(count).ok());
    let query = PingQuery {
        host: args.need("host")?.to_owned(),
        count: count.unwrap_or(limits::PROBE_PINGS_DEFAULT),
        timeout: timeout(&options, limits::PROBE_PING_TIMEOUT_DEFAULT),
    };
    told(probe.ping(&permit, &query).await?)
}
