//! CloudFormation over the query protocol, strict where its peers are not: types of change sets, parameters,
//! names, states, tokens, pages.

use serde_json::Value;

use super::account::{ACCOUNT, Inner};
use super::calls::Fields;
use super::ec2::{Answer, escaped};
use super::stacks::{Change, ChangeSet, Pairs, Stack, Stacks, changes};

fn refused<T>(code: &str, message: impl Into<String>) -> Result<T, (u16, String, String)> {
    Err((400, code.to_owned(), message.into()))
}

fn invalid<T>(message: impl Into<String>) -> Result<T, (u16, String, String)> {
    refused("ValidationError", message)
}

fn no_set<T>(name: &str) -> Result<T, (u16, String, String)> {
    Err((404, "ChangeSetNotFound".to_owned(), format!("ChangeSet [{name}] does not exist")))
}

fn element(name: &str, text: &str) -> String {
    if text.is_empty() { String::new() } else { format!("<{name}>{}</{name}>", escaped(text)) }
}

/// `NAME.member.1.PART` and so on, a row each.
fn members<const N: usize>(fields: &Fields, name: &str, parts: [&str; N]) -> Vec<[Option<String>; N]> {
    (1..)
        .map(|i| parts.map(|part| fields.get(&format!("{name}.member.{i}.{part}")).cloned()))
        .take_while(|row| row.iter().any(Option::is_some))
        .collect()
}

pub fn answer(inner: &mut Inner, action: &str, fields: &Fields) -> Answer {
    let stacks = &mut inner.stacks;
    let body = match action {
        "DescribeStacks" => describe_stacks(stacks, fields)?,
        "GetTemplateSummary" => summary(stacks, fields)?,
        "CreateChangeSet" => create(stacks, fields)?,
        "DescribeChangeSet" => describe(stacks, fields)?,
        "ListChangeSets" => list(stacks, fields)?,
        "ExecuteChangeSet" => execute(stacks, fields)?,
        "DeleteChangeSet" => delete(stacks, fields)?,
        "DescribeStackEvents" => events(stacks, fields)?,
        "DescribeEvents" => operation_events(stacks, fields)?,
        other => return refused("InvalidAction", other),
    };
    Ok(format!(
        "<{action}Response xmlns=\"http://cloudformation.amazonaws.com/doc/2010-05-15/\"><{action}Result>{body}</{action}Result>\
         <ResponseMetadata><RequestId>r</RequestId></ResponseMetadata></{action}Response>"
    ))
}

/// The parameters of a template: name, default, whether it is not to be shown.
fn declared(template: &Value) -> Vec<(String, Option<String>, bool)> {
    let all = template["Parameters"].as_object().into_iter().flatten();
    all.map(|(name, it)| (name.clone(), it["Default"].as_str().map(str::to_owned), it["NoEcho"] == true))
        .collect()
}

fn parameters(template: &Value, values: &Pairs) -> String {
    let hidden: Vec<String> = declared(template).into_iter().filter(|it| it.2).map(|it| it.0).collect();
    let member = |(key, value): (&String, &String)| {
        let value = if hidden.contains(key) { "****" } else { value };
        format!("<member>{}{}</member>", element("ParameterKey", key), element("ParameterValue", value))
    };
    format!("<Parameters>{}</Parameters>", values.iter().map(member).collect::<String>())
}

fn describe_stacks(stacks: &mut Stacks, fields: &Fields) -> Answer {
    let name = &fields["StackName"];
    stacks.tick(name);
    let Some(stack) = stacks.stack(name) else {
        return invalid(format!("Stack with id {name} does not exist"));
    };
    let tags = stack
        .tags
        .iter()
        .map(|(k, v)| format!("<member>{}{}</member>", element("Key", k), element("Value", v)));
    let capabilities = stack.capabilities.iter().map(|it| element("member", it));
    Ok(format!(
        "<Stacks><member>{}{}{}<CreationTime>2026-01-01T00:00:00Z</CreationTime>{}<Tags>{}</Tags><Capabilities>{}</Capabilities></member></Stacks>",
        element("StackId", &stack.id),
        element("StackName", &stack.name),
        element("StackStatus", &stack.status),
        parameters(&stack.template, &stack.parameters),
        tags.collect::<String>(),
        capabilities.collect::<String>(),
    ))
}

