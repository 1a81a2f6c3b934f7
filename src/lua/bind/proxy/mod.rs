//! `aegis.proxy`: load balancers that the operator has configured.

mod calls;
mod records;

use super::{Call, Field, Function, Module, Type};
use records::{
    BACKEND, CHANGE, CHANGED, DRAIN, DRAINED, ENTRY, INFO, LOOK, REMOVE, REMOVED, SERVER, SERVICE, SERVICES,
    SET_SERVICES, WRITTEN,
};

const PROXY: Field = Field::required("proxy", Type::String, "Its name under `proxies` in the configuration");
const BACKEND_NAME: Field = Field::required("backend", Type::String, "The backend's name");
const SERVER_NAME: Field = Field::required("server", Type::String, "The server's name");
const SET: Field = Field::required("name", Type::String, "The name of the set of services");
const LOOKING: Field = Field::optional("options", Type::Record(&LOOK), "How long to wait");
const CHANGING: Field = Field::optional("options", Type::Record(&CHANGE), "How it is done");

const READING: Function = Function { permission: Some("proxy = { SOURCE = \"read\" }"), ..Function::DEFAULT };
const WRITING: Function = Function { permission: Some("proxy = { SOURCE = \"write\" }"), ..Function::DEFAULT };

pub const MODULE: Module = Module {
    name: "proxy",
    doc: "Load balancers by the names that they have under `proxies` in the configuration: HAProxy through its runtime \
          API, whose changes take effect at once and hold until it is reloaded, and Traefik through files that it \
          watches. `aegis.proxy.open(\"edge\")` gives a value that is asked with a colon: `edge:servers(\"web\")` is \
          `aegis.proxy.servers(\"edge\", \"web\")`. A call that the kind cannot do says which can.",
    functions: &[
        Function {
            name: "open",
            doc: "A load balancer to be asked with a colon: its `name`, its `kind`, and the functions below without \
                  their first argument.",
            params: &[PROXY],
            returns: Type::Callback("Proxy"),
            call: Call::Prelude,
            ..READING
        },
        Function {
            name: "list",
            doc: "All load balancers, and what this job may do with them.",
            returns: Type::List(&Type::Record(&ENTRY)),
            call: Call::Sync(|context, _| calls::list(context)),
            ..Function::DEFAULT
        },
        Function {
            name: "info",
            doc: "What a load balancer says of itself.",
            params: &[PROXY, LOOKING],
            returns: Type::Record(&INFO),
            call: Call::Async(|context, args| Box::pin(calls::info(context, args))),
            ..READING
        },
        Function {
            name: "backends",
            doc: "The backends of a HAProxy with their traffic since it began.",
            params: &[PROXY, LOOKING],
            returns: Type::List(&Type::Record(&BACKEND)),
            call: Call::Async(|context, args| Box::pin(calls::backends(context, args))),
            ..READING
        },
        Function {
            name: "servers",
            doc: "The servers of a HAProxy: where they are, what they may get, what they got and how they are.",
            params: &[
                PROXY,
                Field::optional("backend", Type::String, "Only of this backend; of all unless said otherwise"),
                LOOKING,
            ],
            returns: Type::List(&Type::Record(&SERVER)),
            call: Call::Async(|context, args| Box::pin(calls::servers(context, args))),
            ..READING
        },
        Function {
            name: "set_weight",
            doc: "Sets a server's share of its backend's requests against those of the others. 0 lets it have no new \
                  requests. With Traefik the backend is a set of services and the server one of them.",
            params: &[
                PROXY,
                BACKEND_NAME,
                SERVER_NAME,
                Field::required("weight", Type::Integer, "0 to 256; 0 to 1000 with Traefik"),
                CHANGING,
            ],
            returns: Type::Record(&CHANGED),
            call: Call::Async(|context, args| Box::pin(calls::set_weight(context, args))),
            ..WRITING
        },
        Function {
            name: "set_state",
            doc: "Lets a server of a HAProxy have requests (`ready`), none but those of clients that a cookie binds to \
                  it (`drain`), or none and no checks (`maint`).",
            params: &[
                PROXY,
                BACKEND_NAME,
                SERVER_NAME,
                Field::required("state", Type::Choice(&["ready", "drain", "maint"]), "What it may have"),
                CHANGING,
            ],
            returns: Type::Record(&CHANGED),
            call: Call::Async(|context, args| Box::pin(calls::set_state(context, args))),
            ..WRITING
        },
        Function {
            name: "drain",
            doc: "Lets a server of a HAProxy have no new requests, and waits until those that it has are done. When \
                  the time is over it raises `proxy.not_drained`, and the server stays in `drain`.",
            params: &[
                PROXY,
                BACKEND_NAME,
                SERVER_NAME,
                Field::optional("options", Type::Record(&DRAIN), "How long to wait"),
            ],
            returns: Type::Record(&DRAINED),
            call: Call::Async(|context, args| Box::pin(calls::drain(context, args))),
            ..WRITING
        },
        Function {
            name: "set_address",
            doc: "Sends what a server of a HAProxy gets from now on to another address. Requests that are under way \
                  end where they are.",
            params: &[
                PROXY,
                BACKEND_NAME,
                SERVER_NAME,
                Field::required("address", Type::String, "An address, not a name"),
                Field::required("port", Type::Integer, "1 to 65535"),
                CHANGING,
            ],
            returns: Type::Record(&CHANGED),
            call: Call::Async(|context, args| Box::pin(calls::set_address(context, args))),
            ..WRITING
        },
        Function {
            name: "set_services",
            doc: "Writes a set of services for Traefik, in place of the set of that name: each has its part of the \
                  requests. With a rule it has a router too; without one, routers name it as `NAME@file`.",
            params: &[
                PROXY,
                SET,
                Field::required("services", Type::List(&Type::Record(&SERVICE)), "The services and their weights"),
                Field::optional("options", Type::Record(&SET_SERVICES), "Routing, stickiness, health"),
            ],
            returns: Type::Record(&WRITTEN),
            call: Call::Async(|context, args| Box::pin(calls::set_services(context, args))),
            ..WRITING
        },
        Function {
            name: "services",
            doc: "The sets of services that were written for Traefik.",
            params: &[PROXY],
            returns: Type::List(&Type::Record(&SERVICES)),
            call: Call::Async(|context, args| Box::pin(calls::services(context, args))),
            ..READING
        },
        Function {
            name: "remove_services",
            doc: "Takes a set of services of Traefik away; `removed` is false when there is none of that name.",
            params: &[PROXY, SET, Field::optional("options", Type::Record(&REMOVE), "How it is done")],
            returns: Type::Record(&REMOVED),
            call: Call::Async(|context, args| Box::pin(calls::remove_services(context, args))),
            ..WRITING
        },
    ],
    ..Module::DEFAULT
};
