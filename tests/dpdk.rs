//! The DPDK wrapper over devices that every machine has: rings, files, nothing. Needs neither
//! hugepages nor root. One EAL serves all tests, one test at a time.

use director::dpdk::{
    Device, Eal, EalOptions, Error, Mbuf, Mempool, Port, PortQueue, PortSettings, Rss, cycles,
    cycles_per_second, ring,
};
use director::port::{Burst, Frame, MemoryFrame, Queue};
use parking_lot::{Mutex, MutexGuard};
use proptest::prelude::*;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};
use std::{env, fs, panic, process};

/// mbufs of a test's pool: more than a full ring device takes.
const MBUFS: u32 = 2047;
/// Set in the child that starts and stops an EAL of its own.
const STOP_CHILD: &str = "DIRECTOR_DPDK_STOP_CHILD";

fn options(file_prefix: String) -> EalOptions {
    let core = core_affinity::get_core_ids().unwrap()[0].id;
    EalOptions {
        worker_cores: vec![core],
        memory_mb: Some(64),
        no_huge: true,
        file_prefix,
        ..EalOptions::default()
    }
}

fn prefix() -> String {
    format!("director-test-{}", process::id())
}

fn eal() -> MutexGuard<'static, Eal> {
    static EAL: OnceLock<Mutex<Eal>> = OnceLock::new();
    EAL.get_or_init(|| Mutex::new(Eal::start(&options(prefix())).unwrap())).lock()
}

fn unique(name: &str) -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    format!("{name}{}", NEXT.fetch_add(1, Ordering::Relaxed))
}

fn pool(eal: &Eal) -> Arc<Mempool> {
    Mempool::new(eal, &unique("test"), MBUFS, None).unwrap()
}

/// A device of its own, started, with as many queues as asked.
fn port(eal: &Eal, device: &str, queues: u16, pool: &Arc<Mempool>) -> Vec<PortQueue> {
    eal.attach(device).unwrap();
    let device = Device::find(eal, device).unwrap();
    let settings = PortSettings { queues, ..PortSettings::default() };
    Port::start(device, &settings, &[Arc::clone(pool)]).unwrap().1
}

fn frame(pool: &Mempool, bytes: &[u8]) -> Mbuf {
    let mut frame = pool.allocate().unwrap();
    assert!(frame.append(bytes.len()));
    frame.bytes_mut().copy_from_slice(bytes);
    frame
}

fn numbered(pool: &Mempool, number: u32) -> Mbuf {
    frame(pool, &number.to_be_bytes().repeat(15))
}

fn numbers(burst: &Burst<Mbuf>) -> Vec<u32> {
    burst.iter().map(|frame| u32::from_be_bytes(frame.bytes()[..4].try_into().unwrap())).collect()
}

#[test]
fn frames_pass_a_device_in_order_and_whole() {
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
    assert_eq!(burst.len(), 32, "as many as there was room for, behind what was there");
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
    assert_eq!(taken, 1023, "the device's ring holds a power of two less one");
    assert_eq!(numbers(&refused), (taken..next).collect::<Vec<_>>());
    assert_eq!(pool.available(), MBUFS - next);
}

