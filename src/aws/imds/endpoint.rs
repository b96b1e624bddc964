//! Where the metadata service is.

/// The service's address as the SDK's variables give it; `None` if switched off.
pub(crate) fn endpoint_from_env(env: impl Fn(&str) -> Option<String>) -> Option<String> {
    let set = |name| env(name).filter(|value| !value.is_empty());
    if set("AWS_EC2_METADATA_DISABLED").is_some_and(|v| v.eq_ignore_ascii_case("true")) {
        return None;
    }
    let ipv6 = set("AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE").is_some_and(|v| v.eq_ignore_ascii_case("ipv6"));
    let default = if ipv6 { "http://[fd00:ec2::254]" } else { "http://169.254.169.254" };
    Some(set("AWS_EC2_METADATA_SERVICE_ENDPOINT").unwrap_or_else(|| default.to_owned()))
}
