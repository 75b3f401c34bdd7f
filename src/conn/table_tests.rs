//! Compares the table with standard maps and a simulated clock, and tests its limits.

use super::*;
use crate::packet::{Address, Tuple};
use proptest::prelude::*;
use std::collections::{BTreeMap, HashMap};
use std::net::{Ipv4Addr, Ipv6Addr};

/// Tuple `number` of a small set, so that ports and addresses often collide.
fn tuple4(number: u32) -> Tuple<u32> {
    Tuple {
        source: u32::from(Ipv4Addr::new(10, 0, 0, 0)) + number / 3,
        destination: u32::from(Ipv4Addr::new(192, 0, 2, 1)),
        source_port: 40_000 + (number % 3) as u16,
        destination_port: 80,
        protocol: 6,
    }
}

fn tuple6(number: u32) -> Tuple<u128> {
    let network = u128::from(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0));
    let tuple = tuple4(number);
    Tuple {
        source: network | u128::from(tuple.source),
        destination: network | u128::from(tuple.destination),
        source_port: tuple.source_port,
        destination_port: tuple.destination_port,
        protocol: tuple.protocol,
    }
}

/// NAT, each with its own server, so that reply tuples are as distinct as the others.
fn connection<A: Address>(tuple: Tuple<A>, server: A, method: Method) -> Connection<A> {
    Connection {
        destination_address: server,
        destination_port: 8080,
        destination: 7,
        ..Connection::new(tuple, method)
    }
}

const SERVER: u32 = 0xc000_0263;

fn method(number: u32) -> Method {
    [Method::Masq, Method::Route, Method::Tunnel][number as usize % 3]
}

#[derive(Clone, Debug)]
enum Action {
    Insert { number: u32, timeout_s: u32 },
    Find { number: u32 },
    Remove { number: u32 },
    Touch { number: u32 },
    SetTimeout { number: u32, timeout_s: u32 },
    Pass { ms: u32 },
    Walk { piece: usize },
}

fn action() -> impl Strategy<Value = Action> {
    let timeout = prop_oneof![0..5u32, 200..400u32, Just(2_678_400)];
    let number = 0..60u32;
    prop_oneof![
        4 => (number.clone(), timeout.clone())
            .prop_map(|(number, timeout_s)| Action::Insert { number, timeout_s }),
        2 => number.clone().prop_map(|number| Action::Find { number }),
        1 => number.clone().prop_map(|number| Action::Remove { number }),
        1 => number.clone().prop_map(|number| Action::Touch { number }),
        2 => (number, timeout)
            .prop_map(|(number, timeout_s)| Action::SetTimeout { number, timeout_s }),
        2 => prop_oneof![0..2_000u32, 200_000..400_000u32, Just(1_000_000_000)]
            .prop_map(|ms| Action::Pass { ms }),
        1 => (1..20usize).prop_map(|piece| Action::Walk { piece }),
    ]
}

/// Expected content of the table: connections by number, and their deadlines in milliseconds that never wrap.
struct Oracle {
    ids: HashMap<u32, ConnectionId>,
    deadlines: BTreeMap<u32, u64>,
    timeouts: HashMap<u32, u32>,
}

/// Maximum delay of an expiry after its deadline: one tick and the rest of another.
const LATE_MS: u64 = 128;

struct Model {
    table: Table<u32>,
    oracle: Oracle,
    now: u64,
}

impl Model {
    fn new(capacity: usize, start: u32) -> Model {
        let oracle =
            Oracle { ids: HashMap::new(), deadlines: BTreeMap::new(), timeouts: HashMap::new() };
        Model { table: Table::new(capacity).unwrap(), oracle, now: u64::from(start) }
    }

    fn now_ms(&self) -> u32 {
        self.now as u32
    }

    fn number(connection: &Connection<u32>) -> u32 {
        (connection.client - tuple4(0).source) * 3 + u32::from(connection.client_port - 40_000)
    }

    fn find(&self, tuple: Tuple<u32>) -> Option<(ConnectionId, Direction)> {
        let hash = self.table.hash(&tuple);
        self.table.prefetch_bucket(hash);
        self.table.prefetch_entry(hash);
        self.table.find(hash, &tuple)
    }

    fn check_found(&self, number: u32) {
        let tuple = tuple4(number);
        let reply = match method(number) {
            Method::Masq => {
                Tuple { source: SERVER + number, source_port: 8080, ..tuple.reversed() }
            }
            _ => tuple.reversed(),
        };
        let id = self.oracle.ids.get(&number);
        let expected = |direction| id.map(|id| (*id, direction));
        assert_eq!(self.find(tuple), expected(Direction::Original));
        assert_eq!(self.find(reply), expected(Direction::Reply));
        if method(number) == Method::Masq {
            assert_eq!(self.find(tuple.reversed()), None);
        }
        assert_eq!(self.find(Tuple { protocol: 17, ..tuple }), None);
    }

