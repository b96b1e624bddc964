//! The deployments that are killed: what is there before, and what is to be deployed.

use crate::support::configs::SERVER;
use crate::support::github::{Answer, COMMIT, GitHub, Host, Tarball};
use crate::support::kinds;
use crate::support::peers::{Peers, peers};
use crate::support::proxy::Proxy;
use crate::support::variant::{self, Variant, stale_build};
use crate::support::world::World;

const APP: &str = "acme/tasks-api";
/// The commit that serves before [`COMMIT`] is deployed.
const OLD_COMMIT: &str = "1111111111111111111111111111111111111111";

const ALEMBIC: &str = " && alembic upgrade head";
/// Of an application that serves its folder.
const HEALTH: &str = "health: [tcp, { http: / }]\n";

/// One kind of deployment.
pub struct Scenario {
    pub name: &'static str,
    prepare: fn(Stage) -> Stage,
}

pub const SCENARIOS: [Scenario; 4] = [
    Scenario { name: "first_boot_by_pull", prepare: first_boot_by_pull },
    Scenario { name: "redeploy_by_pull", prepare: redeploy_by_pull },
    Scenario { name: "first_boot_by_build", prepare: first_boot_by_build },
    Scenario { name: "redeploy_by_build", prepare: redeploy_by_build },
];

impl Scenario {
    /// A world in which only the deployment itself is missing.
    pub fn prepare(&self) -> Stage {
        (self.prepare)(Stage::new())
    }
}

/// A world whose agent talks to everybody through the proxy.
pub struct Stage {
    pub world: World,
    pub proxy: Proxy,
    /// What is to be deployed.
    pub config: String,
    /// What differs between equal worlds, and what it stands for.
    pub names: Vec<(String, String)>,
    /// Docker's registry, through the proxy.
    registry: String,
    database: String,
    hosts: Vec<Host>,
}

impl Stage {
    fn new() -> Self {
        let (mut world, proxy) = (World::new(), Proxy::start());
        let imds = proxy.http(&world.imds.endpoint(), kinds::imds);
        let ssm = proxy.http(&world.ssm.endpoint(), kinds::ssm);
        world.set_env("DOCKER_HOST", &proxy.docker());
        world.set_env("AWS_EC2_METADATA_SERVICE_ENDPOINT", &imds);
        world.set_env("AWS_ENDPOINT_URL_SSM", &ssm);
        let Peers { registry, postgres_host, postgres_port, .. } = peers();
        let port = proxy.database(postgres_host, *postgres_port);
        let direct = format!("port: {postgres_port}\n");
        let database = world.database_block().replace(&direct, &format!("port: {port}\n"));
        let through = proxy.registry(registry, kinds::registry);
        world.sql("CREATE TABLE marks (mark text)");
        let names = vec![
            (through.clone(), "REGISTRY".to_owned()),
            (format!(":{}\"", world.port), ":PORT\"".to_owned()),
            (world.path("").display().to_string(), "WORLD/".to_owned()),
            (world.database.to_string(), "DATABASE".to_owned()),
        ];
        Self { world, proxy, config: String::new(), names, registry: through, database, hosts: Vec::new() }
    }

    /// Deploys what will be the old application.
    fn deploy(self, config: &str) -> Self {
        self.world.run_once(config).is_ready();
        self
    }

    /// A job from the psql image that leaves a mark, and a migration that leaves another.
    fn config(&self, image: &str, job: &str, migrate: &str, app: &str) -> String {
        let Peers { registry, registry_user, .. } = peers();
        let through = &self.registry;
        let login = format!("{{ username: {registry_user}, password: {{ ssm: /test/registry-password }} }}");
        format!(
            "image: {image}\nregistries:\n  {through}: {login}\n  {registry}: {login}\n\
             report: {{ parameter: /test/status }}\n{}\
             jobs:\n  - name: init\n    image: {through}/tools/psql:15\n    \
             command: [psql, -v, ON_ERROR_STOP=1, -f, /job/init.sql]\n    \
             files: {{ /job/init.sql: {} }}\n\
             migrate:\n  command: [sh, -c, \"psql -qc \\\"INSERT INTO marks VALUES ('migrate')\\\"{migrate}\"]\n{}",
            self.database,
            self.world.given(job, &format!("INSERT INTO marks VALUES ('{job}');\n")).display(),
            self.world.app(app),
        )
    }

