//! `preview changes create`: has a change set made, and shows it. It applies nothing.

use std::path::Path;

use preview_agent::cli::exit;
use preview_agent::status::Timestamp;
use serde_json::json;
use tokio::time::{Instant, sleep};

use super::stack_job::StackJob;
use super::{find, image, show};
use crate::aws::{AwsError, ChangeSet, Kind, Making, NewChangeSet, Stack, Summary, Template, Way};
use crate::changes::{Review, Wish, decide, image_parameter};
use crate::steps::failure::Failure;

/// The longest template that is sent along (CloudFormation quotas, "Template body size in a request").
const TEMPLATE: usize = 51_200;

/// What AWS says where there is nothing to change; it has two ways to say it.
const EMPTY: [&str; 2] = ["didn't contain changes", "No updates are to be performed"];

/// What is asked for.
#[derive(Debug, Clone)]
pub struct Create {
    /// The stack.
    pub stack: String,
    /// A file, an S3 URL, or `None` for the template that the stack has.
    pub template: Option<String>,
    /// Parameters with other values than they have.
    pub wishes: Vec<Wish>,
    /// What the template may make beyond what the stack has been allowed.
    pub capabilities: Vec<String>,
    /// What the review allows.
    pub allowed: Vec<String>,
    /// Whether the image's tag is resolved to what it stands for now.
    pub resolve: bool,
    /// The first word of the change set's name.
    pub purpose: &'static str,
}

/// Has a change set made and shows it; one without changes is removed again, which is no failure.
///
/// # Errors
/// The stack cannot be changed now, parameters that are wrong, or what AWS found wrong.
pub async fn create(job: &StackJob, create: &Create) -> Result<u8, Failure> {
    let template = template(create.template.as_deref())?;
    let stack = job.aws.stack(&create.stack).await?;
    let kind = kind(&create.stack, stack.as_ref())?;
    if kind == Kind::Create && template == Template::Previous {
        return Err(Failure::new(format!("{} has no template yet: say --template FILE", create.stack)));
    }
    let summary = job.aws.summary(&create.stack, &template).await?;
    learn(job, &summary, &create.wishes);
    // A stack that is only under review has no values that could stay.
    let stack = stack.filter(|_| kind == Kind::Update);
    let wishes = images(job, create, &summary, stack.as_ref()).await?;
    let has: Vec<String> =
        stack.iter().flat_map(|stack| &stack.parameters).map(|(key, _)| key.clone()).collect();
    let decided = decide(&summary.parameters, &has, &wishes)
        .map_err(|faults| faults.into_iter().map(Failure::new).collect::<Vec<_>>())?;
    for key in &decided.dropped {
        job.output.say(&format!("the new template has no parameter {key} any more"));
    }
    let mut capabilities = create.capabilities.clone();
    capabilities.extend(stack.iter().flat_map(|stack| stack.capabilities.clone()));
    capabilities.sort_unstable();
    capabilities.dedup();
    let name = name(job, create.purpose);
    let new = NewChangeSet {
        stack: &create.stack,
        name: &name,
        kind,
        template: &template,
        parameters: &decided.given,
        capabilities: &capabilities,
        tags: stack.as_ref().map_or(&[], |stack| &stack.tags),
    };
    let id = match job.aws.make_change_set(&new).await {
        Ok(id) => id,
        // moto says it here.
        Err(AwsError::Rejected { message, .. }) if is_empty(&message) => {
            return Ok(nothing(job, &create.stack));
        }
        Err(error) => return Err(refused(error, &summary)),
    };
    let set = made(job, &create.stack, &id).await?;
    if set.making == Making::Made {
        return Ok(tell(job, &set, &create.allowed));
    }
    let reason = set.reason.clone().unwrap_or_else(|| "AWS does not say why".to_owned());
    let is_empty = is_empty(&reason);
    let validations = if is_empty { Vec::new() } else { invalid(job, &set).await };
    // It can never be applied, and counts against the account's limit.
    job.aws.delete_change_set(&set.id).await?;
    if is_empty {
        return Ok(nothing(job, &create.stack));
    }
    let lines: Vec<String> = if validations.is_empty() { vec![reason] } else { validations };
    let message = format!("the change set could not be made: {}", lines.join("\n"));
    Err(Failure::new(message))
}

/// A file's text, or where it lies.
fn template(given: Option<&str>) -> Result<Template, Failure> {
    match given {
        None | Some("previous") => Ok(Template::Previous),
        Some(url) if url.starts_with("https://") => Ok(Template::Url(url.to_owned())),
        Some(path) => {
            let text = std::fs::read_to_string(Path::new(path))
                .map_err(|error| Failure::settings(format!("{path}: {error}")))?;
            if text.len() > TEMPLATE {
                let message = format!("{path} has {} bytes, and AWS takes {TEMPLATE} at once", text.len());
                return Err(Failure::settings(message).hint("Upload it to S3, and name its https:// URL."));
            }
            Ok(Template::Body(text))
        }
    }
}

/// Whether the stack is made or changed, if it can be.
fn kind(name: &str, stack: Option<&Stack>) -> Result<Kind, Failure> {
    let Some(stack) = stack else { return Ok(Kind::Create) };
    let status = stack.status.as_str();
    match stack.status.way() {
        Way::Create => Ok(Kind::Create),
        Way::Update => Ok(Kind::Update),
        Way::Busy => Err(Failure {
            code: exit::IN_PROGRESS,
            ..Failure::new(format!("{name} is {status}: one thing at a time"))
                .hint(format!("`preview changes watch {name}` waits for its end."))
        }),
        Way::Delete => {
            Err(Failure::new(format!("{name} is {status}: its creation failed, and it cannot be changed"))
                .hint(format!(
                    "See what it is and delete it first: aws cloudformation delete-stack --stack-name {name}"
                )))
        }
        Way::ContinueRollback => {
            Err(Failure::new(format!("{name} is {status}: its way back was not gone to the end"))
                .hint(format!("aws cloudformation continue-update-rollback --stack-name {name}")))
        }
    }
}

