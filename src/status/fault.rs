//! The closed list of faults: every failure a user can meet, its class,
//! whether another try can help, and what to do about it.

use super::names::named;
use crate::redact::plain;

named! {
    /// Whose fault it is.
    Class {
        /// The configuration file or a value it names.
        Config "config",
        /// The image registry.
        Registry "registry",
        /// The source host (GitHub).
        Source "source",
        /// The image build.
        Build "build",
        /// The database server or the way to it.
        Database "database",
        /// A job or the migration.
        Migration "migration",
        /// The application.
        App "app",
        /// The network between the instance and a service.
        Network "network",
        /// A permission of the instance's role.
        Iam "iam",
        /// Disk space.
        Disk "disk",
        /// The Docker Engine.
        Docker "docker",
        /// The instance or its metadata service.
        Instance "instance",
        /// The agent itself.
        Agent "agent",
    }
}

/// A failure on its way to the status: the code with what was seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// Which entry of the list.
    pub code: Code,
    /// What happened and where, redacted, without a trailing full stop.
    pub message: String,
    /// Tries made.
    pub attempts: u32,
    /// The last output of what failed, redacted; empty where there is none.
    pub tail: String,
}

impl Fault {
    /// A fault after one try, without output. What others said in the message cannot drive a terminal.
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        let message = without_errno(plain(&message.into()).into_owned());
        Self { code, message, attempts: 1, tail: String::new() }
    }

    /// The same fault with its count of tries.
    #[must_use]
    pub fn after(self, attempts: u32) -> Self {
        Self { attempts, ..self }
    }

    /// The same fault with the last output of what failed.
    #[must_use]
    pub fn with_tail(self, tail: impl Into<String>) -> Self {
        Self { tail: tail.into(), ..self }
    }
}

/// The message without the numbers that Rust's I/O errors end in: `Connection refused (os error 111)`.
fn without_errno(mut message: String) -> String {
    while let Some(begin) = message.find(" (os error ") {
        let Some(length) = message[begin..].find(')') else { break };
        message.replace_range(begin..=begin + length, "");
    }
    message
}

