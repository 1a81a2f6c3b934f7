//! The service: permit, class, time and size around every command.

use std::collections::BTreeMap;
use std::time::Duration;

use redis::Value;

use super::class::Class;
use super::error::{Place, Problem, RedisError};
use super::pool::{Lease, PoolOptions};
use super::pools::Pools;
use super::reply::Reply;
use super::source::Sources;
use crate::base::limits;
use crate::model::grants::Access;
use crate::primitives::permit::SourcePermit;

/// Cheap to clone.
#[derive(Debug, Clone)]
pub struct Redis(Pools);

/// A command's name and arguments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Command(pub Vec<Vec<u8>>);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CallOptions {
    pub timeout: Duration,
    /// All or nothing, with nobody in between.
    pub atomic: bool,
    /// Carry out only what reads.
    pub dry_run: bool,
}

/// What became of a call.
#[derive(Debug, Clone, PartialEq)]
pub enum Done {
    Replies(Vec<Reply>),
    /// A dry run: what would have been carried out, the first argument of each command shown.
    Planned(Vec<String>),
}

impl Command {
    pub fn new<const N: usize>(words: [&[u8]; N]) -> Self {
        Self(words.into_iter().map(<[u8]>::to_vec).collect())
    }

    fn name(&self) -> String {
        const NAME_BYTES_MAX: usize = 64;
        let name = self.0.first().map(Vec::as_slice).unwrap_or_default();
        String::from_utf8_lossy(&name[..name.len().min(NAME_BYTES_MAX)]).into_owned()
    }

    /// For people: the name, the first argument and how many there are, for the others may be secrets.
    fn shown(&self) -> String {
        const SHOWN_CHARS_MAX: usize = 80;
        let first = self.0.get(1).map(|first| String::from_utf8_lossy(first).into_owned()).unwrap_or_default();
        let first: String = first.chars().filter(|c| !c.is_control()).take(SHOWN_CHARS_MAX).collect();
        format!("{} {first} ({} arguments)", self.name(), self.0.len().saturating_sub(1))
    }

    fn pack(&self) -> redis::Cmd {
        let mut command = redis::Cmd::new();
        for word in &self.0 {
            command.arg(word.as_slice());
        }
        command
    }
}

impl Redis {
    /// Connects to nothing.
    pub fn new(sources: Sources, options: &PoolOptions) -> Self {
        Self(Pools::new("redis", 3, sources, options))
    }

    pub fn sources(&self) -> impl Iterator<Item = &str> {
        self.0.names()
    }

    /// Each source with what its server says to a ping.
    pub async fn ping(&self) -> Vec<(Place, Result<(), Problem>)> {
        self.0.ping().await
    }

    /// Whether one server answers.
    pub async fn ping_source(&self, permit: &SourcePermit) -> Result<(), RedisError> {
        let pool = self.0.of(permit)?;
        let failed = |problem| RedisError::Failed { place: pool.place().clone(), problem };
        pool.ping().await.map_err(failed)
    }

    /// Carries out commands one after the other, and gives as many replies.
    ///
    /// # Errors
    /// Nothing is carried out when one of them is not granted or not known. When the server refuses one, those after it
    /// were carried out all the same, unless the call is atomic.
    pub async fn run(
        &self,
        permit: &SourcePermit,
        commands: &[Command],
        options: CallOptions,
    ) -> Result<Done, RedisError> {
        let pool = self.0.of(permit)?;
        let place = pool.place();
        check_sizes(place, commands)?;
        let failed = |problem| RedisError::Failed { place: place.clone(), problem };
        let mut lease = pool.lease(options.timeout).await.map_err(failed)?;
        let mut needs = Access::Read;
        for command in commands {
            needs = needs.max(admit(&mut lease, place, permit, command).await?);
        }
        if options.dry_run && needs > Access::Read {
            return Ok(Done::Planned(commands.iter().map(Command::shown).collect()));
        }
        let replies = match options.atomic {
            true => transaction(&mut lease, commands).await,
            false => pipeline(&mut lease, commands).await,
        };
        replies.map(Done::Replies).map_err(failed)
    }

