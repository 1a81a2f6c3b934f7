//! `aegis.uuid` (RFC 9562).

use super::{Args, Call, CallContext, Datum, Function, Module, Phase, Type};
use crate::base::Fault;
use crate::lua::durable::Reads;

pub const MODULE: Module = Module {
    name: "uuid",
    doc: "Unique ids.",
    functions: &[
        Function {
            name: "v4",
            doc: "A random one.",
            returns: Type::String,
            phase: Phase::Any,
            reads: Reads::Dice,
            call: Call::Sync(v4),
            ..Function::DEFAULT
        },
        Function {
            name: "v7",
            doc: "One that begins with the time, so that ids sort by when they were made.",
            returns: Type::String,
            phase: Phase::Any,
            reads: Reads::Both,
            call: Call::Sync(v7),
            ..Function::DEFAULT
        },
    ],
    ..Module::DEFAULT
};

fn v4(context: &CallContext, _: &Args) -> Result<Datum, Fault> {
    Ok(Datum::Text(text(random(context)?, 4)))
}

fn v7(context: &CallContext, _: &Args) -> Result<Datum, Fault> {
    let mut bytes = random(context)?;
    let millis = u64::try_from(context.now().as_millisecond()).unwrap_or(0);
    bytes[..6].copy_from_slice(&millis.to_be_bytes()[2..]);
    Ok(Datum::Text(text(bytes, 7)))
}

fn random(context: &CallContext) -> Result<[u8; 16], Fault> {
    if let Some(bytes) = context.given.bytes {
        return Ok(bytes);
    }
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes)
        .map_err(|problem| Fault::new("uuid.random", format!("{}: no randomness: {problem}", context.name)))?;
    Ok(bytes)
}

/// With version and variant set.
fn text(mut bytes: [u8; 16], version: u8) -> String {
    bytes[6] = bytes[6] & 0x0f | version << 4;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
}

#[cfg(test)]
mod tests {
    #[test]
    fn version_and_variant_are_set() {
        assert_eq!(super::text([0xff; 16], 4), "ffffffff-ffff-4fff-bfff-ffffffffffff");
        assert_eq!(super::text([0; 16], 7), "00000000-0000-7000-8000-000000000000");
    }
}
