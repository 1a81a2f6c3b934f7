//! `aegis.http`: requests to the hosts that the job was granted.

mod call;
mod spec;

use super::{Call, Field, Function, Module, Type};
use spec::{GET, OPTIONS, REQUEST, RESPONSE};

const URL: Field = Field::required("url", Type::String, "http:// or https://");
const PERMISSION: &str = "http = { \"HOST\" }";

/// What the functions that are named after a method have in common.
const METHOD: Function = Function {
    params: &[URL, Field::optional("options", Type::Record(&OPTIONS), "What is sent, and its bounds")],
    returns: Type::Record(&RESPONSE),
    permission: Some(PERMISSION),
    ..Function::DEFAULT
};

const READING: Function =
    Function { params: &[URL, Field::optional("options", Type::Record(&GET), "Headers, query and bounds")], ..METHOD };

pub const MODULE: Module = Module {
    name: "http",
    doc: "Requests to other services. Any status is a response; only what prevents one raises an error. Private, \
          loopback and link-local addresses must be granted by their address, range or internal name.",
    functions: &[
        Function {
            name: "request",
            doc: "Sends a request of any method.",
            params: &[Field::required("request", Type::Record(&REQUEST), "Method, URL, what is sent, and its bounds")],
            call: Call::Async(|context, args| Box::pin(call::request(context, args))),
            ..METHOD
        },
        Function {
            name: "get",
            doc: "Sends a GET request.",
            call: Call::Async(|context, args| Box::pin(call::method(context, args, "GET"))),
            ..READING
        },
        Function {
            name: "head",
            doc: "Sends a HEAD request: the headers without the body.",
            call: Call::Async(|context, args| Box::pin(call::method(context, args, "HEAD"))),
            ..READING
        },
        Function {
            name: "json",
            doc: "Gets JSON and returns it parsed. Raises `http.status` for any status but 2xx, and `http.not_json`.",
            returns: Type::Json,
            call: Call::Async(|context, args| Box::pin(call::json(context, args))),
            ..READING
        },
        Function {
            name: "post",
            doc: "Sends a POST request.",
            call: Call::Async(|context, args| Box::pin(call::method(context, args, "POST"))),
            ..METHOD
        },
        Function {
            name: "put",
            doc: "Sends a PUT request.",
            call: Call::Async(|context, args| Box::pin(call::method(context, args, "PUT"))),
            ..METHOD
        },
        Function {
            name: "patch",
            doc: "Sends a PATCH request.",
            call: Call::Async(|context, args| Box::pin(call::method(context, args, "PATCH"))),
            ..METHOD
        },
        Function {
            name: "delete",
            doc: "Sends a DELETE request.",
            call: Call::Async(|context, args| Box::pin(call::method(context, args, "DELETE"))),
            ..METHOD
        },
    ],
    ..Module::DEFAULT
};
