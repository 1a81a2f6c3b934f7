//! `aegis.secrets`: secrets that scripts use without seeing them.

use std::fmt;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use mlua::{LuaString, MetaMethod, UserData, UserDataFields, UserDataMethods, Value};

use super::{Args, Call, CallContext, Datum, Field, Function, Module, Record, Type};
use crate::base::{ExposeSecret, Fault, SecretString, limits};
use crate::lua::vm::Host;
use crate::primitives::permit;

/// A secret in a script's hands: a name to look at, and a text that only calls which take secrets are given.
#[derive(Clone)]
pub struct Handle {
    name: Arc<str>,
    value: SecretString,
}

impl Handle {
    pub fn new(name: &str, value: SecretString) -> Self {
        Self { name: name.into(), value }
    }

    /// The handle that a Lua value is.
    pub fn of(value: &Value) -> Option<Self> {
        match value {
            Value::UserData(data) => data.borrow::<Self>().ok().map(|handle| handle.clone()),
            _ => None,
        }
    }

    pub fn text(&self) -> &str {
        self.value.expose_secret()
    }

    /// Another text with the secret in it; it belongs to the same name.
    fn with(&self, text: String) -> Self {
        Self { name: self.name.clone(), value: text.into() }
    }
}

impl fmt::Display for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "secret({})", self.name)
    }
}

impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl PartialEq for Handle {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name && self.text() == other.text()
    }
}

/// What a script can ask of a handle with a colon; each is a function of the module, whose first argument is the handle.
const METHODS: [&str; 4] = ["reveal", "bearer", "basic", "wrap"];

impl UserData for Handle {
    fn add_fields<F: UserDataFields<Self>>(fields: &mut F) {
        fields.add_meta_field(MetaMethod::Type, "secret");
    }

    fn add_methods<M: UserDataMethods<Self>>(methods: &mut M) {
        methods.add_meta_method(MetaMethod::ToString, |_, handle, ()| Ok(handle.to_string()));
        methods.add_meta_method(MetaMethod::Index, |lua, handle, key: LuaString| {
            let key = key.to_string_lossy();
            match METHODS.iter().find(|method| **method == key) {
                Some(method) => Host::of(lua)?.secret_method(method),
                None if key == "name" => Ok(Value::String(lua.create_string(&*handle.name)?)),
                None => Ok(Value::Nil),
            }
        });
    }
}

const NAME: Field = Field::required("name", Type::String, "Its name");
const SECRET: Field = Field::required("secret", Type::Held, "What `aegis.secrets.get` gave");

const ENTRY: Record = Record {
    name: "SecretEntry",
    doc: "A secret that this job may use.",
    fields: &[
        Field::required("name", Type::String, "Its name"),
        Field::required("source", Type::String, "environment file, systemd credential, store or openbao"),
        Field::optional("set_at", Type::Time, "When it was set, as far as the source knows"),
        Field::required("reveal", Type::Boolean, "Whether this job may read its text"),
    ],
};

