//! A run of the workflow: act with the actions of others replaced, of which the checkout and the build do what
//! theirs do.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::repository::Repository;
use crate::support::peers::peers;
use crate::support::process::preview;

/// Where the actions of others are at home.
const CHECKOUT: &str = "\
name: checkout
description: the head of the user's repository
inputs: { ref: { description: '', default: '' }, persist-credentials: { description: '', default: '' } }
runs:
  using: composite
  steps:
    - shell: bash
      env: { REF: '${{ inputs.ref }}' }
      run: git clone -q '@REPOSITORY@' . && git checkout -q \"$REF\"
";

const BUILD: &str = "\
name: build
description: builds and pushes, to the registry that instances know as ghcr.io
inputs:
  context: { description: '', default: . }
  file: { description: '', default: Dockerfile }
  tags: { description: '', default: '' }
  labels: { description: '', default: '' }
  platforms: { description: '', default: '' }
  push: { description: '', default: '' }
  cache-from: { description: '', default: '' }
  cache-to: { description: '', default: '' }
runs:
  using: composite
  steps:
    - shell: bash
      env:
        CONTEXT: '${{ inputs.context }}'
        FILE: '${{ inputs.file }}'
        TAGS: '${{ inputs.tags }}'
        LABELS: '${{ inputs.labels }}'
      run: |
        unset DOCKER_HOST
        export DOCKER_BUILDKIT=1 DOCKER_CONFIG='@CREDENTIALS@'
        mapfile -t tags < <(sed -n 's|^ghcr.io/|@REGISTRY@/|p' <<<\"$TAGS\")
        mapfile -t labels < <(sed '/^ *$/d' <<<\"$LABELS\")
        '@BUILDER@' build --progress=plain --file \"$FILE\" \"${tags[@]/#/--tag=}\" \"${labels[@]/#/--label=}\" \"$CONTEXT\"
        for tag in \"${tags[@]}\"; do
          '@BUILDER@' push --quiet \"$tag\"
          '@BUILDER@' rmi --no-prune \"$tag\"
        done
";

/// A folder in which the workflow runs.
pub struct Actions {
    folder: tempfile::TempDir,
}

/// How a run ended.
pub struct Run {
    ok: bool,
    pub log: String,
}

impl Run {
    #[track_caller]
    pub fn went(&self, ok: bool) {
        assert_eq!(self.ok, ok, "{}", self.log);
    }

    #[track_caller]
    pub fn says(&self, words: &str) {
        assert!(self.log.contains(words), "no {words}: {}", self.log);
    }

    /// What the run's page shows, as act prints it.
    #[track_caller]
    pub fn summary(&self) -> &str {
        let (_, from) = self.log.split_once("Summary - ").expect("the run has a summary");
        from.split_once("\n[").map_or(from, |(summary, _)| summary)
    }
}

/// A name and its value.
pub type Pair<'a> = (&'a str, String);

impl Actions {
    /// The workflow as a caller of the example has it, with `preview` as it was built.
    pub fn new(repository: &Repository) -> Self {
        let actions = Self { folder: tempfile::tempdir().unwrap() };
        let path = actions.folder.path();
        let with = format!("{{ preview-path: {} }}", preview().display());
        let prepared = actions.shell("act_prepare \"$1\" \"$2\"", &[path.to_str().unwrap(), &with]);
        assert!(prepared.0, "{}", prepared.1);
        let found = actions.shell("builder", &[]);
        assert!(found.0, "{}", found.1);
        let credentials = root().join(".cache/peers/docker-config");
        let checkout = CHECKOUT.replace("@REPOSITORY@", repository.path().to_str().unwrap());
        let build = BUILD
            .replace("@CREDENTIALS@", credentials.to_str().unwrap())
            .replace("@REGISTRY@", &peers().registry)
            .replace("@BUILDER@", found.1.trim());
        fs::write(path.join("stubs/actions/checkout/action.yml"), checkout).unwrap();
        fs::write(path.join("stubs/docker/build-push-action/action.yml"), build).unwrap();
        actions
    }

    /// Lets an event happen.
    pub fn run(
        &self,
        event: &str,
        environment: &[Pair<'_>],
        variables: &[Pair<'_>],
        secrets: &[Pair<'_>],
    ) -> Run {
        let file = self.folder.path().join("event.json");
        fs::write(&file, event).unwrap();
        let mut arguments = vec![self.folder.path().display().to_string(), file.display().to_string()];
        for (option, pairs) in [("--env", environment), ("--var", variables), ("--secret", secrets)] {
            for (name, value) in pairs {
                arguments.extend([option.to_owned(), format!("{name}={value}")]);
            }
        }
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let (ok, log) = self.shell("act_run \"$@\"", &arguments);
        Run { ok, log }
    }

    /// A line of bash with the project's own functions.
    fn shell(&self, line: &str, arguments: &[&str]) -> (bool, String) {
        let script = format!(
            "set -euo pipefail; for part in common python install act; do . \"$0/scripts/lib/$part.sh\"; done; {line}"
        );
        let output = Command::new("bash").arg("-c").arg(script).arg(root()).args(arguments).output().unwrap();
        let text = [output.stdout, output.stderr].concat();
        (output.status.success(), String::from_utf8_lossy(&text).into_owned())
    }

    /// The workflow that act reads is the project's own but for what act does not know.
    pub fn is_the_projects_own(&self) {
        let prepared = self.folder.path().join("agent");
        let own = fs::read_to_string(root().join(".github/workflows/preview.yml")).unwrap();
        let known: String = own
            .lines()
            .filter(|line| line.trim() != "queue: max")
            .map(|line| line.replace("uses: $/action", "uses: OWNER/preview-agent/action@v1") + "\n")
            .collect();
        assert_eq!(fs::read_to_string(prepared.join(".github/workflows/preview.yml")).unwrap(), known);
        for file in ["action.yml", "fetch"] {
            let read = |folder: &Path| fs::read(folder.join("action").join(file)).unwrap();
            assert_eq!(read(&prepared), read(&root()), "{file}");
        }
        let mode = fs::metadata(preview()).unwrap().permissions().mode();
        assert_ne!(mode & 0o111, 0, "the program itself, not a script");
    }
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}