    fn restart(&mut self, number: u32) {
        let timeout_ms = u64::from(self.oracle.timeouts[&number]) * 1000;
        self.oracle.deadlines.insert(number, self.now + timeout_ms);
    }

    fn forget(&mut self, number: u32) {
        self.oracle.ids.remove(&number);
        self.oracle.deadlines.remove(&number);
        self.oracle.timeouts.remove(&number);
    }

    fn insert(&mut self, number: u32, timeout_s: u32) {
        if self.oracle.ids.contains_key(&number) {
            return;
        }
        let connection =
            Connection { timeout_s, ..connection(tuple4(number), SERVER + number, method(number)) };
        match self.table.insert(connection, self.now_ms()) {
            Ok(id) => {
                self.oracle.ids.insert(number, id);
                self.oracle.timeouts.insert(number, timeout_s);
                self.restart(number);
            }
            Err(TableFull) => assert_eq!(self.oracle.ids.len(), self.table.capacity()),
        }
    }

    fn act(&mut self, action: Action) {
        let now_ms = self.now_ms();
        match action {
            Action::Insert { number, timeout_s } => self.insert(number, timeout_s),
            Action::Find { number } => self.check_found(number),
            Action::Remove { number } => {
                if let Some(id) = self.oracle.ids.get(&number) {
                    assert_eq!(Self::number(&self.table.remove(*id)), number);
                    assert!(!self.table.contains(*id));
                    self.forget(number);
                }
            }
            Action::Touch { number } => {
                if let Some(id) = self.oracle.ids.get(&number) {
                    self.table.touch(*id, now_ms);
                    self.restart(number);
                }
            }
            Action::SetTimeout { number, timeout_s } => {
                if let Some(id) = self.oracle.ids.get(&number) {
                    self.table.set_timeout(*id, timeout_s, now_ms);
                    self.oracle.timeouts.insert(number, timeout_s);
                    self.restart(number);
                }
            }
            Action::Pass { ms } => self.pass(ms),
            Action::Walk { piece } => self.walk(piece),
        }
        assert_eq!(self.table.len(), self.oracle.ids.len());
    }

    /// Advances the clock, runs the expiry in small parts, and compares the removed connections. Every seventh
    /// connection is kept once.
    fn pass(&mut self, ms: u32) {
        self.now += u64::from(ms);
        let mut gone = Vec::new();
        let mut kept = Vec::new();
        let now_ms = self.now_ms();
        while self.table.expire(now_ms, 5, |_, connection| {
            let number = Self::number(connection);
            if number % 7 == 0 && connection.timeout_s != 60 {
                kept.push(number);
                return Expiry::Keep(60);
            }
            gone.push(number);
            Expiry::Remove
        }) == 5
        {}
        for number in kept {
            assert!(self.oracle.deadlines[&number] <= self.now);
            self.oracle.timeouts.insert(number, 60);
            self.restart(number);
        }
        for number in gone {
            assert!(self.oracle.deadlines[&number] <= self.now);
            self.forget(number);
        }
        let late = self.oracle.deadlines.values().filter(|end| **end + LATE_MS <= self.now).count();
        assert_eq!(late, 0);
    }

