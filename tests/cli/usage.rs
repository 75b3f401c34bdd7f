//! What ipvsadm 1.31 said about wrong command lines, recorded line by line.

use crate::nameless::Nameless;
use director::cli::ipvsadm::parse;

/// Status, standard error and words of each.
const RECORDED: &str = include_str!("usage_errors.jsonl");

#[test]
fn every_wrong_line_is_told_in_ipvsadms_words() {
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