pub const MODULE: Module = Module {
    name: "secrets",
    doc: "Secrets by name, from the sources that the operator has configured under `secrets`. A script gets a value that \
          it can hand to calls which take one (headers, query, form, JSON and body of `aegis.http`, parameters of \
          `aegis.sql`, environment and input of programs, environments of containers, keys of `aegis.hmac`, words of \
          `aegis.redis`), and whose text it does not see: `tostring` gives `secret(NAME)`, JSON and `..` refuse it, and \
          the result of a call that was given one comes back masked.",
    functions: &[
        Function {
            name: "get",
            doc: "A secret to be handed on.",
            params: &[NAME],
            returns: Type::Secret,
            permission: Some("secrets = { \"NAME\" }"),
            call: Call::Async(|context, args| Box::pin(get(context, args))),
            ..Function::DEFAULT
        },
        Function {
            name: "list",
            doc: "The secrets that this job may use, without their values.",
            returns: Type::List(&Type::Record(&ENTRY)),
            call: Call::Sync(|context, _| list(context)),
            ..Function::DEFAULT
        },
        Function {
            name: "reveal",
            doc: "The text of a secret; also `secret:reveal()`. It is masked in logs, results and everything else that \
                  people are shown.",
            params: &[SECRET],
            returns: Type::String,
            permission: Some("secrets = { NAME = \"reveal\" }"),
            call: Call::Sync(reveal),
            ..Function::DEFAULT
        },
        Function {
            name: "bearer",
            doc: "The value of an Authorization header with the secret as its token; also `secret:bearer()`.",
            params: &[SECRET],
            returns: Type::Secret,
            call: Call::Sync(|_, args| wrapped(args, "Bearer ", "")),
            ..Function::DEFAULT
        },
        Function {
            name: "basic",
            doc: "The value of an Authorization header with a user and the secret as the password; also \
                  `secret:basic(user)`.",
            params: &[SECRET, Field::required("user", Type::String, "The user, without a colon")],
            returns: Type::Secret,
            call: Call::Sync(basic),
            ..Function::DEFAULT
        },
        Function {
            name: "wrap",
            doc: "A longer text with the secret in it, such as an address with a password; also \
                  `secret:wrap(before, after)`.",
            params: &[
                SECRET,
                Field::required("before", Type::String, "What stands before it"),
                Field::optional("after", Type::String, "What stands after it"),
            ],
            returns: Type::Secret,
            call: Call::Sync(wrap),
            ..Function::DEFAULT
        },
    ],
    ..Module::DEFAULT
};

async fn get(context: CallContext, args: Args) -> Result<Datum, Fault> {
    let permit = permit::secret(&context.run()?.grants, args.need("name")?)?;
    let found = context.primitives.secrets.get(&permit).await?;
    Ok(Datum::Secret(Handle::new(&found.name, found.value)))
}

fn list(context: &CallContext) -> Result<Datum, Fault> {
    let grants = &context.run()?.grants;
    let listed = context.primitives.secrets.list().into_iter().filter(|entry| entry.hidden_by.is_none());
    let granted = listed.filter(|entry| permit::secret(grants, &entry.name).is_ok());
    let entry = |entry: crate::primitives::secrets::Listed| {
        Datum::record([
            ("reveal", permit::reveal(grants, &entry.name).is_ok().into()),
            ("source", entry.source.as_str().into()),
            ("set_at", entry.at.map_or(Datum::Null, Datum::Time)),
            ("name", entry.name.into()),
        ])
    };
    Ok(Datum::List(granted.map(entry).collect()))
}

fn held(args: &Args) -> Result<&Handle, Fault> {
    match args.get(SECRET.name) {
        Some(Datum::Secret(handle)) => Ok(handle),
        _ => Err(Fault::new("args.missing", "argument \"secret\" is missing")),
    }
}

fn reveal(context: &CallContext, args: &Args) -> Result<Datum, Fault> {
    let handle = held(args)?;
    permit::reveal(&context.run()?.grants, &handle.name)?;
    Ok(Datum::Text(handle.text().to_owned()))
}

fn basic(context: &CallContext, args: &Args) -> Result<Datum, Fault> {
    let (handle, user) = (held(args)?, args.need("user")?);
    if user.contains(':') {
        let message = format!("{}: argument \"user\" has a colon, which ends a user's name there", context.name);
        return Err(Fault::new("args.value", message));
    }
    let text = format!("Basic {}", STANDARD.encode(format!("{user}:{}", handle.text())));
    Ok(Datum::Secret(handle.with(text)))
}

fn wrap(context: &CallContext, args: &Args) -> Result<Datum, Fault> {
    let (before, after) = (args.need("before")?, args.text("after").unwrap_or_default());
    let max = limits::SECRET_VALUE_BYTES_MAX;
    if held(args)?.text().len() + before.len() + after.len() > 2 * max {
        let message = format!("{}: the text around the secret is longer than {max} bytes", context.name);
        return Err(Fault::new("args.size", message));
    }
    wrapped(args, before, after)
}

fn wrapped(args: &Args, before: &str, after: &str) -> Result<Datum, Fault> {
    let handle = held(args)?;
    Ok(Datum::Secret(handle.with(format!("{before}{}{after}", handle.text()))))
}
