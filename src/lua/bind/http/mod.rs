//! `aegis.http`: requests to the hosts that the job was granted.

mod call;
mod flow;
mod spec;

use super::{Call, Datum, Field, Function, Module, Type};
use spec::{DOWNLOAD, DOWNLOADED, GET, OPTIONS, REQUEST, RESPONSE, STREAM, STREAMED};

const URL: Field = Field::required("url", Type::String, "http:// or https://");
const NUMBER: Field = Field::required("number", Type::Integer, "What it was opened as");
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
        Function {
            name: "download",
            doc: "Fetches something into a file of a granted fs root, which is put in its place when all of it is there. \
                  How far it is shows as the run's progress. Raises `http.status` for any status but 2xx.",
            params: &[
                URL,
                Field::required("path", Type::String, "ROOT:relative/path"),
                Field::optional("options", Type::Record(&DOWNLOAD), "How"),
            ],
            returns: Type::Record(&DOWNLOADED),
            permission: Some("http = { \"HOST\" }, fs = { ROOT = \"write\" }"),
            call: Call::Async(|context, args| Box::pin(flow::download(context, args))),
            ..Function::DEFAULT
        },
        Function {
            name: "stream",
            doc: "Reads an answer while it arrives: `for piece in aegis.http.stream { url = …, by = \"lines\" } do`. A piece is \
                  text, or with `by = \"events\"` a table of event, data and id. What it returns has status, ok, headers \
                  and url, and is closed by `stream:close()`, at its end, and with the run.",
            params: &[Field::required("request", Type::Record(&STREAM), "What is asked for")],
            returns: Type::Any,
            call: Call::Prelude,
            ..METHOD
        },
        Function {
            name: "open",
            doc: "Opens an answer for reading and returns its head. Prefer `stream`.",
            params: &[Field::required("request", Type::Record(&STREAM), "What is asked for")],
            returns: Type::Record(&STREAMED),
            call: Call::Async(|context, args| Box::pin(flow::open(context, args))),
            ..METHOD
        },
        Function {
            name: "read",
            doc: "What has arrived of an open answer, waiting for it if need be; an empty list at its end.",
            params: &[NUMBER],
            returns: Type::List(&Type::OneOf(&[Type::Bytes, Type::Json])),
            call: Call::Async(|context, args| Box::pin(flow::read(context, args))),
            ..METHOD
        },
        Function {
            name: "close",
            doc: "Closes an open answer. Closing one twice is no error.",
            params: &[NUMBER],
            returns: Type::Nothing,
            call: Call::Sync(|context, args| {
                context.streams.remove(args.integer("number").unwrap_or_default());
                Ok(Datum::Null)
            }),
            ..METHOD
        },
    ],
    ..Module::DEFAULT
};