fn template(text: &str) -> Result<Value, (u16, String, String)> {
    if text.len() > 51_200 {
        return invalid(
            "1 validation error detected: 'templateBody' failed to satisfy constraint: length 51200",
        );
    }
    match serde_json::from_str::<Value>(text) {
        Ok(template) if template["Resources"].is_object() => Ok(template),
        _ => invalid("Template format error: At least one Resources member must be defined."),
    }
}

fn makes_roles(template: &Value) -> bool {
    let mut all = template["Resources"].as_object().into_iter().flatten();
    all.any(|(_, it)| it["Type"].as_str().is_some_and(|kind| kind.starts_with("AWS::IAM::")))
}

fn summary(stacks: &mut Stacks, fields: &Fields) -> Answer {
    let template = match (fields.get("TemplateBody"), fields.get("StackName")) {
        (Some(text), None) => template(text)?,
        (None, Some(name)) => match stacks.stack(name) {
            Some(stack) => stack.template.clone(),
            None => return invalid(format!("Stack with id {name} does not exist")),
        },
        _ => return invalid("Either Template URL, Template Body or Stack Name must be specified."),
    };
    let member = |(name, default, hidden): &(String, Option<String>, bool)| {
        let default = default.as_ref().map(|it| format!("<DefaultValue>{}</DefaultValue>", escaped(it)));
        format!(
            "<member>{}{}<ParameterType>String</ParameterType><NoEcho>{hidden}</NoEcho></member>",
            element("ParameterKey", name),
            default.unwrap_or_default()
        )
    };
    let parameters: String = declared(&template).iter().map(member).collect();
    let wants = if makes_roles(&template) { "<member>CAPABILITY_IAM</member>" } else { "" };
    Ok(format!("<Parameters>{parameters}</Parameters><Capabilities>{wants}</Capabilities>"))
}

