//! The Lua that ships in the binary: `require("@std/…")`.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use rust_embed::RustEmbed;

use super::compile::{Code, compile};
use crate::base::Fault;

#[derive(RustEmbed)]
#[folder = "stdlib/std"]
struct Files;

/// One an engine; bytecode is kept from the first use on.
#[derive(Debug)]
pub struct Standard {
    code: BTreeMap<String, OnceLock<Result<Code, Fault>>>,
}

impl Default for Standard {
    fn default() -> Self {
        Self { code: Self::names().map(|name| (name, OnceLock::new())).collect() }
    }
}

impl Standard {
    /// `retry`, `table` and so on.
    pub fn names() -> impl Iterator<Item = String> {
        Files::iter().filter_map(|file| file.strip_suffix(".luau").map(str::to_owned))
    }

    pub fn source(name: &str) -> Option<String> {
        let file = Files::get(&format!("{name}.luau"))?;
        String::from_utf8(file.data.into_owned()).ok()
    }

    pub fn code(&self, name: &str) -> Result<Code, Fault> {
        let not_found = || Fault::new("require.not_found", format!("there is no @std/{name}"));
        let slot = self.code.get(name).ok_or_else(not_found)?;
        let compiled = || compile(&format!("@std/{name}"), &Self::source(name).ok_or_else(not_found)?);
        slot.get_or_init(compiled).clone()
    }
}
