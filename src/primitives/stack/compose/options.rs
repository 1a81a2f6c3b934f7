//! What is to be loaded, and with which variables.

use super::files::Entry;
use super::files_path::{clean, join, parent};
use super::include::read_variables;
use super::interpolate::{Environment, truth};
use super::path::Path;
use super::problem::{Kind, Place, Problem};
use super::session::Session;

/// What to load.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// The stack's folder as an absolute path. If it is empty, it is that of the first file.
    pub folder: String,
    /// Compose files, each laid over those before it. If there are none, `COMPOSE_FILE` or the usual names are looked
    /// for in the folder.
    pub files: Vec<String>,
    /// The stack's name. If there is none, `COMPOSE_PROJECT_NAME`, `name` in the files or the folder's name.
    pub name: Option<String>,
    /// Profiles whose services are wanted; `*` for all. If there are none, those of `COMPOSE_PROFILES`.
    pub profiles: Vec<String>,
    /// Files with variables. If there are none, `.env` in the folder.
    pub env_files: Vec<String>,
    /// Variables that win over those of files.
    pub environment: Environment,
    /// What `~` stands for.
    pub home: Option<String>,
}

const NAMES: [&str; 4] = ["compose.yaml", "compose.yml", "docker-compose.yml", "docker-compose.yaml"];
const OVERRIDES: [&str; 4] =
    ["compose.override.yml", "compose.override.yaml", "docker-compose.override.yml", "docker-compose.override.yaml"];

/// The options with everything looked up.
pub(super) struct Found {
    pub folder: String,
    pub files: Vec<(String, Place)>,
    pub environment: Environment,
    pub profiles: Vec<String>,
}

/// Finds files and variables.
pub(super) fn find(options: &Options, session: &mut Session<'_>) -> Result<Found, Problem> {
    let start = start_folder(options);
    let mut environment = options.environment.clone();
    for (name, value) in variables(options, &start, session)? {
        environment.entry(name).or_insert(value);
    }
    let mut folder = start.clone();
    let mut files: Vec<String> = options.files.iter().map(|file| join(&start, file)).collect();
    if files.is_empty()
        && let Some(named) = environment.get("COMPOSE_FILE")
    {
        let separator = environment.get("COMPOSE_PATH_SEPARATOR").filter(|text| !text.is_empty());
        let separator = separator.map_or(":", String::as_str);
        files = named.split(separator).map(|file| join(&start, file)).collect();
        folder = files.first().map_or(folder, |file| parent(file).to_owned());
    }
    if files.is_empty() {
        files = usual_files(&start, session)?;
    }
    let profiles = if options.profiles.is_empty() {
        let named = environment.get("COMPOSE_PROFILES").map_or("", String::as_str);
        named.split(',').map(|name| name.trim().to_owned()).collect()
    } else {
        options.profiles.clone()
    };
    let files = files.into_iter().map(|file| (file.clone(), Place::start(&file))).collect();
    Ok(Found { folder, files, environment, profiles })
}

fn start_folder(options: &Options) -> String {
    match (&options.folder, options.files.first()) {
        (folder, Some(file)) if folder.is_empty() => parent(&clean(file)).to_owned(),
        (folder, _) => clean(folder),
    }
}

fn variables(options: &Options, folder: &str, session: &mut Session<'_>) -> Result<Environment, Problem> {
    let named = options.environment.get("COMPOSE_ENV_FILES").filter(|text| !text.is_empty());
    let files: Vec<String> = if !options.env_files.is_empty() {
        options.env_files.iter().map(|file| join(folder, file)).collect()
    } else if let Some(named) = named {
        named.split(',').map(|file| join(folder, file)).collect()
    } else {
        let is_unwanted = options
            .environment
            .get("COMPOSE_DISABLE_ENV_FILE")
            .is_some_and(|text| text == "1" || truth(text) == Some(true));
        let usual = join(folder, ".env");
        let is_there = !is_unwanted && session.files.entry(&usual) == Some(Entry::File);
        is_there.then_some(usual).into_iter().collect()
    };
    let at = files.first().map_or_else(|| Place::start(folder), |file| Place::start(file));
    read_variables(&files, &options.environment, &at, &Path::ROOT, session)
}

fn usual_files(folder: &str, session: &mut Session<'_>) -> Result<Vec<String>, Problem> {
    let mut found = Vec::new();
    for names in [NAMES, OVERRIDES] {
        let there = names.iter().map(|name| join(folder, name));
        let there: Vec<String> = there.filter(|file| session.files.entry(file) == Some(Entry::File)).collect();
        let Some(first) = there.first() else { break };
        if there.len() > 1 {
            let message = format!("{first} is used, and {} is left out", there[1..].join(", "));
            session.warnings.add(&Place::start(first), &Path::ROOT, message);
        }
        found.push(first.clone());
    }
    if found.is_empty() {
        let message = format!("there is no Compose file in {folder}");
        let remedy = format!("create {}, or name the files", NAMES[0]);
        return Err(Problem::new(Kind::Unreadable, &Place::start(folder), &Path::ROOT, message, remedy));
    }
    Ok(found)
}
