//! Start and stop of the EAL, lcores, time, and error messages.

use super::{MBUFS, eal, numbered, options, pool, port, prefix, unique};
use director::dpdk::{
    Device, Eal, EalOptions, Error, Mbuf, Mempool, Port, PortSettings, cycles, cycles_per_second,
};
use director::io::{Burst, Queue};
use std::path::Path;
use std::process::Command;
use std::time::Instant;
use std::{env, fs, panic};

/// Set in the child process that starts and stops its own EAL.
const STOP_CHILD: &str = "DIRECTOR_DPDK_STOP_CHILD";
/// Last output of that child process.
const STOPPED: &str = "started and stopped";

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
fn errors_say_what_failed_and_what_is_allowed() {
    let eal = eal();
    let pool = pool(&eal);
    let missing = Device::find(&eal, "net_missing0,iface=x").unwrap_err().to_string();
    assert!(missing.starts_with("no device net_missing0: DPDK has "), "{missing}");
    assert!(missing.contains("add \"net_missing0,...\" to dpdk.vdevs"), "{missing}");
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

    let device = Device::find(&eal, &name).expect("a refused setting keeps the device");
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
fn the_tools_do_not_link_dpdk() {
    let needed = |program: &Path| {
        let output = Command::new("ldd").arg(program).output().unwrap();
        String::from_utf8(output.stdout).unwrap().matches("librte_").count()
    };
    assert_eq!(needed(Path::new(env!("CARGO_BIN_EXE_ipvsadm"))), 0);
    assert_eq!(needed(Path::new(env!("CARGO_BIN_EXE_directorctl"))), 0);
    let shared = fs::read_to_string("/proc/self/maps").unwrap().contains("librte_eal.so");
    assert_eq!(needed(&env::current_exe().unwrap()) > 0, shared, "ldd lists the libraries");
}

#[test]
fn stopping_leaves_nothing_behind() {
    if env::var_os(STOP_CHILD).is_some() {
        return start_and_stop();
    }
    let child = Command::new(env::current_exe().unwrap())
        .args(["--exact", "environment::stopping_leaves_nothing_behind", "--nocapture"])
        .env(STOP_CHILD, "1")
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&child.stderr);
    assert!(child.status.success(), "{text}");
    assert!(!text.contains("EAL: "), "DPDK complained: {text}");
    let output = String::from_utf8_lossy(&child.stdout);
    assert!(output.contains(STOPPED), "output of the child: {output}");
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
    assert_eq!(again, Error::AlreadyInitialised, "a process can start the EAL only once");
    println!("{STOPPED}");
}
