//! `aegis.stack`: stacks of containers that the configuration names.

mod calls;
mod records;
mod rollout;

use super::docker::results::EXECUTED;
use super::{Call, Field, Function, Module, Type};
use records::{DOWN, EXEC, LINE, LOGS, MEMBER, OUTCOME, PLAN, PLANNED, PULLED, RESTART, SERVICES, UP};
use rollout::{MADE, MAKE, PREPARE, STANDING};

const READ: &str = "stack = { NAME }, docker = \"read\"";
const WRITE: &str = "stack = { NAME }, docker = \"write\"";
const ADMIN: &str = "stack = { NAME }, docker = \"admin\"";
const STACK: Field = Field::required("stack", Type::String, "Its name in the configuration");

const LOOK: Function = Function { permission: Some(READ), ..Function::DEFAULT };
const CHANGE: Function = Function { permission: Some(WRITE), ..Function::DEFAULT };

pub const MODULE: Module = Module {
    name: "stack",
    doc: "Stacks of containers from Compose files, as the operator has named them under `stacks`. The job is granted the \
          stack by name, and through `docker` what its containers, networks and volumes are called: `{ write = { \
          \"shop-*\", \"shop_*\" } }` for a stack shop, `admin` where its files reach the host.",
    functions: &[
        Function {
            name: "names",
            doc: "The stacks that the job was granted.",
            returns: Type::List(&Type::String),
            call: Call::Async(|context, _| Box::pin(calls::names(context))),
            ..LOOK
        },
        Function {
            name: "config",
            doc: "What a stack's files come to, as Compose shows it. Values of environments are hidden from whoever has \
                  less than docker = \"admin\".",
            params: &[STACK],
            returns: Type::Json,
            call: Call::Async(|context, args| Box::pin(calls::config(context, args))),
            ..LOOK
        },
        Function {
            name: "plan",
            doc: "What `up` would do, and why.",
            params: &[STACK, Field::optional("options", Type::Record(&PLANNED), "Which services, and how far")],
            returns: Type::Record(&PLAN),
            call: Call::Async(|context, args| Box::pin(calls::plan(context, args))),
            ..LOOK
        },
        Function {
            name: "up",
            doc: "Brings a stack to what its files say: fetches and builds images that are missing, makes networks and \
                  volumes, and makes, makes anew and starts containers, each when those that it waits for are there. \
                  What is so already stays.",
            params: &[STACK, Field::optional("options", Type::Record(&UP), "Which services, and how far")],
            returns: Type::Record(&OUTCOME),
            call: Call::Async(|context, args| Box::pin(calls::up(context, args))),
            ..CHANGE
        },
        Function {
            name: "down",
            doc: "Takes a stack away: its containers and networks, and with `volumes` its volumes.",
            params: &[STACK, Field::optional("options", Type::Record(&DOWN), "How far")],
            returns: Type::Record(&OUTCOME),
            call: Call::Async(|context, args| Box::pin(calls::down(context, args))),
            ..CHANGE
        },
        Function {
            name: "rollout",
            doc: "The run that deploys a stack at the moment, on whichever daemon; nil when none does, or the caller. As \
                  long as there is one, `up`, `down` and `restart` of others are `stack.busy`.",
            params: &[STACK],
            returns: Type::Optional(&Type::String),
            call: Call::Async(|context, args| Box::pin(calls::rollout(context, args))),
            ..LOOK
        },
        Function {
            name: "services",
            doc: "A stack's services in the order in which they start, and how each may be replaced.",
            params: &[STACK],
            returns: Type::List(&Type::Record(&STANDING)),
            call: Call::Async(|context, args| Box::pin(calls::services(context, args))),
            ..LOOK
        },
        Function {
            name: "prepare",
            doc: "Fetches and builds images that are missing, and makes networks and volumes; containers stay as they \
                  are. A network that would have to be made anew is `stack.network_changed`.",
            params: &[STACK, Field::optional("options", Type::Record(&PREPARE), "How far")],
            returns: Type::Record(&OUTCOME),
            call: Call::Async(|context, args| Box::pin(calls::prepare(context, args))),
            ..CHANGE
        },
        Function {
            name: "create",
            doc: "Makes one container of a service as the files say, and does not start it. Rollouts are made of this; \
                  `up` does all of it by itself.",
            params: &[
                STACK,
                Field::required("service", Type::String, "Its name in the files"),
                Field::optional("options", Type::Record(&MAKE), "Which one, and what it has besides"),
            ],
            returns: Type::Record(&MADE),
            call: Call::Async(|context, args| Box::pin(calls::create(context, args))),
            ..CHANGE
        },
        Function {
            name: "ps",
            doc: "A stack's containers, running or not; of one that a swarm runs the last task of each place.",
            params: &[STACK],
            returns: Type::List(&Type::Record(&MEMBER)),
            call: Call::Async(|context, args| Box::pin(calls::ps(context, args))),
            ..LOOK
        },
        Function {
            name: "logs",
            doc: "What a stack's containers printed, by time.",
            params: &[STACK, Field::optional("options", Type::Record(&LOGS), "Which lines")],
            returns: Type::List(&Type::Record(&LINE)),
            call: Call::Async(|context, args| Box::pin(calls::logs(context, args))),
            ..LOOK
        },
        Function {
            name: "pull",
            doc: "Fetches the images of a stack; those that are built here are left out. `up` then makes the containers \
                  anew whose image is another one.",
            params: &[STACK, Field::optional("options", Type::Record(&SERVICES), "Which services")],
            returns: Type::List(&Type::Record(&PULLED)),
            call: Call::Async(|context, args| Box::pin(calls::pull(context, args))),
            ..CHANGE
        },
        Function {
            name: "build",
            doc: "Builds the images of a stack. A build runs whatever the Dockerfile says: it needs docker = \"write\" \
                  on everything.",
            params: &[STACK, Field::optional("options", Type::Record(&SERVICES), "Which services")],
            returns: Type::List(&Type::Record(&PULLED)),
            call: Call::Async(|context, args| Box::pin(calls::build(context, args))),
            ..CHANGE
        },
        Function {
            name: "restart",
            doc: "Stops a stack's containers and starts them again; gives their names.",
            params: &[
                STACK,
                Field::optional("options", Type::Record(&RESTART), "Which services, and how patient to be"),
            ],
            returns: Type::List(&Type::String),
            call: Call::Async(|context, args| Box::pin(calls::restart(context, args))),
            ..CHANGE
        },
        Function {
            name: "exec",
            doc: "Runs a command in a container of a service and gives its output. An exit code other than 0 is a \
                  result, not an error.",
            params: &[
                STACK,
                Field::required("service", Type::String, "Its name in the files"),
                Field::required("options", Type::Record(&EXEC), "What is run"),
            ],
            returns: Type::Record(&EXECUTED),
            permission: Some(ADMIN),
            call: Call::Async(|context, args| Box::pin(calls::exec(context, args))),
            ..LOOK
        },
    ],
    ..Module::DEFAULT
};