fn create(stacks: &mut Stacks, fields: &Fields) -> Answer {
    let (stack_name, name) = (&fields["StackName"], &fields["ChangeSetName"]);
    let fits = |b: u8| b.is_ascii_alphanumeric() || b == b'-';
    if !name.starts_with(|c: char| c.is_ascii_alphabetic()) || !name.bytes().all(fits) || name.len() > 128 {
        return invalid(format!("'{name}' at 'changeSetName' failed to satisfy constraint"));
    }
    // AWS's default is what moto's is not.
    let create = match fields.get("ChangeSetType").map(String::as_str) {
        Some("CREATE") => true,
        Some("UPDATE") | None => false,
        Some(other) => return invalid(other),
    };
    let found = stacks.stack(stack_name).map(|stack| stack.clone());
    match (&found, create) {
        (None, false) => return invalid(format!("Stack [{stack_name}] does not exist")),
        (Some(stack), true) if stack.status != "REVIEW_IN_PROGRESS" => {
            return invalid(format!(
                "Stack [{stack_name}] already exists and cannot be created again with the changeSet [{name}]."
            ));
        }
        (Some(stack), false) if !updatable(&stack.status) => {
            return invalid(format!(
                "Stack:{} is in {} state and can not be updated.",
                stack.id, stack.status
            ));
        }
        _ => {}
    }
    let token = fields.get("ClientToken").cloned().unwrap_or_default();
    if let Some(set) = found.as_ref().and_then(|stack| stack.sets.iter().find(|set| set.name == *name)) {
        if set.client_token != token || token.is_empty() {
            return refused(
                "AlreadyExistsException",
                format!("ChangeSet {name} cannot be created due to a mismatch with existing attribute"),
            );
        }
        return Ok(element("Id", &set.id));
    }
    let previous = fields.get("UsePreviousTemplate").is_some_and(|it| it == "true");
    let new = match (previous, fields.get("TemplateBody"), &found) {
        (true, None, Some(stack)) if !create => stack.template.clone(),
        (false, Some(text), _) => template(text)?,
        _ => return invalid("Either Template URL or Template Body must be specified."),
    };
    let old = found.as_ref().filter(|_| !create);
    let parameters = values(&new, old, fields)?;
    let capabilities: Vec<String> =
        (1..).map_while(|i| fields.get(&format!("Capabilities.member.{i}")).cloned()).collect();
    if makes_roles(&new) && capabilities.is_empty() {
        return refused("InsufficientCapabilitiesException", "Requires capabilities : [CAPABILITY_IAM]");
    }
    let nothing = (Value::Null, Pairs::new());
    let before = old.map_or((&nothing.0, &nothing.1), |stack| (&stack.template, &stack.parameters));
    let changes = changes(before, (&new, &parameters));
    let wrong =
        changes.iter().flat_map(|it| &it.details).any(|(_, _, after, ..)| after.starts_with("invalid: "));
    let reason = if wrong {
        "The following hook(s)/validation failed: [AWS::EarlyValidation::PropertyValidation]. To troubleshoot Early \
         Validation errors, use the DescribeEvents API for detailed failure information."
    } else if !changes.is_empty() {
        ""
    } else if stacks.other_words {
        "No updates are to be performed."
    } else {
        "The submitted information didn't contain changes. Submit different information to create a change set."
    };
    let tags = members(fields, "Tags", ["Key", "Value"]);
    let (number, slow) = (stacks.number(), stacks.slow);
    let set = ChangeSet {
        id: format!("arn:aws:cloudformation:eu-central-1:{ACCOUNT}:changeSet/{name}/{number:08}"),
        name: name.clone(),
        client_token: token,
        status: "CREATE_PENDING",
        execution: "UNAVAILABLE",
        reason: reason.to_owned(),
        looks: slow,
        template: new,
        parameters,
        tags: tags.into_iter().filter_map(|[key, value]| Some((key?, value?))).collect(),
        capabilities,
        changes,
        create,
    };
    let id = set.id.clone();
    if found.is_none() {
        stacks.new_stack(stack_name);
        let own = stacks.stack(stack_name).unwrap().id.clone();
        stacks.happens(
            &own.clone(),
            &own,
            "AWS::CloudFormation::Stack",
            "REVIEW_IN_PROGRESS",
            "User Initiated",
        );
    }
    let stack = stacks.stack(stack_name).unwrap();
    stack.sets.push(set);
    Ok(element("Id", &id) + &element("StackId", &stack.id))
}

fn updatable(status: &str) -> bool {
    !status.ends_with("_IN_PROGRESS")
        && !["ROLLBACK_COMPLETE", "ROLLBACK_FAILED", "DELETE_FAILED", "UPDATE_ROLLBACK_FAILED"]
            .contains(&status)
}

/// What each parameter gets. One that is not named falls back to its default, whatever it was.
fn values(template: &Value, old: Option<&Stack>, fields: &Fields) -> Result<Pairs, (u16, String, String)> {
    let asked = members(fields, "Parameters", ["ParameterKey", "ParameterValue", "UsePreviousValue"]);
    let declared = declared(template);
    let mut values = Pairs::new();
    for [key, value, previous] in asked {
        let key = key.unwrap();
        if !declared.iter().any(|(name, ..)| *name == key) {
            return invalid(format!("Parameters: [{key}] do not exist in the template"));
        }
        let value = match (value, previous.as_deref()) {
            (Some(value), None) => value,
            (None, Some("true")) => match old.and_then(|stack| stack.parameters.get(&key)) {
                Some(value) => value.clone(),
                None => {
                    return invalid(format!(
                        "Invalid input for parameter key {key}. Cannot specify usePreviousValue as true for a parameter key not in the previous template"
                    ));
                }
            },
            _ => return invalid(format!("Invalid input for parameter key {key}.")),
        };
        values.insert(key, value);
    }
    for (name, default, _) in declared {
        if values.contains_key(&name) {
            continue;
        }
        match default {
            Some(default) => drop(values.insert(name, default)),
            None => return invalid(format!("Parameters: [{name}] must have values")),
        }
    }
    Ok(values)
}