/// Declares the list once: variants, wire names and table rows from the same lines.
macro_rules! faults {
    ($($variant:ident $name:literal $class:ident $retryable:literal $hint:literal)+) => {
        named! {
            /// A fault's stable code.
            Code { $(#[doc = $hint] $variant $name,)+ }
        }

        impl Code {
            /// Whose fault it is.
            #[must_use]
            pub const fn class(self) -> Class {
                match self { $(Code::$variant => Class::$class),+ }
            }

            /// Whether the same attempt may succeed later with nothing changed by hand.
            #[must_use]
            pub const fn retryable(self) -> bool {
                match self { $(Code::$variant => $retryable),+ }
            }

            /// What to do about it.
            #[must_use]
            pub const fn hint(self) -> &'static str {
                match self { $(Code::$variant => $hint),+ }
            }
        }
    };
}

faults! {
    ConfigInvalid "config_invalid" Config false "Write or correct the file; `agent check` names every line that is wrong."
    BootstrapFailed "bootstrap_failed" Instance false "Read the console output of the instance, correct the User Data and launch anew."
    StateUnusable "state_unusable" Instance true "Free the disk, or make the folder writable for the agent: its file system, its owner, and that it is a folder."
    ImdsUnreachable "imds_unreachable" Instance true "Check that the metadata service is enabled; inside a container raise the response hop limit to 2."
    ImdsForbidden "imds_forbidden" Instance false "Enable the instance metadata service (HttpEndpoint=enabled) for this instance."
    ParameterMissing "parameter_missing" Config false "Create the parameter or correct its name; parameters are per region and account."
    ParameterDenied "parameter_denied" Iam false "Allow the named action on the named resource in the instance role's policy."
    AwsCredentials "aws_credentials" Iam true "Attach an instance profile to the instance; a new one takes a minute to appear."
    ParametersUnreachable "parameters_unreachable" Network true "Check the route to the SSM endpoint: internet gateway, NAT or VPC endpoint, and its security group."
    SecretFieldMissing "secret_field_missing" Config false "Correct `key`, or store the secret as a JSON object with that field."
    CredentialMissing "credential_missing" Config false "Provide the file, environment variable or systemd credential, or mark the value optional."
    ImageNameInvalid "image_name_invalid" Config false "Write the image as host/owner/name:tag or host/owner/name@sha256:digest."
    RegistryDenied "registry_denied" Registry false "Give the token read:packages and access to this package; or set `source` to build from the commit."
    ImageNotFound "image_not_found" Registry false "Push the image, correct the tag, or set `source` to build from the commit."
    RegistryThrottled "registry_throttled" Registry true "Wait, or log in: anonymous pulls are limited per address."
    RegistryUnreachable "registry_unreachable" Network true "Check the route, DNS and security group egress from this instance to the registry."
    PullStalled "pull_stalled" Network true "The registry sent nothing for a minute; check the network."
    PullFailed "pull_failed" Registry true "If another run fails so too, the image at the registry is damaged: push it anew."
    ArchMismatch "arch_mismatch" Registry false "Build the image for this instance's architecture, or use a matching instance type."
    DiskFull "disk_full" Disk false "Enlarge the volume or remove unused images (`docker system df`)."
    SourceNotFound "source_not_found" Source false "Correct repository and ref; a private repository without access looks absent too."
    SourceDenied "source_denied" Source false "Renew the GitHub token; it needs Contents: read on the repository."
    SourceRateLimited "source_rate_limited" Source true "Set `source.token`: anonymous requests are limited to 60 an hour per address."
    SourceUnreachable "source_unreachable" Network true "Check the route, DNS and security group egress from this instance to the source host."
    SourceCorrupt "source_corrupt" Source true "The archive was damaged or not the commit asked for; another run downloads it again."
    SourceUnsafe "source_unsafe" Source false "Remove the named link, path or file from the repository, or list it in .dockerignore."
    SourceTooLarge "source_too_large" Source false "Keep large files out of the repository (.gitattributes export-ignore), or push an image instead."
    DockerfileMissing "dockerfile_missing" Build false "Correct `source.context` and `source.dockerfile`."
    BuildFailed "build_failed" Build false "Read the tail or `agent logs build`; the same Dockerfile fails on any machine."
    BuildKilled "build_killed" Build false "Most often the instance has too little memory: use a larger one, or push a built image; `journalctl -k` tells."
    BuildTimeout "build_timeout" Build false "Speed the build up, raise `deadlines.build`, or push a built image."
    DockerUnavailable "docker_unavailable" Docker true "Start Docker (`systemctl start docker`) and look at `journalctl -u docker`."
    DockerTooOld "docker_too_old" Docker false "Install Docker Engine 20.10 or newer."
    DockerFailed "docker_failed" Docker true "Docker refused a request; look at `journalctl -u docker`."
    DatabaseUrlInvalid "database_url_invalid" Config false "Percent-encode user and password (`@` is %40, `:` is %3A, `/` is %2F), or give the parts instead of the URL."
    DatabaseDns "database_dns" Database true "Correct the host name; check the VPC's DNS settings."
    DatabaseRefused "database_refused" Database true "Start the database; check its port and listen_addresses."
    DatabaseTimeout "database_timeout" Database true "Allow this instance's security group on the database's port; check the route."
    DatabaseAuth "database_auth" Database false "Correct user, password and `sslmode`; check pg_hba.conf for this instance's address."
    DatabaseMissing "database_missing" Database false "Create the database, or correct its name in `database`."
    DatabaseTooManyConnections "database_too_many_connections" Database true "Close idle connections or raise max_connections."
    DatabaseNotReady "database_not_ready" Database true "Wait until the server takes connections; its own log says what it is at."
    DatabaseTls "database_tls" Database false "Set `sslmode` in the database URL to what the server has: `require` where it wants TLS, `disable` where it has none."
    DatabaseReadOnly "database_read_only" Database true "Name the primary: its own endpoint, or all hosts with `target_session_attrs=read-write`; or lift default_transaction_read_only."
    MigrationFailed "migration_failed" Migration false "Read the tail or `agent logs migrate`; correct the migration and deploy again."
    MigrationCommandMissing "migration_command_missing" Migration false "Install the command in the image, or correct `migrate.command`."
    MigrationMultipleHeads "migration_multiple_heads" Migration false "Merge the heads: `alembic merge heads`, commit, and deploy again."
    MigrationRevisionUnknown "migration_revision_unknown" Migration false "The database is at a revision this image does not have: another branch may have migrated it. Deploy that branch, or reset the database."
    MigrationLocked "migration_locked" Migration true "Wait for the migration of the other host to end, or end its session; `migrate.lock: off` does without."
    SchemaAhead "schema_ahead" Migration false "Deploy an image that has the database's revision, or set `migrate.ahead: allow`."
    MigrationTimeout "migration_timeout" Migration false "End what holds the lock that it waits for, set lock_timeout in the migration, or raise `migrate.timeout`."
    JobFailed "job_failed" Migration false "Read the tail or `agent logs migrate`; correct the job and deploy again."
    PortInUse "port_in_use" App false "Stop what holds the port, or change `app.publish`."
    AppExited "app_exited" App false "Read the tail or `agent logs app`; a reload deploys it again."
    AppOomKilled "app_oom_killed" App false "Raise `app.memory` or use a larger instance."
    AppCrashLoop "app_crash_loop" App false "Read the tail or `agent logs app`; Docker keeps restarting it."
    AppRemoved "app_removed" App false "Reload the agent to deploy it again."
    HealthTimeout "health_timeout" App false "Check that the application listens on 0.0.0.0 at `app.port`, or raise `deadlines.health` if it starts slowly."
    HealthStatus "health_status" App false "Read `agent logs app`; the path answered with an error status."
    HealthUnhealthy "health_unhealthy" App false "The application says it is unhealthy; the message has its answer."
    RelationMissing "relation_missing" Migration false "A table is missing: run the migration or an init job before the app (`jobs`, `migrate`)."
    CaCertificatesMissing "ca_certificates_missing" Instance false "Install the package ca-certificates."
    ClockSkew "clock_skew" Instance true "Set the clock: `chronyc makestep`; AWS refuses requests more than 5 minutes off."
    AlreadyRunning "already_running" Agent true "Another agent runs on this instance; use `systemctl reload preview-agent`."
    DeadlineExceeded "deadline_exceeded" Agent false "The run's time was up in the named phase; mend what is slow there or raise `deadline`."
    Interrupted "interrupted" Agent true "Start the agent again to go on; a migration that still runs is waited for."
    Internal "internal" Agent false "This is a defect of the agent; please report it with `agent logs agent`."
}

/// The list as a Markdown table, for the README.
#[must_use]
pub fn markdown_table() -> String {
    let mut table = String::from("| code | class | may pass by itself | what to do |\n|---|---|---|---|\n");
    for code in Code::ALL {
        let retryable = if code.retryable() { "yes" } else { "no" };
        table.push_str(&format!(
            "| `{}` | {} | {retryable} | {} |\n",
            code.name(),
            code.class(),
            code.hint()
        ));
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_serialises_to_its_name() {
        for code in Code::ALL {
            assert_eq!(serde_json::to_value(code).unwrap(), code.name());
        }
    }

    #[test]
    fn numbers_of_the_system_are_left_out() {
        let fault = Fault::new(Code::DatabaseRefused, "db:1: refused (os error 111), db:2: (os error 1");
        assert_eq!(fault.message, "db:1: refused, db:2: (os error 1");
    }

    #[test]
    fn hints_are_sentences_that_fit_the_status() {
        for code in Code::ALL {
            let hint = code.hint();
            assert!(hint.ends_with('.') && hint.len() <= 160, "{}: {} bytes", code.name(), hint.len());
        }
    }
}
