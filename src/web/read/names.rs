//! The closed sets of words in answers, as schemas. The words come from the model, so that they cannot drift apart.

use std::borrow::Cow;

use utoipa::openapi::schema::{ObjectBuilder, Type};
use utoipa::openapi::{RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

use crate::model::{LogLevel, OccurrenceState, Role, RunState, TriggerKind};

macro_rules! names {
    ($name:ident, $of:ident) => {
        #[derive(Debug)]
        pub struct $name;

        impl PartialSchema for $name {
            fn schema() -> RefOr<Schema> {
                let words = $of::ALL.map(|word| word.as_str());
                ObjectBuilder::new().schema_type(Type::String).enum_values(Some(words)).into()
            }
        }

        impl ToSchema for $name {
            fn name() -> Cow<'static, str> {
                stringify!($of).into()
            }
        }
    };
}

names!(RunStateName, RunState);
names!(TriggerKindName, TriggerKind);
names!(OccurrenceStateName, OccurrenceState);
names!(LogLevelName, LogLevel);
names!(RoleName, Role);