/// The stack and the number of a change set, by ARN, or by name in the stack that is named.
fn find(stacks: &Stacks, fields: &Fields) -> Result<(usize, usize), (u16, String, String)> {
    let name = &fields["ChangeSetName"];
    let stack = fields.get("StackName");
    if !name.starts_with("arn:") && stack.is_none() {
        return invalid("StackName must be specified if ChangeSetName is not specified as an ARN.");
    }
    for (i, of) in stacks.all.iter().enumerate() {
        let here = stack.is_none_or(|stack| of.name == *stack || of.id == *stack);
        let set = of.sets.iter().position(|set| set.id == *name || (here && set.name == *name));
        if let Some(set) = set {
            return Ok((i, set));
        }
    }
    no_set(name)
}

fn change(change: &Change, values: bool) -> String {
    let details = change.details.iter().map(|(path, before, after, recreation, causes)| {
        let name = path.split('/').nth(2).unwrap_or_default();
        let told = if values {
            element("Path", path) + &element("BeforeValue", before) + &element("AfterValue", after)
        } else {
            String::new()
        };
        let target = |more: &str| {
            format!(
                "<Target><Attribute>Properties</Attribute>{}{}{more}</Target><Evaluation>Static</Evaluation>",
                element("Name", name),
                element("RequiresRecreation", recreation)
            )
        };
        let of_cause = |cause: &String| {
            let source = "<ChangeSource>ParameterReference</ChangeSource>";
            format!("<member>{}{source}{}</member>", target(""), element("CausingEntity", cause))
        };
        let direct = "<ChangeSource>DirectModification</ChangeSource>";
        format!(
            "{}<member>{}{direct}</member>",
            causes.iter().map(of_cause).collect::<String>(),
            target(&told)
        )
    });
    format!(
        "<member><Type>Resource</Type><ResourceChange>{}{}{}{}{}{}{}<Scope/><Details>{}</Details></ResourceChange></member>",
        element("Action", change.action),
        element("LogicalResourceId", &change.id),
        element("ResourceType", &change.kind),
        element("Replacement", change.replacement),
        element("PolicyAction", change.policy),
        element("ChangeSetId", &change.nested),
        element("AfterContext", if values { &change.after } else { "" }),
        details.collect::<String>(),
    )
}

/// A page of items from the token's place on, and the next token.
fn page<'a, T>(items: &'a [T], size: Option<usize>, fields: &Fields) -> (&'a [T], String) {
    let from: usize = fields.get("NextToken").map_or(0, |token| token.parse().unwrap());
    let size = size.unwrap_or(items.len().max(1));
    let to = (from + size).min(items.len());
    (&items[from..to], if to < items.len() { element("NextToken", &to.to_string()) } else { String::new() })
}

fn describe(stacks: &mut Stacks, fields: &Fields) -> Answer {
    let (stack, set) = find(stacks, fields)?;
    let size = stacks.page;
    let stack = &mut stacks.all[stack];
    let set = &mut stack.sets[set];
    if set.status.starts_with("CREATE_") && set.status != "CREATE_COMPLETE" {
        if set.looks == 0 {
            let good = set.reason.is_empty();
            (set.status, set.execution) =
                if good { ("CREATE_COMPLETE", "AVAILABLE") } else { ("FAILED", "UNAVAILABLE") };
        } else {
            set.looks -= 1;
            set.status = "CREATE_IN_PROGRESS";
        }
    }
    let is_made = set.status == "CREATE_COMPLETE";
    let all: &[Change] = if is_made { &set.changes } else { &[] };
    let (shown, next) = page(all, size, fields);
    let with_values = fields.get("IncludePropertyValues").is_some_and(|it| it == "true");
    let reason = if set.status == "FAILED" { &set.reason } else { "" };
    Ok(format!(
        "{}{}{}{}{}{}{}{}<Changes>{}</Changes>{next}",
        element("ChangeSetName", &set.name),
        element("ChangeSetId", &set.id),
        element("StackId", &stack.id),
        element("StackName", &stack.name),
        element("Status", set.status),
        element("ExecutionStatus", set.execution),
        element("StatusReason", reason),
        parameters(&set.template, &set.parameters),
        shown.iter().map(|it| change(it, with_values)).collect::<String>(),
    ))
}

