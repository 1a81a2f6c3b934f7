//! What each function does: arguments, permit, call, answer.

use std::net::IpAddr;
use std::time::Duration;

use crate::base::{Fault, limits};
use crate::lua::bind::docker::convert::{options_of, table};
use crate::lua::bind::{Args, CallContext, Datum, within};
use crate::model::grants::Access;
use crate::primitives::permit::{self, SourcePermit};
use crate::primitives::proxy::{Change, How, Mode, SetOptions, Spot};

type Outcome = Result<Datum, Fault>;

pub fn list(context: &CallContext) -> Outcome {
    let grants = &context.run()?.grants;
    let access = |name: &str| {
        let permit = permit::proxy(grants, name).ok()?;
        [Access::Admin, Access::Write, Access::Read].into_iter().find(|access| permit.reaches(*access))
    };
    let entry = |(name, kind): (&str, crate::primitives::proxy::Kind)| {
        let access = access(name).map(Access::as_str);
        Datum::record([("name", name.into()), ("kind", kind.as_str().into()), ("access", access.into())])
    };
    Ok(Datum::List(context.primitives.proxies.list().map(entry).collect()))
}

pub async fn info(context: CallContext, args: Args) -> Outcome {
    let (permit, timeout) = (permit(&context, &args)?, timeout(&context, &args)?);
    table(&context, &context.primitives.proxies.info(&permit, timeout).await?)
}

pub async fn backends(context: CallContext, args: Args) -> Outcome {
    let (permit, timeout) = (permit(&context, &args)?, timeout(&context, &args)?);
    table(&context, &context.primitives.proxies.backends(&permit, timeout).await?)
}

pub async fn servers(context: CallContext, args: Args) -> Outcome {
    let (permit, timeout) = (permit(&context, &args)?, timeout(&context, &args)?);
    table(&context, &context.primitives.proxies.servers(&permit, args.text("backend"), timeout).await?)
}

pub async fn set_weight(context: CallContext, args: Args) -> Outcome {
    let weight = number(&context, &args, "weight", limits::PROXY_SERVICE_WEIGHT_MAX)?;
    change(context, args, Change::Weight(weight)).await
}

pub async fn set_state(context: CallContext, args: Args) -> Outcome {
    let wanted = args.need("state")?;
    let mode = Mode::ALL.into_iter().find(|mode| mode.as_str() == wanted).unwrap_or(Mode::Ready);
    change(context, args, Change::Mode(mode)).await
}

pub async fn set_address(context: CallContext, args: Args) -> Outcome {
    permit(&context, &args)?;
    let text = args.need("address")?;
    let address: IpAddr = text.parse().map_err(|_| {
        let message = format!("{}: argument \"address\": {text:?} is not an address", context.name);
        Fault::new("args.value", message).hint("write 10.0.0.5 or fd00::5; aegis.host.dns looks names up")
    })?;
    let port = number(&context, &args, "port", u16::MAX)?;
    if port == 0 {
        return Err(out_of_range(&context, "port", u16::MAX));
    }
    change(context, args, Change::Address(address, port)).await
}

async fn change(context: CallContext, args: Args, change: Change) -> Outcome {
    let permit = permit(&context, &args)?;
    let how = How { timeout: timeout(&context, &args)?, dry_run: context.dry_run(&args) };
    let spot = Spot { backend: args.need("backend")?, server: args.need("server")? };
    table(&context, &context.primitives.proxies.change(&permit, spot, change, how).await?)
}

pub async fn drain(context: CallContext, args: Args) -> Outcome {
    const MAX: Duration = limits::PROXY_DRAIN_TIMEOUT_MAX;
    let permit = permit(&context, &args)?;
    let timeout = within(&context, &args.record("options"), limits::PROXY_DRAIN_TIMEOUT_DEFAULT, MAX)?;
    let how = How { timeout, dry_run: context.dry_run(&args) };
    let spot = Spot { backend: args.need("backend")?, server: args.need("server")? };
    table(&context, &context.primitives.proxies.drain(&permit, spot, how).await?)
}

pub async fn set_services(context: CallContext, args: Args) -> Outcome {
    let permit = permit(&context, &args)?;
    let mut options = args.record("options").0;
    options.insert("services".to_owned(), Datum::List(args.list("services").unwrap_or_default().to_vec()));
    let options: SetOptions = options_of(&context, options)?;
    let (name, dry_run) = (args.need("name")?, context.dry_run(&args));
    table(&context, &context.primitives.proxies.set_services(&permit, name, options, dry_run).await?)
}

pub async fn services(context: CallContext, args: Args) -> Outcome {
    table(&context, &context.primitives.proxies.services(&permit(&context, &args)?).await?)
}

pub async fn remove_services(context: CallContext, args: Args) -> Outcome {
    let (permit, name) = (permit(&context, &args)?, args.need("name")?);
    let dry_run = context.dry_run(&args);
    let removed = context.primitives.proxies.remove_services(&permit, name, dry_run).await?;
    let plan = (dry_run && removed).then(|| format!("remove the services {name}"));
    Ok(Datum::record([("name", name.into()), ("removed", removed.into()), ("plan", plan.into())]))
}

fn permit(context: &CallContext, args: &Args) -> Result<SourcePermit, Fault> {
    Ok(permit::proxy(&context.run()?.grants, args.need("proxy")?)?.noting(&context.reach))
}

fn timeout(context: &CallContext, args: &Args) -> Result<Duration, Fault> {
    within(context, &args.record("options"), limits::PROXY_TIMEOUT_DEFAULT, limits::PROXY_TIMEOUT_MAX)
}

fn number(context: &CallContext, args: &Args, name: &str, max: u16) -> Result<u16, Fault> {
    let given = args.integer(name).and_then(|number| u16::try_from(number).ok());
    given.filter(|number| *number <= max).ok_or_else(|| out_of_range(context, name, max))
}

fn out_of_range(context: &CallContext, name: &str, max: u16) -> Fault {
    let least = if name == "port" { 1 } else { 0 };
    Fault::new("args.value", format!("{}: argument {name:?} must be {least} to {max}", context.name))
}
