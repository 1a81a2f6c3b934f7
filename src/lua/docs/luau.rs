//! The editor's types: `stdlib/types/aegis.d.luau`.

use super::{field_text, records, type_text};
use crate::lua::bind::{Call, Function, MODULES, Module, ModuleKind};

const HEAD: &str = "\
-- Types of everything that Aegis offers to scripts, for luau-lsp. Generated from the registry in src/lua/bind; do not
-- edit: AEGIS_UPDATE_GENERATED=1 cargo test --lib lua::docs

-- \"250ms\", \"30s\", \"5m\", \"2h\", \"7d\", or seconds.
export type Duration = string | number
-- \"64MiB\", \"10MB\", or bytes.
export type Size = string | number
-- RFC 3339 text; as an argument also seconds since the epoch.
export type Time = string | number

-- A secret, to be handed to calls that take one. tostring gives secret(NAME).
export type Secret = {
  name: string,
  reveal: (self: Secret) -> string,
  bearer: (self: Secret) -> Secret,
  basic: (self: Secret, user: string) -> Secret,
  wrap: (self: Secret, before: string, after: string?) -> Secret,
}

-- What a failed call raises.
export type Error = {
  code: string, -- stable and dotted, such as \"docker.not_found\"
  message: string,
  hint: string?,
  retryable: boolean,
  details: any,
  trace: { string }, -- innermost first, `file:line function`
}
";

/// The definition file.
pub fn types() -> String {
    let mut out = HEAD.to_owned();
    for record in records() {
        out.push_str(&format!("\n-- {}\nexport type {} = {{\n", record.doc, record.name));
        for field in record.fields {
            out.push_str(&format!("  {}, -- {}\n", field_text(field), field.doc));
        }
        out.push_str("}\n");
    }
    out.push_str(&proxy());
    for module in MODULES.iter().filter(|module| module.kind == ModuleKind::Object) {
        let doc = module.doc.replace("\n\n", "\n--\n-- ");
        out.push_str(&format!("\n-- {doc}\nexport type {} = {{\n", object_type(module)));
        members(&mut out, module, "  ");
        out.push_str("}\n");
    }
    out.push_str("\ndeclare aegis: {\n");
    for module in MODULES.iter().filter(|module| module.kind == ModuleKind::Namespace) {
        if module.name.is_empty() {
            members(&mut out, module, "  ");
        } else {
            out.push_str(&format!("  -- {}\n  {}: {{\n", module.doc, module.name));
            members(&mut out, module, "    ");
            out.push_str("  },\n");
        }
    }
    out.push_str("}\n\ndeclare function require(name: string): any\n");
    out
}

/// What `aegis.proxy.open` gives: the functions of the module that are about one load balancer, without its name.
fn proxy() -> String {
    let mut out = "\n-- A load balancer, as aegis.proxy.open gives it.\nexport type Proxy = {\n".to_owned();
    out.push_str("  name: string,\n  kind: \"haproxy\" | \"traefik\",\n");
    let module = MODULES.iter().find(|module| module.name == "proxy");
    for function in module.into_iter().flat_map(|module| module.functions) {
        if let ([first, rest @ ..], Call::Async(_)) = (function.params, function.call)
            && first.name == "proxy"
        {
            let method = signature(&Function { params: rest, ..*function }, Some("Proxy"));
            out.push_str(&format!("  -- {}\n  {}: {method},\n", function.doc, function.name));
        }
    }
    out + "}\n"
}

/// `ctx` is a `Ctx`.
fn object_type(module: &Module) -> String {
    let mut name = module.name.to_owned();
    if let Some(first) = name.get_mut(..1) {
        first.make_ascii_uppercase();
    }
    name
}

fn members(out: &mut String, module: &Module, indent: &str) {
    for constant in module.constants {
        let text = type_text(&constant.kind);
        out.push_str(&format!("{indent}{}: {text}, -- {}\n", constant.name, constant.doc));
    }
    for function in module.functions {
        let of = (module.kind == ModuleKind::Object).then(|| object_type(module));
        let signature = signature(function, of.as_deref());
        out.push_str(&format!("{indent}-- {}\n{indent}{}: {signature},\n", function.doc, function.name));
    }
}

/// `(key: string, options: KvScope?) -> any`.
fn signature(function: &Function, object: Option<&str>) -> String {
    let receiver = object.map(|name| format!("self: {name}"));
    let params = function.params.iter().map(|field| match field.name {
        "..." => "...any".to_owned(),
        _ => field_text(field),
    });
    let params = receiver.into_iter().chain(params).collect::<Vec<_>>().join(", ");
    let returns = match function.name {
        "try" => "(boolean, ...any)".to_owned(),
        _ => type_text(&function.returns),
    };
    format!("({params}) -> {returns}")
}