fn list(stacks: &mut Stacks, fields: &Fields) -> Answer {
    let Some(stack) = stacks.stack(&fields["StackName"]) else {
        return invalid(format!("Stack [{}] does not exist", fields["StackName"]));
    };
    let member = |(i, set): (usize, &ChangeSet)| {
        format!(
            "<member>{}{}{}<CreationTime>2026-01-01T00:00:{i:02}Z</CreationTime></member>",
            element("ChangeSetId", &set.id),
            element("ChangeSetName", &set.name),
            element("ExecutionStatus", set.execution),
        )
    };
    let members: String = stack.sets.iter().enumerate().map(member).collect();
    Ok(format!("<Summaries>{members}</Summaries>"))
}

fn execute(stacks: &mut Stacks, fields: &Fields) -> Answer {
    let (stack, set) = find(stacks, fields)?;
    let token = fields.get("ClientRequestToken").cloned().unwrap_or_default();
    let of = &stacks.all[stack];
    let set = of.sets[set].clone();
    if of.executed.contains(&token) {
        return Ok(String::new());
    }
    if set.execution != "AVAILABLE" {
        let message = format!(
            "ChangeSet [{}] cannot be executed in its current status of [{}] and execution status of [{}]",
            set.id, set.status, set.execution
        );
        return refused("InvalidChangeSetStatus", message);
    }
    let keep_failed = fields.get("DisableRollback").is_some_and(|it| it == "true");
    let name = of.name.clone();
    stacks.execute(&name, &set, &token, keep_failed);
    Ok(String::new())
}

fn delete(stacks: &mut Stacks, fields: &Fields) -> Answer {
    let (stack, set) = find(stacks, fields)?;
    if stacks.all[stack].sets[set].execution == "EXECUTE_IN_PROGRESS" {
        return refused("InvalidChangeSetStatus", "it is being executed");
    }
    stacks.all[stack].sets.remove(set);
    Ok(String::new())
}

fn events(stacks: &mut Stacks, fields: &Fields) -> Answer {
    let name = &fields["StackName"];
    if !fields.contains_key("NextToken") {
        stacks.tick(name);
    }
    let size = stacks.page;
    let Some(stack) = stacks.stack(name) else {
        return invalid(format!("Stack [{name}] does not exist"));
    };
    let newest: Vec<_> = stack.events.iter().rev().collect();
    let (shown, next) = page(&newest, size, fields);
    let member = |event: &&super::stacks::Event| {
        format!(
            "<member>{}{}{}{}{}{}{}{}{}{}</member>",
            element("Timestamp", &event.at),
            element("StackId", &stack.id),
            element("EventId", &event.id),
            element("LogicalResourceId", &event.resource),
            element("PhysicalResourceId", &event.physical),
            element("ResourceType", &event.kind),
            element("ResourceStatus", &event.status),
            element("ResourceStatusReason", &event.reason),
            element("ResourceProperties", &event.properties),
            element("ClientRequestToken", &event.token),
        )
    };
    Ok(format!("<StackEvents>{}</StackEvents>{next}", shown.iter().map(member).collect::<String>()))
}

/// What was found wrong with a change set.
fn operation_events(stacks: &mut Stacks, fields: &Fields) -> Answer {
    let (stack, set) = find(stacks, fields)?;
    let set = &stacks.all[stack].sets[set];
    let wrong = set.changes.iter().flat_map(|change| {
        change.details.iter().filter_map(|(path, _, after, ..)| {
            let why = after.strip_prefix("invalid: ")?;
            Some(format!(
                "<member><EventId>e</EventId><EventType>VALIDATION_ERROR</EventType>{}{}{}</member>",
                element("LogicalResourceId", &change.id),
                element("ValidationPath", &format!("/Resources/{}{path}", change.id)),
                element("ValidationStatusReason", why),
            ))
        })
    });
    let progress = "<member><EventId>p</EventId><EventType>STACK_EVENT</EventType></member>".to_owned();
    let all: Vec<String> = std::iter::once(progress).chain(wrong).collect();
    let (shown, next) = page(&all, Some(2), fields);
    Ok(format!("<OperationEvents>{}</OperationEvents>{next}", shown.concat()))
}
