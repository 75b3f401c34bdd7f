//! Answers of a recorded kernel, compared byte by byte.

use super::*;
use crate::packet::ethernet::ETHERNET;
use crate::packet::ipv4;

/// One step of a recorded transcript: the frame received and the frames sent.
type Step = (InterfaceId, Vec<u8>, Vec<(InterfaceId, Vec<u8>)>);

fn recorded(transcript: &str) -> Vec<Step> {
    let unhex = |value: &serde_json::Value| -> Vec<u8> {
        let digits = value["frame"].as_str().unwrap().as_bytes().chunks(2);
        digits.map(|two| u8::from_str_radix(str::from_utf8(two).unwrap(), 16).unwrap()).collect()
    };
    let port = |value: &serde_json::Value| if value["port"] == "wan0" { WAN } else { LAN };
    let transcript: serde_json::Value = serde_json::from_str(transcript).unwrap();
    let steps = transcript["steps"].as_array().unwrap().iter();
    steps
        .filter(|step| step.get("send").is_some())
        .map(|step| {
            let out = step["out"].as_array().unwrap().iter();
            let out = out.map(|each| (port(each), unhex(each))).collect();
            (port(&step["send"]), unhex(&step["send"]), out)
        })
        .collect()
}

/// Clears fields that differ from run to run: identification (and the header checksum) without DF, flow label.
fn settled(mut frames: Vec<(InterfaceId, Vec<u8>)>) -> Vec<(InterfaceId, Vec<u8>)> {
    for (_, bytes) in &mut frames {
        match bytes[12..14] {
            [0x08, 0x00] if bytes[20] & 0x40 == 0 => {
                bytes[18..20].fill(0);
                ipv4::write_checksum(&mut bytes[ETHERNET..ETHERNET + ipv4::HEADER]);
            }
            [0x86, 0xdd] => {
                bytes[15] &= 0xf0;
                bytes[16..18].fill(0);
            }
            _ => {}
        }
    }
    frames
}

/// The worker's punt reason for a frame, derived from the kernel's answer. `None`: it was forwarded.
fn reason(received: &[u8], answer: &[u8]) -> Option<PuntReason> {
    let (original_destination, answered) = match (&received[12..14], &answer[12..14]) {
        ([0x08, 0x00], [0x08, 0x00]) => (received[23], (answer[23], answer[34], answer[35])),
        ([0x86, 0xdd], [0x86, 0xdd]) => (received[20], (answer[20], answer[54], answer[55])),
        _ => return None,
    };
    match (original_destination, answered) {
        (1, (1, 0, 0)) | (58, (58, 129, 0)) => Some(PuntReason::IcmpEcho),
        (6, (1, 3, 4)) => Some(PuntReason::FragmentationNeeded),
        (6, (1, 3, 3)) => Some(PuntReason::NoDestination),
        (17, (1, 3, 3)) => Some(PuntReason::UnservedPort),
        (6, (6, ..)) if answer[26..30] == received[30..34] || received[12] == 0x86 => {
            (answer[6..12] == WAN_MAC).then_some(PuntReason::UnservedPort)
        }
        _ => None,
    }
}

#[test]
fn a_kernels_answers() {
    let mut answers = 0;
    for (name, transcript) in [
        ("fwd-vip-local", include_str!("../../../tests/golden/fwd-vip-local.json")),
        ("fwd-tun-mtu", include_str!("../../../tests/golden/fwd-tun-mtu.json")),
        ("sched-all-zero", include_str!("../../../tests/golden/sched-all-zero.json")),
        ("sched-ovf-edit", include_str!("../../../tests/golden/sched-ovf-edit.json")),
        ("sched-ovf-est", include_str!("../../../tests/golden/sched-ovf-4-3-2-est.json")),
        ("sched-sh-zero", include_str!("../../../tests/golden/sched-sh-zero-mid-plain.json")),
        ("state-removed", include_str!("../../../tests/golden/state-dest-removed.json")),
        ("v6-icmp", include_str!("../../../tests/golden/v6-icmp.json")),
    ] {
        let mut director = TestHost::new();
        for (port, received, expected) in recorded(transcript) {
            director.now = director.now + Duration::from_millis(12);
            let Some(reason) = expected.first().and_then(|(_, answer)| reason(&received, answer))
            else {
                continue;
            };
            let answered = director.input(port, reason, &received);
            assert_eq!(settled(answered), settled(expected), "{name} {reason:?}");
            answers += 1;
        }
    }
    assert!(answers > 50, "{answers} answers compared");
}
