//! The names in a live VM and the names in the registry are the same.

use std::collections::BTreeSet;

use serde_json::Value;

use super::support::Bed;
use crate::lua::vm::known_names;

#[test]
fn walking_a_vm_finds_the_registry() {
    let bed = Bed::default();
    let walked = bed.value(
        "local names = {}
         local function add(name, value)
           if type(value) == 'function' then table.insert(names, name) end
         end
         for name, value in aegis do
           add('aegis.' .. name, value)
           if type(value) == 'table' then
             for member, inner in value do add('aegis.' .. name .. '.' .. member, inner) end
           end
         end
         for name, value in ctx do add('ctx:' .. name, value) end
         return names",
    );
    let walked: BTreeSet<String> =
        walked.as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect();
    assert_eq!(walked, known_names().into_iter().collect());
}

#[test]
fn constants_are_there() {
    let bed = Bed::default();
    for module in crate::lua::bind::MODULES {
        for constant in module.constants {
            let owner = match (module.name, module.kind) {
                ("", _) => "aegis".to_owned(),
                (name, crate::lua::bind::ModuleKind::Namespace) => format!("aegis.{name}"),
                (name, _) => name.to_owned(),
            };
            let body = format!("return {owner}.{} ~= nil", constant.name);
            assert_eq!(bed.value(&body), Value::Bool(true), "{body}");
        }
    }
}