/// Hides the values of NoEcho parameters from here on.
fn learn(job: &StackJob, summary: &Summary, wishes: &[Wish]) {
    let hidden = |wish: &&Wish| summary.parameters.iter().any(|it| it.no_echo && it.key == wish.key);
    for wish in wishes.iter().filter(hidden) {
        job.redactor.learn(&wish.value);
        job.output.mask(&wish.value);
    }
}

/// The wishes with the image's tag resolved.
async fn images(
    job: &StackJob,
    create: &Create,
    summary: &Summary,
    stack: Option<&Stack>,
) -> Result<Vec<Wish>, Failure> {
    let declared: Vec<_> = summary.parameters.iter().map(|it| (it.key.clone(), String::new())).collect();
    let parameter = image_parameter(&declared);
    let mut wishes = Vec::new();
    for wish in create.wishes.iter().cloned() {
        let is_image = create.resolve && parameter == Some(wish.key.as_str());
        let runs = stack.and_then(|stack| stack.parameters.iter().find(|(key, _)| *key == wish.key));
        let runs = runs.map(|(_, value)| value.as_str());
        wishes.push(if is_image { image::pinned(job, wish, runs).await? } else { wish });
    }
    Ok(wishes)
}

/// A name that no other change set has had.
fn name(job: &StackJob, purpose: &str) -> String {
    let now = Timestamp::from(std::time::SystemTime::now()).to_string();
    let digits: String = now.chars().filter(char::is_ascii_digit).collect();
    let (day, time) = digits.split_at(8.min(digits.len()));
    let run = job.variables.text("GITHUB_RUN_ID").filter(|run| run.bytes().all(|b| b.is_ascii_digit()));
    let run = run.map(|run| format!("-{run}")).unwrap_or_default();
    format!("{purpose}-{day}-{time}{run}-{:04x}", fastrand::u16(..))
}

fn is_empty(reason: &str) -> bool {
    EMPTY.iter().any(|words| reason.contains(words))
}

/// The change set once AWS is done with it.
async fn made(job: &StackJob, stack: &str, id: &str) -> Result<ChangeSet, Failure> {
    let (begun, pace) = (Instant::now(), job.aws.pace);
    let mut wait = pace.stack.0;
    loop {
        match find::change_set(job, stack, id).await {
            Ok(set) if set.making != Making::Going => return Ok(set),
            Ok(_) => {}
            // Throttled, or away for a moment.
            Err(failure) if failure.code == exit::TEMPORARY && begun.elapsed() < pace.made => {}
            Err(failure) => return Err(failure),
        }
        if begun.elapsed() >= pace.made {
            return Err(Failure {
                code: exit::IN_PROGRESS,
                ..Failure::new(format!("AWS is still at work on the change set {id}"))
                    .hint(format!("`preview changes show {stack} {id}` shows it once it is made."))
            });
        }
        sleep(wait).await;
        wait = (wait * 2).min(pace.stack.1);
    }
}

/// What AWS found wrong, a line each.
async fn invalid(job: &StackJob, set: &ChangeSet) -> Vec<String> {
    match job.aws.validations(&set.id).await {
        Ok(found) => {
            let line = |it: &crate::aws::Validation| {
                let place = it.path.as_deref().or(it.resource.as_deref()).unwrap_or("the template");
                format!("{place}: {}", it.reason)
            };
            found.iter().map(line).collect()
        }
        // The set's own reason is what counts.
        Err(error) => {
            job.output.warn(&format!("AWS may know more of it: {error}"));
            Vec::new()
        }
    }
}

fn refused(error: AwsError, summary: &Summary) -> Failure {
    let lacks = error.code() == Some("InsufficientCapabilitiesException");
    let failure = Failure::from(error);
    if !lacks {
        return failure;
    }
    let wanted: Vec<String> =
        summary.capabilities.iter().map(|name| format!("--capability {name}")).collect();
    let wanted = if wanted.is_empty() { "--capability CAPABILITY_IAM".to_owned() } else { wanted.join(" ") };
    failure.hint(format!("The template makes roles or policies; say {wanted} where that is meant."))
}

fn nothing(job: &StackJob, stack: &str) -> u8 {
    job.output.say(&format!("{stack} is as it would be: nothing to change"));
    job.output.values(&[("outcome", "empty"), ("change_set", ""), ("reviewed", "")]);
    if job.output.json {
        job.output.print(&json!({ "outcome": "empty" }).to_string());
    }
    exit::OK
}

fn tell(job: &StackJob, set: &ChangeSet, allowed: &[String]) -> u8 {
    let review = Review::new(set, allowed);
    let fingerprint = review.fingerprint();
    job.output.values(&[("outcome", "created"), ("change_set", &set.id), ("reviewed", &fingerprint)]);
    job.output.summary(&review.markdown());
    show::tell(job, &review);
    job.output.say(&format!("nothing is applied yet: preview changes apply {} {}", set.stack, set.id));
    if job.output.json {
        let mut document = show::document(set, &review);
        document["outcome"] = "created".into();
        job.output.print(&document.to_string());
    }
    exit::OK
}
