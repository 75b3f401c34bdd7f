//! A worker that no longer polls: changes are refused with a sentence, questions are answered, and all is well when it goes on.

use crate::testbed::Testbed;
use director::api::{Command, Reply, Request};
use director::limits::ACKNOWLEDGEMENT_MAX;
use director::model::Timeouts;
use director::query::{NoArgs, Query, Status, TimeoutsQuery, request};
use director::time::Duration;

fn edit(udp: u32) -> Request {
    Request::Apply(vec![Command::SetTimeouts(Timeouts { udp, ..Timeouts::default() })])
}

fn ask<Q: Query<Args = NoArgs>>(testbed: &mut Testbed) -> Vec<Q::Row> {
    let pieces = testbed.ask_during(request::<Q>(&NoArgs {}), &mut Testbed::poll).0;
    let rows = |piece: &Reply| match piece {
        Reply::Rows(rows) => rows.read().unwrap(),
        other => panic!("{other:?}"),
    };
    pieces.iter().flat_map(rows).collect()
}

#[test]
fn changes_are_refused_after_a_bound_while_a_worker_is_stuck() {
    let mut testbed = Testbed::new("");
    testbed.poll_time = Duration::from_millis(20);
    // It has its turn in none of the rounds to come.
    testbed.pace = vec![u32::MAX];
    let began = testbed.now;
    let refusal = testbed.refusal(edit(77));
    assert!(testbed.now.since(began) > ACKNOWLEDGEMENT_MAX);
    assert!(refusal.starts_with("worker 0 has not acknowledged the last change"), "{refusal}");
    assert!(refusal.ends_with("this change is kept and comes into force then"), "{refusal}");

    let began = testbed.now;
    let refusal = testbed.refusal(edit(78));
    assert!(refusal.ends_with("changes are refused until it does"), "{refusal}");
    let warnings = ask::<Status>(&mut testbed)[0].warnings.clone();
    for sentence in [
        "worker 0 has not polled for 2 s or more",
        "worker 0 has not acknowledged the last change; other changes wait",
    ] {
        assert!(warnings.iter().any(|warning| warning == sentence), "{warnings:?}");
    }
    assert!(testbed.now > began);

    testbed.pace = vec![1];
    testbed.run(8);
    let timeouts = ask::<TimeoutsQuery>(&mut testbed);
    assert_eq!(timeouts[0].udp, 77, "the first change was kept, the second was not made");
    assert_eq!(testbed.ask_during(edit(79), &mut Testbed::poll).0, [Reply::Applied(vec![Ok(())])]);
}
