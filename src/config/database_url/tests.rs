use super::*;
use DatabaseUrlError as E;
use proptest::prelude::*;
use secrecy::{ExposeSecret as _, SecretString};

fn shown(text: &str) -> Vec<String> {
    let url = DatabaseUrl::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
    url.endpoints().iter().map(ToString::to_string).collect()
}

fn env(url: &DatabaseUrl) -> Vec<(&'static str, String)> {
    url.libpq_env().into_iter().map(|(key, value)| (key, value.expose_secret().to_owned())).collect()
}

#[test]
fn sqlalchemys_forms_name_their_servers() {
    for (text, endpoints) in [
        ("postgresql://u:p@db.example:6432/app", &["db.example:6432"][..]),
        ("postgresql+psycopg://u:p@db/app", &["db:5432"]),
        ("postgresql+asyncpg://db", &["db:5432"]),
        ("postgresql://u:p@[2001:db8::1]/app", &["[2001:db8::1]:5432"]),
        ("postgresql://u:p@[2001:db8::1]:6432/app", &["[2001:db8::1]:6432"]),
        ("postgresql://u:p@h1:1,h2:2,h3/app", &["h1:1", "h2:2", "h3:5432"]),
        ("postgresql://u:p@/app?host=h1:1&host=h2", &["h1:1", "h2:5432"]),
        ("postgresql://u:p@/app?host=h1,h2&port=1,2", &["h1:1", "h2:2"]),
        ("postgresql://u:p@/app?host=h1,h2&port=7", &["h1:7", "h2:7"]),
        ("mysql+pymysql://u:p@db/app?charset=utf8mb4", &["db:3306"]),
        ("clickhouse://u:p@db:9000/app", &["db:9000"]),
        ("postgresql://db_1/app?application_name=a@b", &["db_1:5432"]),
    ] {
        assert_eq!(shown(text), endpoints, "{text}");
    }
}

#[test]
fn user_password_and_name_are_decoded() {
    let url = DatabaseUrl::parse("postgresql://u%40x:p%2F%3A%23%25+w@db/my%2Ddb?sslmode=require").unwrap();
    assert_eq!(
        env(&url),
        [
            ("PGHOST", "db".to_owned()),
            ("PGPORT", "5432".to_owned()),
            ("PGUSER", "u@x".to_owned()),
            ("PGPASSWORD", "p/:#%+w".to_owned()),
            ("PGDATABASE", "my-db".to_owned()),
            ("PGSSLMODE", "require".to_owned()),
        ]
    );
}

#[test]
fn several_servers_reach_libpq_as_lists() {
    let url = DatabaseUrl::parse("postgresql://u@h1:1,[::2]:2/app?target_session_attrs=read-write").unwrap();
    assert_eq!(
        env(&url),
        [
            ("PGHOST", "h1,::2".to_owned()),
            ("PGPORT", "1,2".to_owned()),
            ("PGUSER", "u".to_owned()),
            ("PGDATABASE", "app".to_owned()),
            ("PGTARGETSESSIONATTRS", "read-write".to_owned()),
        ]
    );
    assert!(DatabaseUrl::parse("mysql://u:p@db/app").unwrap().libpq_env().is_empty());
}

