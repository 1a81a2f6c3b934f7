//! Permits for what the configuration or a tenant names: each name up to a level. Made here only, for [`super::permit`].

use std::collections::BTreeMap;

use super::denied::Denied;
use super::permit::lua_key;
use super::reach::Reach;
use crate::model::Grants;
use crate::model::grants::{Access, Origin, matches};

/// The level that the patterns give on a name; None when none of them covers it.
pub(super) fn level_on(levels: &BTreeMap<String, Access>, name: &str) -> Option<Access> {
    levels.iter().filter(|(pattern, _)| matches(pattern, name)).map(|(_, access)| *access).max()
}

/// May reach a named source of the configuration, up to a level.
#[derive(Debug, Clone)]
pub struct SourcePermit {
    area: &'static str,
    source: String,
    /// Of the script's own table, then of each bound.
    layers: Vec<SourceLayer>,
    reach: Reach,
}

#[derive(Debug, Clone)]
struct SourceLayer {
    granted: BTreeMap<String, Access>,
    origin: Option<Origin>,
}

/// May read from a Redis source; [`SourcePermit::check`] for more.
pub fn redis(grants: &Grants, source: &str) -> Result<SourcePermit, Denied> {
    source_permit("redis", grants, |grants| &grants.redis, source)
}

/// May read the graphs of a source; [`SourcePermit::check`] for more.
pub fn graph(grants: &Grants, source: &str) -> Result<SourcePermit, Denied> {
    source_permit("graph", grants, |grants| &grants.graph, source)
}

/// May look at a load balancer; [`SourcePermit::check`] for more.
pub fn proxy(grants: &Grants, name: &str) -> Result<SourcePermit, Denied> {
    let layers = source_layers(grants, |grants| &grants.proxy);
    let permit = SourcePermit { area: "proxy", source: name.to_owned(), layers, reach: Reach::default() };
    permit.check(Access::Read, &format!("looking at the proxy {name:?}"))?;
    Ok(permit)
}

fn source_permit(
    area: &'static str,
    grants: &Grants,
    levels: fn(&Grants) -> &BTreeMap<String, Access>,
    source: &str,
) -> Result<SourcePermit, Denied> {
    let layers = source_layers(grants, levels);
    let permit = SourcePermit { area, source: source.to_owned(), layers, reach: Reach::default() };
    permit.check(Access::Read, &format!("the {area} source {source:?}"))?;
    Ok(permit)
}

fn source_layers(grants: &Grants, levels: fn(&Grants) -> &BTreeMap<String, Access>) -> Vec<SourceLayer> {
    let own = SourceLayer { granted: levels(grants).clone(), origin: None };
    let caps = grants.caps.iter();
    let caps = caps.map(|cap| SourceLayer { granted: levels(&cap.grants).clone(), origin: Some(cap.origin.clone()) });
    std::iter::once(own).chain(caps).collect()
}

/// The first layer that does not reach so far on that name.
fn missing<'a>(layers: &'a [SourceLayer], name: &str, access: Access) -> Option<&'a SourceLayer> {
    layers.iter().find(|layer| level_on(&layer.granted, name) < Some(access))
}

impl SourceLayer {
    fn denied(&self, area: &str, name: &str, access: Access, what: &str) -> Denied {
        let mut levels = self.granted.clone();
        levels.insert(name.to_owned(), access);
        let shown: Vec<_> =
            levels.iter().map(|(name, level)| format!("{} = \"{}\"", lua_key(name), level.as_str())).collect();
        let denied = Denied::new(what, format!("{area} = {{ {} }}", shown.join(", ")));
        match &self.origin {
            Some(origin) => denied.by(origin),
            None => denied,
        }
    }
}

impl SourcePermit {
    /// The same, noting in `reach` what it is used for.
    #[must_use]
    pub fn noting(self, reach: &Reach) -> Self {
        Self { reach: reach.clone(), ..self }
    }

    pub fn source(&self) -> &str {
        &self.source
    }

    pub fn reaches(&self, access: Access) -> bool {
        self.missing(access).is_none()
    }

    fn missing(&self, access: Access) -> Option<&SourceLayer> {
        missing(&self.layers, &self.source, access)
    }

    /// May act at `access`; `what` begins the denial.
    pub fn check(&self, access: Access, what: &str) -> Result<(), Denied> {
        let Some(layer) = self.missing(access) else {
            self.reach.note(access);
            return Ok(());
        };
        Err(layer.denied(self.area, &self.source, access, what))
    }
}

/// May touch the volumes that the grant's patterns cover, each up to a level.
#[derive(Debug, Clone)]
pub struct VolumesPermit {
    layers: Vec<SourceLayer>,
}

/// Always gives a permit; one without patterns reaches nothing.
pub fn volumes(grants: &Grants) -> VolumesPermit {
    VolumesPermit { layers: source_layers(grants, |grants| &grants.volumes) }
}

impl VolumesPermit {
    /// May act at `access` on the volume of that name.
    pub fn check(&self, access: Access, name: &str) -> Result<(), Denied> {
        match missing(&self.layers, name, access) {
            Some(layer) => Err(layer.denied("volumes", name, access, &format!("the volume {name:?}"))),
            None => Ok(()),
        }
    }

    pub fn covers(&self, access: Access, name: &str) -> bool {
        missing(&self.layers, name, access).is_none()
    }
}
