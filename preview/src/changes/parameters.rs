//! What each parameter of a change set gets: the value that it has, unless somebody says another.

use crate::aws::{Declared, Given};

/// What somebody says of a parameter.
#[derive(Clone, PartialEq, Eq)]
pub struct Wish {
    /// Its name.
    pub key: String,
    /// Its value; it may be a secret.
    pub value: String,
}

impl std::fmt::Debug for Wish {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}=…", self.key)
    }
}

/// What comes of it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Decided {
    /// What each parameter of the template gets; one with a default that nobody says anything of is left out.
    pub given: Vec<(String, Given)>,
    /// Parameters of the stack that the new template no longer has.
    pub dropped: Vec<String>,
}

/// Decides on all parameters that a template declares; `has` are those of the stack that is there.
///
/// # Errors
/// Names that the template does not declare, and parameters without any value, a line each.
pub fn decide(declared: &[Declared], has: &[String], wishes: &[Wish]) -> Result<Decided, Vec<String>> {
    let mut faults = Vec::new();
    for (i, wish) in wishes.iter().enumerate() {
        if !declared.iter().any(|it| it.key == wish.key) {
            let known: Vec<&str> = declared.iter().map(|it| it.key.as_str()).collect();
            let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
            faults.push(format!("the template has no parameter {}; it has {known}", wish.key));
        } else if wishes[..i].iter().any(|before| before.key == wish.key) {
            faults.push(format!("the parameter {} is set twice", wish.key));
        }
    }
    let mut given = Vec::new();
    for parameter in declared {
        let key = parameter.key.clone();
        if let Some(wish) = wishes.iter().find(|wish| wish.key == key) {
            given.push((key, Given::Value(wish.value.clone())));
        } else if has.contains(&key) {
            given.push((key, Given::Previous));
        } else if !parameter.has_default {
            faults.push(format!(
                "the parameter {key} has neither a value nor a default: say --set {key}=VALUE"
            ));
        }
    }
    if !faults.is_empty() {
        return Err(faults);
    }
    let dropped = has.iter().filter(|key| !declared.iter().any(|it| it.key == **key)).cloned().collect();
    Ok(Decided { given, dropped })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn declared(key: &str, has_default: bool) -> Declared {
        Declared { key: key.to_owned(), kind: "String".to_owned(), has_default, no_echo: false }
    }

    fn decided(has: &[&str], wishes: &[(&str, &str)]) -> Result<Decided, Vec<String>> {
        let declared = [declared("Environment", true), declared("ContainerImage", false)];
        let has: Vec<String> = has.iter().map(|key| (*key).to_owned()).collect();
        let wish = |(key, value): &(&str, &str)| Wish { key: (*key).to_owned(), value: (*value).to_owned() };
        decide(&declared, &has, &wishes.iter().map(wish).collect::<Vec<_>>())
    }

    #[test]
    fn what_nobody_speaks_of_stays() {
        let all = decided(&["Environment", "ContainerImage"], &[("ContainerImage", "app:2")]).unwrap();
        let given = |key: &str, given| (key.to_owned(), given);
        let value = Given::Value("app:2".to_owned());
        assert_eq!(all.given, [given("Environment", Given::Previous), given("ContainerImage", value)]);
        assert_eq!(all.dropped, <Vec<String>>::new());
    }

    #[test]
    fn a_new_parameter_takes_its_default_and_an_old_one_is_dropped() {
        let all = decided(&["ContainerImage", "Gone"], &[]).unwrap();
        assert_eq!(all.given, [("ContainerImage".to_owned(), Given::Previous)]);
        assert_eq!(all.dropped, ["Gone"]);
    }

    #[test]
    fn unknown_and_missing_ones_are_told_all_at_once() {
        let faults = decided(&[], &[("Image", "x"), ("Environment", "a"), ("Environment", "b")]).unwrap_err();
        let [unknown, twice, missing] = faults.try_into().unwrap();
        assert!(unknown.contains("Image") && unknown.contains("Environment, ContainerImage"), "{unknown}");
        assert!(twice.contains("Environment"), "{twice}");
        assert!(missing.contains("--set ContainerImage=VALUE"), "{missing}");
    }

    #[test]
    fn no_value_is_shown() {
        let wish = Wish { key: "DbPassword".to_owned(), value: "canary".to_owned() };
        assert!(!format!("{wish:?} {:?}", Given::Value("canary".to_owned())).contains("canary"));
    }
}