#[test]
fn dropped_frames_return_to_their_pool() {
    let eal = eal();
    let pool = pool(&eal);
    assert_eq!((pool.size(), pool.available()), (MBUFS, MBUFS));
    let mut burst: Burst<Mbuf> = (0..32).map(|n| numbered(&pool, n)).collect();
    assert_eq!(pool.available(), MBUFS - 32);
    drop(burst.pop());
    assert_eq!(pool.available(), MBUFS - 31);
    Mbuf::free_all(&mut burst);
    assert!(burst.is_empty());
    assert_eq!(pool.available(), MBUFS);

    let all: Vec<Mbuf> = std::iter::from_fn(|| pool.allocate()).collect();
    assert_eq!((all.len() as u32, pool.available()), (MBUFS, 0));
    drop(all);
    assert_eq!(pool.available(), MBUFS);
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

#[derive(Debug, Clone)]
enum Change {
    Prepend(usize),
    TrimFront(usize),
    Append(usize),
    Truncate(usize),
}

fn change() -> impl Strategy<Value = Change> {
    let size = prop_oneof![0..200_usize, 0..2300_usize];
    prop_oneof![
        size.clone().prop_map(Change::Prepend),
        size.clone().prop_map(Change::TrimFront),
        size.clone().prop_map(Change::Append),
        size.prop_map(Change::Truncate),
    ]
}

fn apply<F: Frame>(frame: &mut F, change: &Change, mark: u8) -> bool {
    let before = frame.bytes().len();
    match *change {
        Change::Prepend(count) => {
            let grown = frame.prepend(count);
            if grown {
                frame.bytes_mut()[..count].fill(mark);
            }
            grown
        }
        Change::TrimFront(count) => frame.trim_front(count),
        Change::Append(count) => {
            let grown = frame.append(count);
            if grown {
                frame.bytes_mut()[before..].fill(mark);
            }
            grown
        }
        Change::Truncate(length) => {
            frame.truncate(length);
            true
        }
    }
}

#[test]
fn reshaping_is_that_of_a_frame_in_plain_memory() {
    let eal = eal();
    let pool = pool(&eal);
    let changes = proptest::collection::vec(change(), 0..24);
    proptest!(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() },
    |(bytes in proptest::collection::vec(any::<u8>(), 0..1500), changes in changes)| {
        let mut mbuf = frame(&pool, &bytes);
        let mut oracle = MemoryFrame::new(&bytes);
        for (step, change) in changes.iter().enumerate() {
            let done = apply(&mut mbuf, change, step as u8);
            prop_assert_eq!(done, apply(&mut oracle, change, step as u8), "{:?}", change);
            prop_assert_eq!(mbuf.bytes(), oracle.bytes());
            prop_assert_eq!(mbuf.headroom() + mbuf.bytes().len() + mbuf.tailroom(), 128 + 2048);
        }
    });
    assert_eq!(pool.available(), MBUFS);
}

#[test]
fn a_ring_carries_frames_between_threads() {
    let eal = eal();
    let pool = pool(&eal);
    let (mut producer, mut consumer) = ring(&eal, &unique("test"), 48, None).unwrap();
    assert_eq!(producer.capacity(), 48);
    let mut burst: Burst<Mbuf> = (0..32).map(|n| numbered(&pool, n)).collect();
    producer.send(&mut burst);
    assert!(burst.is_empty());
    burst.extend((32..64).map(|n| numbered(&pool, n)));
    producer.send(&mut burst);
    assert_eq!(numbers(&burst), (48..64).collect::<Vec<_>>(), "no room; kept in order");
    assert_eq!(consumer.len(), 48);

    let reader = std::thread::spawn(move || {
        let mut seen = Vec::new();
        while seen.len() < 64 {
            let mut burst = Burst::new();
            consumer.receive(&mut burst);
            seen.extend(numbers(&burst));
        }
        (seen, consumer)
    });
    while !burst.is_empty() {
        producer.send(&mut burst);
    }
    let (seen, consumer) = reader.join().unwrap();
    assert_eq!(seen, (0..64).collect::<Vec<_>>());
    assert!(consumer.is_empty());

    burst.push(numbered(&pool, 64));
    producer.send(&mut burst);
    drop((producer, consumer));
    assert_eq!(pool.available(), MBUFS, "what was in the ring is freed with it");
}

#[test]
fn work_runs_on_its_lcore() {
    let eal = eal();
    let worker = eal.workers().remove(0);
    assert_eq!((worker.id(), worker.core()), (1, options(prefix()).worker_cores[0]));
    let task = worker.launch(|| (std::thread::current().id(), 6 * 7)).unwrap();
    let (thread, answer) = task.join().unwrap();
    assert_eq!(answer, 42);
    assert_ne!(thread, std::thread::current().id());

    let (release, wait) = std::sync::mpsc::channel::<()>();
    let task = eal.workers().remove(0).launch(move || wait.recv().is_ok()).unwrap();
    let busy = eal.workers().remove(0).launch(|| ()).unwrap_err().to_string();
    assert!(busy.starts_with("lcore 1: Device or resource busy"), "{busy}");
    assert!(!task.is_finished());
    release.send(()).unwrap();
    assert!(task.join().unwrap());

    let panicked =
        eal.workers().remove(0).launch(|| panic::resume_unwind(Box::new("on purpose"))).unwrap();
    assert_eq!(*panicked.join().unwrap_err().downcast::<&str>().unwrap(), "on purpose");
}