    /// A variant of the sample application in the registry; its reference through the proxy.
    fn variant(&mut self, called: &str, files: &[(&str, &str)]) -> String {
        let nonce = format!("{:032x}", fastrand::u128(..));
        let files: Vec<_> = files.iter().copied().chain([("nonce", nonce.as_str())]).collect();
        let Variant { repository, tag, manifest, config, layer } = variant::push(APP, "good", &files);
        self.proxy.label(&manifest, called);
        self.proxy.label(&config, &format!("config.{called}"));
        self.proxy.label(&layer, &format!("layer.{called}"));
        let image = format!("{}/{repository}:{tag}", self.registry);
        self.world.image(&image);
        self.world.image(&format!("{}/tools/psql:15", self.registry));
        self.names.push((tag, called.to_uppercase()));
        self.names.push((manifest, format!("DIGEST-OF-{}", called.to_uppercase())));
        image
    }

    /// An image that the registry lacks, to be built from this commit.
    fn build(&mut self, commit: &str, job: &str) -> String {
        let base = &peers().platform_base;
        let nonce = format!("{:032x}", fastrand::u128(..));
        let dockerfile = format!("FROM {base}\nCOPY server.py nonce /\nCMD [\"python3\", \"/server.py\"]\n");
        let archive = Tarball::of_commit(commit)
            .file("server.py", SERVER)
            .file("nonce", nonce)
            .file("Dockerfile", dockerfile)
            .gz();
        let GitHub { files, .. } = GitHub::serving(archive);
        let through = self.proxy.http(&files.url(), kinds::github_files);
        let api = Host::new(vec![Answer::Redirect(format!("{through}/acme/api/legacy.tar.gz?token=secret"))]);
        let api_url = self.proxy.http(&api.url(), kinds::github_api);
        self.hosts.extend([api, files]);
        self.world.image(&format!("{}/tools/psql:15", self.registry));
        let config = self.config(&format!("{}/acme/absent:none", self.registry), job, "", "");
        format!("{config}{HEALTH}source: {{ repository: acme/api, ref: {commit}, api_url: \"{api_url}\" }}\n")
    }
}

fn first_boot_by_pull(mut stage: Stage) -> Stage {
    let image = stage.variant("new", &[]);
    stage.config = stage.config(&image, "init.sql", ALEMBIC, "");
    stage
}

/// The application is the small one: what the sample application costs to start is paid often enough.
fn redeploy_by_pull(mut stage: Stage) -> Stage {
    let server = ("server.py", SERVER);
    let migration = "revision = '0003'\ndown_revision = '0002'\n\n\ndef upgrade():\n    pass\n";
    let old = stage.variant("old", &[server]);
    let new = stage.variant("new", &[server, ("srv/app/migrations/versions/0003_kill.py", migration)]);
    let small = "  command: [python3, /server.py]\n";
    stage.config = stage.config(&new, "again.sql", ALEMBIC, small) + HEALTH;
    let before = stage.config(&old, "init.sql", "", small) + HEALTH;
    stage.deploy(&before)
}

fn first_boot_by_build(mut stage: Stage) -> Stage {
    stage.config = stage.build(COMMIT, "init.sql");
    stage
}

fn redeploy_by_build(mut stage: Stage) -> Stage {
    let before = stage.build(OLD_COMMIT, "init.sql");
    stage.config = stage.build(COMMIT, "again.sql");
    let stage = stage.deploy(&before);
    // A build of an earlier time, which the deployment removes.
    stale_build(&stage.world.path("state").display().to_string());
    stage
}