#[test]
fn each_mistake_is_named() {
    for (text, error) in [
        ("", E::Empty),
        ("hunter2", E::NotAUrl),
        ("://db", E::NotAUrl),
        ("post gresql://db", E::WhiteSpace),
        ("postgresql://u:p@db/app\n", E::WhiteSpace),
        ("post-gres://db", E::NotAUrl),
        ("postgres://u:p@db/app", E::PostgresScheme),
        ("postgresq://u:p@db:5432/app", E::Misspelt("postgresql")),
        ("postgressql+psycopg://u:p@db/app", E::Misspelt("postgresql")),
        ("psql://u:p@db/app", E::Misspelt("postgresql")),
        ("msyql://u:p@db/app", E::Misspelt("mysql")),
        ("postgresql://u:p@db/app?sslmode=bogus", E::SslMode),
        ("postgresql://u:p@db/app?sslmode=", E::SslMode),
        ("sqlite:///app.db", E::Sqlite),
        ("sqlite+aiosqlite:///app.db", E::Sqlite),
        ("postgresql://u:hun@ter2@db/app", E::Unencoded('@')),
        ("postgresql://u:hun@t/er2@db/app", E::Unencoded('@')),
        ("postgresql://u:hun/ter2@db/app", E::Unencoded('/')),
        ("postgresql://u:12/34@db/app", E::Unencoded('/')),
        ("postgresql://u:hun#ter2@db/app", E::Unencoded('#')),
        ("postgresql://u:hun?ter2@db/app", E::Unencoded('?')),
        ("postgresql://u:hun:ter2@db/app", E::Unencoded(':')),
        ("postgresql://u:hun%ter2@db/app", E::Percent),
        ("postgresql://u:hunter2%@db/app", E::Percent),
        ("postgresql://u:%ff@db/app", E::Percent),
        ("postgresql://u:p@db/app#x", E::Fragment),
        ("postgresql:///app", E::NoHost),
        ("postgresql://u:p@/app", E::NoHost),
        ("postgresql://u:p@:5432/app", E::NoHost),
        ("postgresql://u:p@h1,,h2/app", E::NoHost),
        ("postgresql://u:p@/app?host=/var/run/postgresql", E::Socket),
        ("postgresql://u:p@%2Fvar%2Frun/app", E::Socket),
        ("postgresql://u:p@d$b/app", E::Host),
        ("postgresql://u:p@[db]/app", E::Host),
        ("postgresql://u:p@[::1]x/app", E::Host),
        ("postgresql://u:p@2001:db8::1/app", E::Brackets),
        ("postgresql://u:p@[::1/app", E::Brackets),
        ("postgresql://u:p@db:0/app", E::Port),
        ("postgresql://u:p@db:/app", E::Port),
        ("postgresql://u:p@db:99999/app", E::Port),
        ("postgresql://u:p@db:port/app", E::Port),
        ("clickhouse://u:p@db/app", E::NoPort),
    ] {
        assert_eq!(DatabaseUrl::parse(text).map(|_| ()), Err(error), "{text}");
        assert!(!error.to_string().contains("ter2"));
    }
    assert_eq!(
        E::Unencoded('@').to_string(),
        "the user or password contains an unencoded `@`; write it as %40"
    );
}

#[test]
fn the_machine_itself_is_recognised_in_all_its_names() {
    for host in [
        "localhost",
        "LOCALHOST.",
        "db.localhost",
        "127.0.0.1",
        "127.9.9.9",
        "::1",
        "0.0.0.0",
        "::ffff:127.0.0.1",
    ] {
        assert!(is_loopback(host), "{host}");
    }
    for host in ["localhost.example", "10.0.0.1", "::2", "db"] {
        assert!(!is_loopback(host), "{host}");
    }
    assert!(DatabaseUrl::parse("postgresql://u:p@db,[::1]/app").unwrap().is_loopback());
}

#[test]
fn debug_shows_neither_user_nor_password() {
    let url = DatabaseUrl::parse("postgresql://canary-user:canary-pass@db/app?password=canary-too").unwrap();
    assert!(!format!("{url:?}").contains("canary"));
}

#[test]
fn parts_take_addresses_and_refuse_what_is_no_host() {
    let secret = SecretString::from("p");
    let made = |host| DatabaseUrl::from_parts("postgresql", host, 5432, "app", "u", &secret);
    assert_eq!(made("2001:db8::1").unwrap().endpoints()[0].to_string(), "[2001:db8::1]:5432");
    for host in ["", "db:1", "a@b", "/run", "a/b", "a b"] {
        assert_eq!(made(host).map(|_| ()), Err(E::Host), "{host}");
    }
}

proptest! {
    #[test]
    fn no_text_panics(text in ".{0,60}", tail in "[ -~]{0,60}") {
        DatabaseUrl::parse(&text).ok();
        DatabaseUrl::parse(&format!("postgresql://{tail}")).ok();
        std::hint::black_box(is_loopback(&text));
    }

    #[test]
    fn any_user_password_and_name_survive_the_url(
        user in "\\PC{1,20}", password in any::<String>(), name in "\\PC{1,20}", port in 1..=u16::MAX,
    ) {
        let made =
            DatabaseUrl::from_parts("postgresql+psycopg", "db", port, &name, &user, &password.as_str().into()).unwrap();
        let read = DatabaseUrl::parse(made.url().expose_secret()).unwrap();
        prop_assert_eq!(read.user(), Some(user.as_str()));
        prop_assert_eq!(read.password().unwrap().expose_secret(), password.as_str());
        prop_assert_eq!(read.name(), Some(name.as_str()));
        prop_assert_eq!(read.endpoints(), &[Endpoint { host: "db".into(), port }]);
    }

    #[test]
    fn a_reserved_character_in_the_password_never_passes(
        before in "[a-z0-9]{0,8}", reserved in "[@:/?#]", after in "[a-z0-9]{0,8}",
    ) {
        let text = format!("postgresql://user:{before}{reserved}{after}@db:5432/app");
        prop_assert!(matches!(DatabaseUrl::parse(&text), Err(E::Unencoded(_))));
    }
}