#[test]
fn errors_say_what_and_how_to_mend_it() {
    let eal = eal();
    let pool = pool(&eal);
    let missing = Device::find(&eal, "net_missing0,iface=x").unwrap_err().to_string();
    assert!(missing.starts_with("no device net_missing0: DPDK has "), "{missing}");
    assert!(missing.contains("--vdev=net_missing0"), "{missing}");
    let pci = Device::find(&eal, "0000:ff:1f.7").unwrap_err().to_string();
    assert!(pci.contains("`lspci -D`"), "{pci}");
    let driver = eal.attach("net_missing0").unwrap_err().to_string();
    assert!(driver.starts_with("device net_missing0: "), "{driver}");

    let name = unique("net_null");
    eal.attach(&name).unwrap();
    let device = Device::find(&eal, &name).unwrap();
    let queues_max = device.queues_max().unwrap();
    let settings = PortSettings { queues: queues_max + 1, ..PortSettings::default() };
    let pools = [pool];
    let queues = Port::start(device, &settings, &pools).unwrap_err().to_string();
    let asked = u32::from(queues_max) + 1;
    let expected =
        format!("queues {asked} of device {name} is not possible; allowed is 1 to {queues_max}");
    assert_eq!(queues, expected);

    let device = Device::find(&eal, &name).expect("a refused setting leaves the device");
    let settings = PortSettings { mtu: Some(9000), ..PortSettings::default() };
    let mtu = Port::start(device, &settings, &pools).unwrap_err().to_string();
    assert!(mtu.ends_with(" to 2026"), "{mtu}");

    let taken = unique("test");
    let _first = Mempool::new(&eal, &taken, 63, None).unwrap();
    let second = Mempool::new(&eal, &taken, 63, None).unwrap_err().to_string();
    assert!(second.contains("File exists; the name is taken"), "{second}");
    let much = Mempool::new(&eal, &unique("test"), 1 << 20, None).unwrap_err().to_string();
    assert!(much.contains("; raise memory_mb"), "{much}");
}

#[test]
fn one_process_has_one_eal() {
    let _eal = eal();
    let same = Eal::start(&options(prefix())).unwrap_err();
    assert_eq!(same, Error::AlreadyRunning { file_prefix: prefix() });
    let other = Eal::start(&options(format!("{}-other", prefix()))).unwrap_err();
    assert_eq!(other, Error::AlreadyInitialised);
    let no_core = EalOptions { worker_cores: vec![100_000], ..options(prefix()) };
    assert_eq!(Eal::start(&no_core).unwrap_err(), Error::NoCore { core: 100_000 });
    let device = "net_af_packet0,iface=no-such-if".to_owned();
    let no_interface = EalOptions { vdevs: vec![device], ..options(prefix()) };
    let error = Eal::start(&no_interface).unwrap_err().to_string();
    assert!(error.contains("there is no interface \"no-such-if\""), "{error}");
}

