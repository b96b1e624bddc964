//! Reads settings from a file, or from the variables alone.

use preview_agent::config::yaml::{self, Content, Node};
use preview_agent::config::{Error, Field, Findings, Problem};

use super::agent::problems;
use super::model::Settings;
use super::schema;
use super::variables::Variables;
use crate::names::Repository;

/// The file of the settings in a repository.
pub const FILE: &str = "preview.yaml";

/// Reads and checks a file as a whole.
///
/// # Errors
/// Each mistake, with line and field.
pub fn read(
    file: &str,
    text: &str,
    repository: &Repository,
    variables: &Variables,
) -> Result<Settings, Error> {
    let findings = Findings::default();
    let settings = match yaml::read(text).and_then(|root| with_agent(root, repository, variables)) {
        Ok(root) => schema::settings(&Field::root(&root, &findings), repository, variables, file),
        Err(problem) => {
            findings.add(problem);
            None
        }
    };
    let mut problems = problems(findings);
    problems.sort_by_key(|problem| (problem.line, problem.column));
    match settings {
        Some(settings) if problems.is_empty() => Ok(settings),
        _ => Err(Error::Invalid { file: file.to_owned(), problems }),
    }
}

/// Adds the handbook's deployment and its secrets to a file without `agent`.
fn with_agent(mut root: Node, repository: &Repository, variables: &Variables) -> Result<Node, Problem> {
    let Content::Map(entries) = &mut root.content else { return Ok(root) };
    if entries.iter().any(|entry| entry.key == "agent") {
        return Ok(root);
    }
    let usual = yaml::read(&handbook(repository, variables))?;
    if let Content::Map(usual) = usual.content {
        let (agent, secrets): (Vec<_>, Vec<_>) = usual.into_iter().partition(|entry| entry.key == "agent");
        entries.extend(agent);
        match (entries.iter_mut().find(|entry| entry.key == "secrets"), secrets.into_iter().next()) {
            (Some(own), Some(usual)) => {
                if let (Content::Map(own), Content::Map(usual)) =
                    (&mut own.value.content, usual.value.content)
                {
                    let known: Vec<String> = own.iter().map(|entry| entry.key.clone()).collect();
                    own.extend(usual.into_iter().filter(|entry| !known.contains(&entry.key)));
                }
            }
            (None, usual) => entries.extend(usual),
            (Some(_), None) => {}
        }
    }
    Ok(root)
}

/// The settings of a repository without a file, from the handbook's variables and secrets.
///
/// # Errors
/// The variables that are not set.
pub fn without_file(repository: &Repository, variables: &Variables) -> Result<Settings, Error> {
    let lacking = ["SUBNET_ID", "SG_ID", "INSTANCE_PROFILE"];
    let problems: Vec<Problem> = lacking
        .iter()
        .filter(|name| variables.get(name).is_none())
        .map(|name| Problem {
            line: 1,
            column: 1,
            field: (*name).to_owned(),
            message: format!("not set, and the repository has no {FILE} that sets it"),
        })
        .collect();
    if !problems.is_empty() {
        return Err(Error::Invalid { file: "variables and secrets".to_owned(), problems });
    }
    read("variables and secrets", &handbook(repository, variables), repository, variables)
}

/// The handbook's deployment as a file: image and source of the commit, the database's URL, `SENTRY_DSN`.
fn handbook(repository: &Repository, variables: &Variables) -> String {
    let image =
        variables.text("PREVIEW_IMAGE").unwrap_or_else(|| format!("ghcr.io/{repository}")).to_lowercase();
    let host = image.split('/').next().unwrap_or_default();
    let optional = [("ghcr-token", "GHCR_TOKEN"), ("sentry-dsn", "STG_SENTRY_DSN")];
    let mut secrets = "secrets:\n  database-url: STG_DATABASE_URL\n".to_owned();
    for (name, variable) in optional {
        secrets += &format!("  {name}: {{ env: {variable}, optional: true }}\n");
    }
    let user = variables.text("GHCR_USERNAME").unwrap_or_else(|| "x-access-token".to_owned());
    let user = serde_json::Value::from(user);
    let token = "{ ssm: \"${secret.ghcr-token}\", optional: true }";
    format!(
        "{secrets}agent:\n  image: \"{image}:${{sha}}\"\n  registries:\n    {host}: {{ username: {user}, \
         password: {token} }}\n  source: {{ repository: {repository}, ref: \"${{sha}}\", token: {token} }}\n  \
         database: {{ url: {{ ssm: \"${{secret.database-url}}\" }} }}\n  app:\n    env:\n      SENTRY_DSN: {{ ssm: \
         \"${{secret.sentry-dsn}}\", optional: true }}\n      ENVIRONMENT: preview\n"
    )
}
