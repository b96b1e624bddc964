//! The README's fault table is the one of the code.
//!
//! `UPDATE_README=1 cargo test --test status_faults_table` writes it anew.

use std::path::Path;

use preview_agent::status::fault::markdown_table;

const BEGIN: &str = "<!-- faults -->\n";
const END: &str = "<!-- /faults -->";

#[test]
fn the_fault_table_in_the_readme_is_the_list_in_the_code() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md");
    let readme = std::fs::read_to_string(&path).unwrap();
    let (before, rest) = readme.split_once(BEGIN).expect("README.md has a line <!-- faults -->");
    let (table, after) = rest.split_once(END).expect("README.md has a line <!-- /faults -->");
    let wanted = format!("\n{}\n", markdown_table());
    if std::env::var_os("UPDATE_README").is_some() {
        std::fs::write(&path, format!("{before}{BEGIN}{wanted}{END}{after}")).unwrap();
        return;
    }
    assert!(table == wanted, "README.md's fault table is out of date; UPDATE_README=1 writes it anew");
}