#[test]
fn rss_is_programmed_where_it_can_be() {
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
fn link_and_names_are_told() {
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

/// A capture file in the classic format, microseconds, Ethernet.
fn capture(frames: &[Vec<u8>]) -> Vec<u8> {
    let mut file = Vec::new();
    for word in [0xa1b2_c3d4, 0x0004_0002, 0, 0, 65_535, 1_u32] {
        file.extend(word.to_le_bytes());
    }
    for frame in frames {
        let length = frame.len() as u32;
        for word in [0, 0, length, length] {
            file.extend(word.to_le_bytes());
        }
        file.extend(frame);
    }
    file
}

fn temporary(name: &str) -> PathBuf {
    env::temp_dir().join(format!("director-{}-{name}", process::id()))
}

#[test]
fn files_are_read_and_written_and_large_frames_come_in_segments() {
    let eal = eal();
    let pool = pool(&eal);
    let (input, output) = (temporary("in.pcap"), temporary("out.pcap"));
    let frames = [vec![1; 60], vec![2; 5000], vec![3; 1514], vec![4; 5000]];
    fs::write(&input, capture(&frames)).unwrap();
    let device = unique("net_pcap");
    let arguments = format!("{device},rx_pcap={},tx_pcap={}", input.display(), output.display());
    let mut queue = port(&eal, &arguments, 1, &pool).remove(0);
    let mut burst = Burst::new();
    queue.receive(&mut burst);
    let contiguous: Vec<bool> = burst.iter().map(Frame::is_contiguous).collect();
    assert_eq!(contiguous, [true, false, true, false]);
    assert!(!burst[1].append(1), "a chain does not grow");
    burst[1].truncate(3000);
    assert!(!burst[1].is_contiguous());
    burst[3].truncate(1000);
    assert!(burst[3].is_contiguous());
    queue.transmit(&mut burst);
    assert!(burst.is_empty());
    drop(queue);
    assert_eq!(pool.available(), MBUFS);

    let written = fs::read(&output).unwrap();
    let mut lengths = Vec::new();
    let mut records = &written[24..];
    while let [header, rest @ ..] = records.as_chunks::<16>().0 {
        let _ = rest;
        let length = u32::from_le_bytes(header[8..12].try_into().unwrap()) as usize;
        lengths.push(length);
        records = &records[16 + length..];
    }
    assert_eq!(lengths, [60, 3000, 1514, 1000]);
    fs::remove_file(input).unwrap();
    fs::remove_file(output).unwrap();
}

#[test]
fn a_file_is_played_over_and_over() {
    let eal = eal();
    let pool = pool(&eal);
    let input = temporary("endless.pcap");
    let frames: Vec<Vec<u8>> = (1..=4).map(|number| vec![number; 60]).collect();
    fs::write(&input, capture(&frames)).unwrap();
    let arguments = format!("{},rx_pcap={},infinite_rx=1", unique("net_pcap"), input.display());
    let mut queue = port(&eal, &arguments, 1, &pool).remove(0);
    let mut first_bytes = Vec::new();
    while first_bytes.len() < 1024 {
        let mut burst = Burst::new();
        queue.receive(&mut burst);
        first_bytes.extend(burst.iter().map(|frame| frame.bytes()[0]));
        // Without a file to write to the device swallows what is sent.
        queue.transmit(&mut burst);
        assert!(burst.is_empty());
    }
    let expected: Vec<u8> = (1..=4).cycle().take(first_bytes.len()).collect();
    assert_eq!(first_bytes, expected);
    drop(queue);
    assert_eq!(pool.available(), MBUFS);
    fs::remove_file(input).unwrap();
}

/// The drivers below open the kernel's network devices.
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

    // An EtherType for local experiments (IEEE 802a), so that the kernel does nothing with it.
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
    assert!(seen, "what is sent on the loopback interface is received on it");
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
    assert!(!counter.exists(), "the interface goes with its port");
}

#[test]
fn the_time_stamp_counter_runs_at_its_rate() {
    let _eal = eal();
    let (start, clock) = (cycles(), Instant::now());
    while clock.elapsed().as_millis() < 20 {
        std::hint::spin_loop();
    }
    let seconds = clock.elapsed().as_secs_f64();
    let measured = (cycles() - start) as f64 / seconds;
    let said = cycles_per_second() as f64;
    assert!((measured / said - 1.0).abs() < 0.2, "{measured} against {said}");
}

#[test]
fn the_tools_link_no_dpdk() {
    let needed = |program: &Path| {
        let output = Command::new("ldd").arg(program).output().unwrap();
        String::from_utf8(output.stdout).unwrap().matches("librte_").count()
    };
    assert_eq!(needed(Path::new(env!("CARGO_BIN_EXE_ipvsadm"))), 0);
    assert_eq!(needed(Path::new(env!("CARGO_BIN_EXE_directorctl"))), 0);
    let shared = fs::read_to_string("/proc/self/maps").unwrap().contains("librte_eal.so");
    assert_eq!(needed(&env::current_exe().unwrap()) > 0, shared, "ldd tells what is linked");
}

#[test]
fn stopping_leaves_nothing_behind() {
    if env::var_os(STOP_CHILD).is_some() {
        return start_and_stop();
    }
    let child = Command::new(env::current_exe().unwrap())
        .args(["--exact", "stopping_leaves_nothing_behind", "--nocapture"])
        .env(STOP_CHILD, "1")
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&child.stderr);
    assert!(child.status.success(), "{text}");
    assert!(!text.contains("EAL: "), "DPDK complained: {text}");
}

fn start_and_stop() {
    let eal = Eal::start(&options(prefix())).unwrap();
    let pool = Mempool::new(&eal, "stop", MBUFS, None).unwrap();
    let mut queue = port(&eal, "net_ring0", 1, &pool).remove(0);
    drop(eal);
    let mut burst: Burst<Mbuf> = (0..8).map(|n| numbered(&pool, n)).collect();
    queue.transmit(&mut burst);
    queue.receive(&mut burst);
    assert_eq!(burst.len(), 8, "a queue keeps the EAL running");
    drop(burst);
    drop(pool);
    drop(queue);
    for directory in ["/var/run/dpdk", "/tmp/dpdk"] {
        assert!(!Path::new(directory).join(prefix()).exists(), "left in {directory}");
    }
    let again = Eal::start(&options(prefix())).unwrap_err();
    assert_eq!(again, Error::AlreadyInitialised, "the file prefix is free, the process is spent");
}
