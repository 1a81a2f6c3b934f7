//! `require`: names become files of the pinned bundle or of the shipped library, and nothing else.

use mlua::chunk::ChunkMode;
use mlua::{Function, Lua, Table, Value};

use super::host::Host;
use crate::base::Fault;
use crate::base::suggest::did_you_mean;
use crate::lua::bundle::Bundle;
use crate::lua::show::clip_bytes;
use crate::lua::standard::Standard;

/// No file's name is longer on any system.
const PATH_BYTES_MAX: usize = 4_096;

/// The files that a required name may mean, relative to the scripts folder, the likeliest first. Empty for the shipped
/// library (`@std/…`) and for names that can mean nothing.
pub fn candidates(name: &str) -> Vec<String> {
    let path = match name.strip_prefix("@lib/") {
        Some(rest) => format!("lib/{rest}"),
        None if name.starts_with('@') || name.contains('/') => return Vec::new(),
        None => name.replace('.', "/"),
    };
    let legal = |part: &str| !part.is_empty() && !part.starts_with('.') && !part.contains(['\\', '\0', ':']);
    if !path.starts_with("lib/") || !path.split('/').all(legal) {
        return Vec::new();
    }
    ["", "/init"].iter().flat_map(|tail| ["lua", "luau"].map(|ext| format!("{path}{tail}.{ext}"))).collect()
}

/// The key under which a module is kept: its file, or `@std/name`.
pub fn resolve(host: &Host, name: &Value) -> Result<String, Fault> {
    let Value::String(name) = name else {
        return Err(Fault::new("args.type", format!("require: a name must be a string, got a {}", name.type_name())));
    };
    let name = clip_bytes(&name.as_bytes(), PATH_BYTES_MAX);
    if let Some(module) = name.strip_prefix("@std/") {
        return Standard::names().find(|known| known == module).map(|_| name.clone()).ok_or_else(|| {
            let names = Standard::names().map(|known| format!("@std/{known}")).collect::<Vec<_>>();
            let near = did_you_mean(&name, names.iter().map(String::as_str));
            let known = names.join(", ");
            Fault::new("require.not_found", format!("there is no \"{name}\"{near}")).hint(format!("there are {known}"))
        });
    }
    let candidates = candidates(&name);
    if candidates.is_empty() {
        let message = format!("require cannot reach \"{name}\"");
        let hint = "use \"@lib/name\" for a file in scripts/lib, \"@std/name\" for the shipped library";
        return Err(Fault::new("require.name", message).hint(hint));
    }
    let files = host.bundle().map(|bundle| bundle.files.clone()).unwrap_or_default();
    candidates.iter().find(|path| files.iter().any(|(file, _)| file == *path)).cloned().ok_or_else(|| {
        let names = files.iter().skip(1).map(|(file, _)| module_name(file)).collect::<Vec<_>>();
        let near = did_you_mean(&name, names.iter().map(String::as_str));
        let message = format!("there is no \"{name}\" among this job's files{near}");
        Fault::new("require.not_found", message)
            .hint(format!("put it at scripts/{} and name it in a literal: require(\"{name}\")", candidates[0]))
    })
}

/// `lib/a/b.lua` as `@lib/a/b`.
fn module_name(file: &str) -> String {
    let stem = file.trim_end_matches(".luau").trim_end_matches(".lua");
    format!("@{}", stem.trim_end_matches("/init"))
}

/// The chunk of a key that [`resolve`] gave, with `environment` for its globals if there is one.
pub fn load(lua: &Lua, host: &Host, key: &str, environment: Option<&Table>) -> mlua::Result<Result<Function, Fault>> {
    let code = match key.strip_prefix("@std/") {
        Some(name) => host.standard().code(name),
        None => match host.bundle() {
            Some(bundle) => bundle.code_of(key),
            None => Err(Fault::new("require.not_found", format!("there is no file {key}"))),
        },
    };
    match code {
        Ok(code) => {
            let chunk = lua.load(&*code).set_mode(ChunkMode::Binary).set_name(format!("={key}"));
            let chunk = match environment {
                Some(environment) => chunk.set_environment(environment.clone()),
                None => chunk,
            };
            Ok(Ok(chunk.into_function()?))
        }
        Err(fault) => Ok(Err(fault)),
    }
}

/// Loads bytecode of our own making. `name` is what error messages and traces call it.
pub fn chunk(lua: &Lua, name: &str, code: &[u8]) -> mlua::Result<Function> {
    lua.load(code).set_mode(ChunkMode::Binary).set_name(format!("={name}")).into_function()
}

/// The job's own file.
pub fn main_chunk(lua: &Lua, bundle: &Bundle) -> Result<mlua::Result<Function>, Fault> {
    let Some((file, _)) = bundle.files.first() else {
        return Err(Fault::new("script.empty", "the bundle has no files"));
    };
    let code = bundle.code_of(file)?;
    Ok(chunk(lua, file, &code))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_mean_files_in_lib_only() {
        assert_eq!(candidates("@lib/a/b")[0], "lib/a/b.lua");
        assert_eq!(candidates("lib.a.b"), candidates("@lib/a/b"));
        for bad in ["", "os", "@lib/../secret", "@lib//x", "./x", "/etc/passwd", "lib..x", "@lib/.hidden", "@lib/a\0b"]
        {
            assert!(candidates(bad).is_empty(), "{bad:?}");
        }
    }
}
