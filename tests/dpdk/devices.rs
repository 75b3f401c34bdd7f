//! Queues, RSS and names of ring, null and kernel devices.

use super::{MBUFS, eal, frame, numbered, numbers, pool, port, unique};
use director::dpdk::{Device, Eal, Error, Mbuf, Rss};
use director::io::{Burst, Frame, Queue};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::{Duration, Instant};
use std::{fs, process};

#[test]
fn frames_pass_a_device_complete_and_in_order() {
    let eal = eal();
    let pool = pool(&eal);
    let mut queue = port(&eal, &unique("net_ring"), 1, &pool).remove(0);
    let mut burst = Burst::new();
    for length in 0..32 {
        burst.push(frame(&pool, &vec![length; 60 + usize::from(length)]));
    }
    queue.transmit(&mut burst);
    assert!(burst.is_empty());

    burst.push(numbered(&pool, 7));
    queue.receive(&mut burst);
    assert_eq!(burst.len(), 32, "the burst is filled up");
    assert_eq!(burst[0].bytes()[..4], 7u32.to_be_bytes());
    for (length, frame) in burst[1..].iter().enumerate() {
        assert_eq!(frame.bytes(), vec![length as u8; 60 + length]);
        assert!(frame.is_contiguous());
        assert_eq!(frame.rss_hash(), None);
    }
    Mbuf::free_all(&mut burst);
    queue.receive(&mut burst);
    assert_eq!(burst.len(), 1);

    let statistics = queue.port().statistics().unwrap();
    assert_eq!((statistics.tx_packets, statistics.rx_packets), (32, 32));
    let extended = queue.port().extended_statistics().unwrap();
    assert!(extended.contains(&("tx_good_packets".to_owned(), 32)), "{extended:?}");
}

#[test]
fn refused_frames_stay_in_order() {
    let eal = eal();
    let pool = pool(&eal);
    let mut queue = port(&eal, &unique("net_ring"), 1, &pool).remove(0);
    let mut next = 0;
    let mut taken = 0;
    let refused = loop {
        let mut burst: Burst<Mbuf> = (next..next + 32).map(|n| numbered(&pool, n)).collect();
        next += 32;
        queue.transmit(&mut burst);
        taken += 32 - burst.len() as u32;
        if !burst.is_empty() {
            break burst;
        }
    };
    assert_eq!(taken, 1023, "the device's ring holds one less than a power of two");
    assert_eq!(numbers(&refused), (taken..next).collect::<Vec<_>>());
    assert_eq!(pool.available(), MBUFS - next);
}

#[test]
fn the_last_queue_closes_the_port() {
    let eal = eal();
    let pool = pool(&eal);
    let name = unique("net_null");
    let mut queues = port(&eal, &name, 2, &pool);
    let second = queues.remove(1);
    drop(queues);
    assert_eq!(
        Device::find(&eal, &name).unwrap_err(),
        Error::DeviceInUse { device: name.clone() },
        "one queue is left"
    );
    drop(second);
    assert!(matches!(Device::find(&eal, &name), Err(Error::NoDevice { .. })));
    assert_eq!(pool.available(), MBUFS);
}

#[test]
fn rss_is_programmed_if_possible() {
    let eal = eal();
    let pool = pool(&eal);
    let without = port(&eal, &unique("net_ring"), 1, &pool);
    let Rss::None { why } = without[0].port().rss() else { panic!("a ring has no RSS") };
    assert_eq!(why, "the device has no RSS");

    let with = port(&eal, &unique("net_null"), 3, &pool);
    let Rss::Programmed { key, reta, functions } = with[0].port().rss() else {
        panic!("{:?}", with[0].port().rss())
    };
    assert!(key.len() == 40 && key.chunks(2).all(|pair| pair == [0x6d, 0x5a]), "{key:x?}");
    assert!(reta.iter().enumerate().all(|(entry, queue)| entry % 3 == usize::from(*queue)));
    assert!(!functions.is_empty());
}

#[test]
fn link_and_names_are_reported() {
    let eal = eal();
    let pool = pool(&eal);
    let name = unique("net_ring");
    let queue = port(&eal, &name, 1, &pool).remove(0);
    let port = queue.port();
    assert_eq!((port.name(), port.driver()), (name.as_str(), "net_ring"));
    assert!(port.link().unwrap().up);
    assert_eq!(port.mtu().unwrap(), 1500);
    assert!(Device::names(&eal).contains(&name));
    assert!(Eal::version().starts_with("DPDK "));
}

/// True if the tests with kernel network devices can run.
fn is_root() -> bool {
    let root = fs::metadata("/proc/self").is_ok_and(|own| own.uid() == 0);
    if !root {
        eprintln!("not run: needs root");
    }
    root
}

#[test]
fn a_kernel_interface_makes_a_port_of_two_queues() {
    if !is_root() {
        return;
    }
    let eal = eal();
    let pool = pool(&eal);
    let device = format!("{},iface=lo,qpairs=2", unique("net_af_packet"));
    let mut queues = port(&eal, &device, 2, &pool);
    assert_eq!(queues.len(), 2);
    assert_eq!(queues[0].port().driver(), "net_af_packet");
    assert!(matches!(queues[1].port().rss(), Rss::None { .. }));

    // The EtherType for local experiments (IEEE 802a), which the kernel ignores.
    let mut sent = vec![0; 60];
    sent[12..14].copy_from_slice(&[0x88, 0xb5]);
    sent[14..18].copy_from_slice(&process::id().to_be_bytes());
    let mut burst = Burst::from_iter([frame(&pool, &sent)]);
    queues[1].transmit(&mut burst);
    assert!(burst.is_empty());
    let end = Instant::now() + Duration::from_secs(5);
    let mut seen = false;
    while !seen && Instant::now() < end {
        for queue in &mut queues {
            queue.receive(&mut burst);
            seen |= burst.iter().any(|frame| frame.bytes() == sent);
            Mbuf::free_all(&mut burst);
        }
    }
    assert!(seen, "frames sent on the loopback interface are received on it");
}

#[test]
fn a_tap_carries_frames_to_the_kernel() {
    if !is_root() || !Path::new("/dev/net/tun").exists() {
        return;
    }
    let eal = eal();
    let pool = pool(&eal);
    let interface = format!("dirtap{}", process::id() % 10_000);
    let device = format!("{},iface={interface}", unique("net_tap"));
    let mut queue = port(&eal, &device, 1, &pool).remove(0);
    let counter = Path::new("/sys/class/net").join(&interface).join("statistics/rx_packets");
    let received = || fs::read_to_string(&counter).unwrap().trim().parse::<u64>().unwrap();
    let before = received();
    let mut burst = Burst::from_iter([frame(&pool, &[0xff; 60]), frame(&pool, &[0xff; 60])]);
    queue.transmit(&mut burst);
    assert!(burst.is_empty());
    assert_eq!(received(), before + 2);
    assert!(matches!(queue.port().rss(), Rss::None { .. }), "{}", queue.port().rss());
    drop(queue);
    assert!(!counter.exists(), "the interface is removed with its port");
}