    fn walk(&self, piece: usize) {
        let mut seen = Vec::new();
        let mut cursor = Some(0);
        while let Some(from) = cursor {
            let (rows, next) = self.table.iter_from(from, piece);
            seen.extend(rows.map(|(id, connection)| (Self::number(connection), id)));
            cursor = next;
        }
        seen.sort_unstable();
        let mut expected: Vec<_> = self.oracle.ids.iter().map(|(n, id)| (*n, *id)).collect();
        expected.sort_unstable();
        assert_eq!(seen, expected);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn behaves_like_standard_maps(
        capacity in 1..64usize,
        start in prop_oneof![Just(0), Just(u32::MAX - 90_000), any::<u32>()],
        actions in prop::collection::vec(action(), 1..400),
    ) {
        let mut model = Model::new(capacity, start);
        actions.into_iter().for_each(|action| model.act(action));
        (0..60).for_each(|number| model.check_found(number));
        model.walk(7);
    }

    /// All entries can be used with two references each, and again after removal in any order.
    #[test]
    fn full_to_the_last_entry(capacity in 1..3000usize, order: u64) {
        let mut table = Table::<u128>::new(capacity).unwrap();
        let make = |number: u32| connection(tuple6(number), u128::from(number) << 90, Method::Masq);
        for _ in 0..2 {
            let mut ids: Vec<ConnectionId> =
                (0..capacity as u32).map(|number| table.insert(make(number), 0).unwrap()).collect();
            prop_assert!(table.is_full());
            prop_assert_eq!(table.insert(make(capacity as u32), 0), Err(TableFull));
            for number in 0..capacity as u32 {
                let id = ids[number as usize];
                for (tuple, direction) in [
                    (make(number).original_tuple(), Direction::Original),
                    (make(number).reply_tuple(), Direction::Reply),
                ] {
                    prop_assert_eq!(table.find(table.hash(&tuple), &tuple), Some((id, direction)));
                }
            }
            fastrand::Rng::with_seed(order).shuffle(&mut ids);
            for id in ids {
                table.remove(id);
            }
            prop_assert!(table.is_empty());
            for number in 0..capacity as u32 {
                let tuple = make(number).original_tuple();
                prop_assert_eq!(table.find(table.hash(&tuple), &tuple), None);
            }
        }
    }
}

/// Entry and index together are at most two cache lines for IPv4 and three for IPv6.
#[test]
fn memory_per_connection() {
    const CAPACITY: usize = 1_000_000;
    let bytes = Table::<u32>::new(CAPACITY).unwrap().bytes();
    assert!(bytes <= 107 * CAPACITY, "{} bytes per connection", bytes / CAPACITY);
    let bytes = Table::<u128>::new(CAPACITY).unwrap().bytes();
    assert!(bytes <= 171 * CAPACITY, "{} bytes per connection", bytes / CAPACITY);
}

#[test]
fn invalid_capacities_are_refused() {
    assert!(matches!(Table::<u32>::new(0), Err(TableError::Capacity(0))));
    let error = Table::<u32>::new(usize::MAX).err().unwrap();
    assert!(error.to_string().starts_with("a connection table holds 1 to 1073741824 connections"));
}

/// NAT to the virtual address itself: both directions have one hash and one reference.
#[test]
fn nat_to_the_virtual_address_itself() {
    let mut table = Table::<u32>::new(4).unwrap();
    let tuple = tuple4(0);
    let entry = Connection {
        destination_port: tuple.destination_port,
        ..connection(tuple, tuple.destination, Method::Masq)
    };
    let id = table.insert(entry, 0).unwrap();
    let reversed = tuple.reversed();
    assert_eq!(table.find(table.hash(&tuple), &tuple), Some((id, Direction::Original)));
    assert_eq!(table.find(table.hash(&reversed), &reversed), Some((id, Direction::Reply)));
    table.remove(id);
    assert_eq!(table.find(table.hash(&tuple), &tuple), None);
}

#[test]
fn tables_can_move_to_another_thread() {
    fn sent<T: Send>() {}
    sent::<Table<u32>>();
    sent::<Table<u128>>();
}

#[test]
fn entries_by_number() {
    let mut table = Table::<u32>::new(2).unwrap();
    let id = table.insert(connection(tuple4(0), SERVER, Method::Route), 0).unwrap();
    let ids = |table: &Table<u32>| (0..5).filter_map(|n| table.id(n)).collect::<Vec<_>>();
    assert_eq!(ids(&table), [id]);
    table.remove(id);
    table.remove(id);
    assert_eq!(ids(&table), []);
    assert!(table.is_empty());
}

/// As in the kernel, a connection with controlled connections is kept, and checked again later.
#[test]
fn a_kept_connection_expires_later() {
    let mut table = Table::<u32>::new(4).unwrap();
    let id = table.insert(connection(tuple4(1), SERVER, Method::Route), 1000).unwrap();
    let mut asked = Vec::new();
    for now_ms in (1000..200_000).step_by(50) {
        table.expire(now_ms, 64, |_, _| {
            asked.push(now_ms);
            if asked.len() < 3 { Expiry::Keep(60) } else { Expiry::Remove }
        });
    }
    let [first, second, third] = asked[..] else { panic!("asked at {asked:?}") };
    assert!((4000..4128).contains(&first));
    assert!((first + 60_000..first + 60_128).contains(&second));
    assert!((second + 60_000..second + 60_128).contains(&third));
    assert!(!table.contains(id));
}

/// Connections of one client port to virtual address `number`, all with the same NAT server and port.
fn ambiguous(number: u32) -> Connection<u32> {
    let tuple = Tuple { destination: 0xc633_6400 + number, ..tuple4(0) };
    connection(tuple, SERVER, Method::Masq)
}

/// Replies belong to the newest connection. When that ends, in any order, they belong to the next older one.
#[test]
fn ambiguous_replies_belong_to_the_newest_connection() {
    for removals in [[3, 2, 1, 0], [0, 1, 2, 3], [1, 3, 0, 2], [2, 0, 3, 1]] {
        let mut table = Table::<u32>::new(64).unwrap();
        let reply = ambiguous(0).reply_tuple();
        let hash = table.hash(&reply);
        let owner = |table: &Table<u32>| {
            let (id, direction) = table.find(hash, &reply)?;
            assert_eq!(direction, Direction::Reply);
            let hint = table.prefetch_entry(hash);
            assert_eq!(table.verify_hint(hint, &reply), Some((id, direction)), "wrong hint");
            Some(table.get(id).virtual_address - 0xc633_6400)
        };
        let mut ids = Vec::new();
        for number in 0..4 {
            ids.push(table.insert(ambiguous(number), 0).unwrap());
            assert_eq!(owner(&table), Some(number));
        }
        let mut left = vec![0, 1, 2, 3];
        for removed in removals {
            table.remove(ids[removed as usize]);
            left.retain(|number| *number != removed);
            assert_eq!(owner(&table), left.last().copied(), "{removals:?} after {removed}");
            for number in &left {
                let tuple = ambiguous(*number).original_tuple();
                assert!(table.find(table.hash(&tuple), &tuple).is_some());
            }
        }
        table.insert(ambiguous(1), 0).unwrap();
        assert_eq!(owner(&table), Some(1));
    }
}

/// Many connections with the same reply tuple do not lengthen the chain of an insertion.
#[test]
fn the_index_does_not_grow_with_connections_of_equal_replies() {
    let mut table = Table::<u32>::new(60_000).unwrap();
    let hash = table.hash(&ambiguous(0).reply_tuple());
    for number in 0..60_000 {
        table.insert(ambiguous(number), 0).unwrap();
    }
    assert!(table.index.chain_length(hash) <= 3);
    for number in (1..=60_000).rev() {
        table.remove(ConnectionId(number));
    }
    assert!(table.is_empty());
}

/// Connections of one client port to one virtual address and port, each with its own NAT server.
fn of_server(number: u32) -> Connection<u32> {
    connection(tuple4(0), SERVER + number, Method::Masq)
}

/// Packets of the client belong to the newest connection, and replies to that of their server, whatever ends first.
#[test]
fn packets_of_the_client_belong_to_the_newest_connection() {
    for removals in [[3, 2, 1, 0], [0, 1, 2, 3], [1, 3, 0, 2], [2, 0, 3, 1]] {
        let mut table = Table::<u32>::new(64).unwrap();
        let tuple = tuple4(0);
        let owner = |table: &Table<u32>| {
            let hash = table.hash(&tuple);
            let (id, direction) = table.find(hash, &tuple)?;
            assert_eq!(direction, Direction::Original);
            let hint = table.prefetch_entry(hash);
            assert_eq!(table.verify_hint(hint, &tuple), Some((id, direction)), "wrong hint");
            Some(table.get(id).destination_address - SERVER)
        };
        let other = table.insert(connection(tuple4(1), SERVER, Method::Masq), 0).unwrap();
        let ids = [0, 1, 2, 3].map(|number| {
            let id = table.insert_newest(of_server(number), 0).unwrap();
            assert_eq!(owner(&table), Some(number));
            id
        });
        table.remove(other);
        let mut left = vec![0, 1, 2, 3];
        for removed in removals {
            table.remove(ids[removed as usize]);
            left.retain(|number| *number != removed);
            assert_eq!(owner(&table), left.last().copied(), "{removals:?} after {removed}");
            for number in &left {
                let reply = of_server(*number).reply_tuple();
                let found = table.find(table.hash(&reply), &reply);
                assert_eq!(found, Some((ids[*number as usize], Direction::Reply)));
            }
        }
        assert_eq!((table.len(), table.older), (0, 0));
    }
}

/// The older connection may use another method.
#[test]
fn a_newer_call_takes_the_packets_of_a_tunnel() {
    let mut table = Table::<u32>::new(4).unwrap();
    let tuple = tuple4(0);
    let tunnel = table.insert(connection(tuple, SERVER, Method::Tunnel), 0).unwrap();
    let call = table.insert_newest(of_server(1), 0).unwrap();
    let owner = |table: &Table<u32>| table.find(table.hash(&tuple), &tuple);
    assert_eq!(owner(&table), Some((call, Direction::Original)));
    table.remove(call);
    assert_eq!(owner(&table), Some((tunnel, Direction::Original)));
    table.remove(tunnel);
    assert_eq!((owner(&table), table.older), (None, 0));
}

/// Any number of them fits, and the table is empty when all have ended.
#[test]
fn many_connections_with_one_original_tuple() {
    let mut table = Table::<u32>::new(40).unwrap();
    for number in 0..40 {
        table.insert_newest(of_server(number), 0).unwrap();
    }
    assert_eq!(table.insert_newest(of_server(40), 0), Err(TableFull));
    assert_eq!(table.older, 39);
    for number in [7, 40, 1, 20].into_iter().chain(1..=40) {
        table.remove(ConnectionId(number));
    }
    assert_eq!((table.len(), table.older), (0, 0));
    let tuple = tuple4(0);
    assert_eq!(table.find(table.hash(&tuple), &tuple), None);
}
