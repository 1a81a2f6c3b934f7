//! The environment of a container: files first, then the table.

use std::collections::BTreeMap;

use super::options::CreateOptions;
use crate::base::limits;
use crate::primitives::docker::error::DockerError;

/// `NAME=value`, sorted by name.
pub(super) async fn resolve(options: &CreateOptions) -> Result<Vec<String>, DockerError> {
    let mut all = BTreeMap::new();
    for path in &options.env_file.0 {
        let bad = |problem: String| DockerError::invalid("env_file", format!("{path}: {problem}"));
        let size = tokio::fs::metadata(path).await.map_err(|error| bad(error.to_string()))?.len();
        if size > limits::DOCKER_ENV_FILE_BYTES_MAX {
            return Err(bad(format!("it is larger than {} bytes", limits::DOCKER_ENV_FILE_BYTES_MAX)));
        }
        let text = tokio::fs::read_to_string(path).await.map_err(|error| bad(error.to_string()))?;
        all.extend(parse(&text).map_err(bad)?);
    }
    all.extend(options.environment.0.clone());
    for name in all.keys() {
        if name.is_empty() || name.contains(['=', '\0']) {
            return Err(DockerError::invalid("environment", format!("{name:?} is not the name of a variable")));
        }
    }
    Ok(all.into_iter().map(|(name, value)| format!("{name}={value}")).collect())
}

/// Lines of `NAME=value`; `#` starts a comment line; one pair of quotes around a value is taken off, as Compose does.
fn parse(text: &str) -> Result<BTreeMap<String, String>, String> {
    let mut pairs = BTreeMap::new();
    for (index, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let line = line.strip_prefix("export ").unwrap_or(line);
        let Some((name, value)) = line.split_once('=') else {
            return Err(format!("line {}: expected NAME=value", index + 1));
        };
        let value = value.trim();
        let quoted = |quote: char| value.strip_prefix(quote).and_then(|rest| rest.strip_suffix(quote));
        pairs.insert(name.trim().to_owned(), quoted('"').or_else(|| quoted('\'')).unwrap_or(value).to_owned());
    }
    Ok(pairs)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn files_parse() {
        let text = "# comment\nA=1\n\nexport B = two words \nC=\"quoted # not a comment\"\nD='x'\nE=\n";
        let pairs = parse(text).expect("pairs");
        let shown: Vec<_> = pairs.iter().map(|(name, value)| format!("{name}={value}")).collect();
        assert_eq!(shown, ["A=1", "B=two words", "C=quoted # not a comment", "D=x", "E="]);
        assert_eq!(parse("A=1\nnonsense"), Err("line 2: expected NAME=value".into()));
    }

    #[tokio::test]
    async fn the_table_wins_over_files() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("app.env");
        std::fs::write(&path, "A=file\nB=file\n").expect("written");
        let options = |file: &std::path::Path| -> CreateOptions {
            serde_json::from_value(json!({"image": "web", "env_file": file, "environment": {"A": "table"}}))
                .expect("options")
        };
        assert_eq!(resolve(&options(&path)).await.ok(), Some(vec!["A=table".into(), "B=file".into()]));
        let missing = resolve(&options(&folder.path().join("none"))).await;
        assert!(missing.is_err_and(|error| error.to_string().contains("none: No such file")));
    }
}