    /// What the server says of itself, section by section: `INFO`, which the server counts among the dangerous
    /// commands, and which changes nothing.
    pub async fn info(
        &self,
        permit: &SourcePermit,
        section: &str,
        timeout: Duration,
    ) -> Result<BTreeMap<String, String>, RedisError> {
        let pool = self.0.of(permit)?;
        let failed = |problem| RedisError::Failed { place: pool.place().clone(), problem };
        let mut lease = pool.lease(timeout).await.map_err(failed)?;
        let mut command = redis::cmd("INFO");
        if !section.is_empty() {
            command.arg(section);
        }
        let answer = lease.ask(&command).await.map_err(failed)?;
        let lines = answer.as_text().unwrap_or_default().lines();
        let fields = lines.filter(|line| !line.starts_with('#')).filter_map(|line| line.trim_end().split_once(':'));
        Ok(fields.map(|(name, value)| (name.to_owned(), value.to_owned())).collect())
    }
}

fn check_sizes(place: &Place, commands: &[Command]) -> Result<(), RedisError> {
    let bad = |problem: String| Err(RedisError::BadCall { place: place.clone(), problem });
    if commands.is_empty() || commands.iter().any(|command| command.0.first().is_none_or(Vec::is_empty)) {
        return bad("a command has at least its name".into());
    }
    if commands.len() > limits::REDIS_PIPELINE_COMMANDS_MAX {
        return bad(format!("{} commands are too many at once", commands.len()));
    }
    let bytes: usize = commands.iter().flat_map(|command| &command.0).map(Vec::len).sum();
    if bytes > limits::REDIS_REQUEST_BYTES_MAX {
        return bad(format!("{bytes} bytes are too many at once"));
    }
    Ok(())
}

/// What a command needs, which the permit reaches.
async fn admit(
    lease: &mut Lease,
    place: &Place,
    permit: &SourcePermit,
    command: &Command,
) -> Result<Access, RedisError> {
    let unknown = || RedisError::UnknownCommand { place: place.clone(), command: command.name() };
    let found = lease.class(&command.name()).await;
    let class = found.map_err(|problem| RedisError::Failed { place: place.clone(), problem })?.ok_or_else(unknown)?;
    let class: &Class = class.of_call(command.0.get(1).map(Vec::as_slice)).ok_or_else(unknown)?;
    let shown = class.name.to_ascii_uppercase().replace('|', " ");
    if let Some(reason) = class.refused {
        return Err(RedisError::NotForScripts { place: place.clone(), command: shown, reason });
    }
    permit.check(class.needs, &format!("{shown} on {place}"))?;
    Ok(class.needs)
}

async fn pipeline(lease: &mut Lease, commands: &[Command]) -> Result<Vec<Reply>, Problem> {
    let mut packed = Vec::new();
    for command in commands {
        command.pack().write_packed_command(&mut packed);
    }
    let values = lease.exchange(&packed, commands.len(), limits::REDIS_REPLY_BYTES_MAX).await?;
    replies(values, commands.len() > 1)
}

/// Between MULTI and EXEC.
async fn transaction(lease: &mut Lease, commands: &[Command]) -> Result<Vec<Reply>, Problem> {
    let mut packed = redis::cmd("MULTI").get_packed_command();
    for command in commands {
        command.pack().write_packed_command(&mut packed);
    }
    redis::cmd("EXEC").write_packed_command(&mut packed);
    let mut values = lease.exchange(&packed, commands.len() + 2, limits::REDIS_REPLY_BYTES_MAX).await?;
    let outcome = values.pop().unwrap_or_default();
    // A command that is refused while it is queued tells why; the outcome only that there was one.
    replies(values.split_off(1), true)?;
    match outcome {
        Value::Array(values) => replies(values, true),
        other => Reply::read(other).map(|reply| vec![reply]),
    }
}

fn replies(values: Vec<Value>, is_numbered: bool) -> Result<Vec<Reply>, Problem> {
    let number = |at: usize, problem| match problem {
        Problem::Refused { code, text, .. } if is_numbered => Problem::Refused { code, text, command: Some(at + 1) },
        other => other,
    };
    let mut count = 0;
    let mut read = |(at, value)| Reply::read_after(value, &mut count).map_err(|problem| number(at, problem));
    values.into_iter().enumerate().map(&mut read).collect()
}
