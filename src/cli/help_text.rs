//! What the manual page and `agent --help` say behind the commands.

/// Sections, each with a line that ends in a colon above it.
pub(super) const MANUAL: &str = "\
Exit status:
  0   done; for status and reload: the service is up, the last run ready
  1   failed: the last run failed, or the service is degraded or down
  2   the command line is wrong
  3   a run is in progress
  4   there is no agent, it was stopped, or its status has expired
  75  may work later: another agent runs, the state folder cannot be used, or
      an installed agent is still starting
  77  permission denied
  78  the configuration is wrong

Files:
  /etc/preview-agent/config.yaml    the configuration
  /run/preview-agent/status.json    the status; no secrets, world-readable
  /var/lib/preview-agent/           state, migrate.log, build.log
  /usr/bin/agent                    this program, as `agent install` places it
  /etc/systemd/system/preview-agent.service
                                    the unit; your changes go into a drop-in:
                                    `systemctl edit preview-agent`
  /etc/systemd/system/preview-agent.service.d/report.conf
                                    the name from `agent install --report`

Environment:
  RUNTIME_DIRECTORY   folder of status.json; systemd sets it
  STATE_DIRECTORY     folder of what survives a reboot; systemd sets it
  NOTIFY_SOCKET, WATCHDOG_USEC, CREDENTIALS_DIRECTORY   from systemd
  AWS_ENDPOINT_URL, AWS_REGION, ...   as every AWS client reads them
  DOCKER_HOST         the engine's socket, else unix:///var/run/docker.sock
  PREVIEW_AGENT_REPORT   status parameter where no configuration can be read
  NO_COLOR            no colours on a terminal

Examples:
  agent status                      what state is it in?
  agent status --watch              follow a deployment
  agent logs migrate -n 50          the end of the migration's output
  agent install --report /pr-preview/42/status
                                    make this program the service, or upgrade it
  agent reload                      deploy what the configuration says now
";
