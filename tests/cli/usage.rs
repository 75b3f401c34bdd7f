//! Recorded messages of ipvsadm 1.31 for wrong command lines.

use crate::nameless::Nameless;
use director::cli::ipvsadm::parse;

/// Exit status, standard error and arguments.
const RECORDED: &str = include_str!("usage_errors.jsonl");

#[test]
fn wrong_command_lines_have_ipvsadms_messages() {
    let mut lines = 0;
    for record in RECORDED.lines() {
        let (status, said, words): (u8, String, Vec<String>) =
            serde_json::from_str(record).expect(record);
        let error = parse(&words, &Nameless).expect_err(record);
        assert_eq!((error.status, error.message + "\n"), (status, said), "{words:?}");
        lines += 1;
    }
    assert!(lines > 500, "{lines} lines");
}
