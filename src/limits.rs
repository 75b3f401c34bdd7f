//! Every bound of the program with its reason.

use std::time::Duration;

/// Frames received at once: a burst fills the prefetch window and still fits the L1 cache.
pub const BURST: usize = 32;

/// Maximum workers (RSS queues): a set of workers is a 64-bit mask.
pub const WORKERS_MAX: usize = 64;

/// Maximum ports.
pub const PORTS_MAX: usize = 32;

/// Default capacity: services.
pub const SERVICES_DEFAULT: usize = 16_384;

/// Default capacity: destinations over all services.
pub const DESTINATIONS_DEFAULT: usize = 131_072;

/// Default capacity: connections per worker and address family.
pub const CONNECTIONS_DEFAULT: usize = 1 << 20;

/// Request addresses stored for one NAT server's address and port. The cost is one hash and comparison each; sixteen cost
/// about as much as a hand-off. Replies of a server with more services are looked up at every worker.
pub const REQUEST_ADDRESSES: usize = 16;

/// A service has at most the configured number of persistence templates. There is room for this part of them (an
/// eighth) in addition, so that other services can serve new clients while one service is flooded.
pub const TEMPLATE_RESERVE: usize = 8;

/// Templates searched for a replaceable one if there is no room: takes about two microseconds under the lock.
pub const TEMPLATES_LOOKED_AT: usize = 32;

/// Maximum kinds of mark rules in one address family. A packet that opens a connection costs a lookup for each, together
/// about a microsecond.
pub const MARK_KINDS: usize = 32;

/// Maximum mark rules with a range of source ports, which are compared one by one: about as much again.
pub const MARK_SOURCE_RANGES: usize = 64;

/// Ranges stored for one datagram. 64 KiB in 44 Ethernet fragments have at most this many in any order.
pub const FRAGMENT_RANGES: usize = 22;

/// Held fragments of one source, so that stray ones take no room from other sources. A datagram of 64 KiB has 44 in
/// reverse order; most datagrams have two or three.
pub const FRAGMENTS_OF_SOURCE: usize = 48;

/// Ring size for unicast ARP and neighbour discovery: answers to the director's solicitations, and probes of its
/// addresses. Neighbours send at most three quarters of [`INJECT_RING`] answers in 100 ms, and control empties the ring
/// much more often.
pub const PUNT_RING_NEIGHBOUR_UNICAST: usize = 512;

/// Ring size for ARP and neighbour discovery sent to a broadcast or multicast address. Every host of a link sends some.
pub const PUNT_RING_NEIGHBOUR_GROUP: usize = 128;

/// Ring size for frames to unresolved next hops.
pub const PUNT_RING_UNRESOLVED: usize = 128;

/// Ring size for all other punts. Anyone can cause them.
pub const PUNT_RING_HOST: usize = 256;

/// Frames in all punt rings of one worker; a punt to a full ring is a counted drop.
pub const PUNT_RINGS: usize =
    PUNT_RING_NEIGHBOUR_UNICAST + PUNT_RING_NEIGHBOUR_GROUP + PUNT_RING_UNRESOLVED + PUNT_RING_HOST;

/// Maximum host punts of one reason and worker in a second, in bursts of at most [`PUNT_RING_HOST`]. Control needs
/// about a microsecond for each, so a flood of one reason at one worker takes half a percent of its time.
pub const HOST_PUNTS_PER_SECOND: u32 = 5000;

/// Maximum punts of one worker for one unresolved next hop in a second: control keeps [`NEIGHBOUR_QUEUE`] of them.
pub const UNRESOLVED_PUNTS_PER_SECOND: u32 = 1000;

/// Maximum burst of these: twice what control keeps, because it empties the ring meanwhile.
pub const UNRESOLVED_PUNTS_BURST: u32 = 2 * NEIGHBOUR_QUEUE as u32;

/// Rate limits of one worker for unresolved next hops. Two next hops with the same hash share one.
pub const UNRESOLVED_BUCKETS: usize = 256;

/// Ring size between one worker and the kernel-port thread, in each direction. That thread looks at the rings every 0.1 ms
/// under traffic, and every 5 ms when it has been quiet.
pub const HOST_RING: usize = 1024;

/// Maximum packets that one worker passes to the host's stack in a second, in bursts of at most
/// [`HOST_PACKETS_BURST`]. With full packets that is more than a gigabit. The kernel needs some microseconds for each.
pub const HOST_PACKETS_PER_SECOND: u32 = 100_000;

/// The share of [`HOST_PACKETS_PER_SECOND`] that one source address may use, so that others get through beside it.
pub const HOST_PACKETS_OF_SOURCE_PER_SECOND: u32 = 80_000;

/// Packets for the host's stack that may come at once: three quarters of [`HOST_RING`].
pub const HOST_PACKETS_BURST: u32 = 768;

/// Packets of one source for the host's stack that may come at once: half of [`HOST_RING`].
pub const HOST_PACKETS_OF_SOURCE_BURST: u32 = 512;

/// Token buckets for the sources of packets to the host. Sources with the same hash share one.
pub const HOST_SOURCE_BUCKETS: usize = 256;

/// Ring size for frames from control through one worker.
pub const INJECT_RING: usize = 1024;

/// Ring size for hand-offs from one worker to another.
pub const HANDOFF_RING: usize = 2048;

/// Frames queued for one unresolved next hop.
pub const NEIGHBOUR_QUEUE: usize = 32;

/// Frames queued for all unresolved next hops, so that a network scan does not empty the buffer pool.
pub const NEIGHBOUR_QUEUES: usize = 1024;

/// Maximum neighbours, besides wanted ones.
pub const NEIGHBOURS_MAX: usize = 16_384;

/// Maximum incomplete datagrams for the director itself.
pub const REASSEMBLY_DATAGRAMS: usize = 64;

/// Maximum of these from one source, so that a host takes no room from others.
pub const REASSEMBLY_PER_SOURCE: usize = 4;

/// Bytes of all their fragments, enough for some of maximum length.
pub const REASSEMBLY_BYTES: usize = 1 << 20;

/// Fragments of one answer of the director: the longest packet at an MTU of 576 has 119. On links with a smaller MTU long
/// echo requests get no answer: one answer must leave room in [`INJECT_RING`] for others.
pub const REPLY_FRAGMENTS: usize = INJECT_RING / 8;

/// Bytes of the longest IP packet of a port: its frame, with a VLAN tag and the check sequence, fills one packet buffer.
pub const MTU_MAX: u16 = 2026;

/// Rows of one reply on the control socket; larger listings come in several.
pub const REPLY_ROWS: usize = 256;

/// Sessions on the control socket at once; one thread each. Further clients wait until one ends.
pub const SESSIONS: usize = 32;

/// Maximum bytes of a request line on the control socket: enough for the rules of 10,000 services.
pub const REQUEST_BYTES: usize = 16 << 20;

/// Pieces of an answer that wait for a client to read them.
pub const REPLY_PIECES: usize = 8;

/// Commands that the control thread applies in one turn for clients, and as many for a reload: most take about ten
/// microseconds, so a turn stays below one millisecond.
pub const COMMANDS_AT_ONCE: usize = 64;

/// Time that the control thread spends on these in one turn, even if they are fewer; half of the bound for both together.
pub const SLICE: Duration = Duration::from_micros(400);

/// Templates the control thread looks at in one turn; the same bound.
pub const TEMPLATES_AT_ONCE: usize = 4096;

/// Services whose lblc or lblcr maps the control thread cleans in one turn; the same bound.
pub const SERVICES_AT_ONCE: usize = 64;

/// A worker that has not polled for so long is stuck: no poll takes a hundredth of it.
pub const WORKER_STALLED: Duration = Duration::from_secs(2);

/// A change that a worker has not taken for so long is logged and shown.
pub const ACKNOWLEDGEMENT_LATE: Duration = Duration::from_secs(1);

/// A change that a worker has not taken for so long is answered with an error, and further ones are refused.
pub const ACKNOWLEDGEMENT_MAX: Duration = Duration::from_secs(5);

/// Longest wait for workers at the end of the process.
pub const JOIN_MAX: Duration = Duration::from_secs(3);

/// Longest scheduler name of the ipvsadm interface.
pub const SCHEDULER_NAME: usize = 15;

/// Edits of a destination list that a worker's position can follow; a position that is further behind restarts.
pub const SCHEDULER_EDITS: usize = 64;

/// Maximum destination addresses in each of the 1024 cache buckets of an lblc or lblcr service: four times the kernel's
/// target, because clients choose the addresses.
pub const LOCALITY_BUCKET: usize = 64;

/// Maximum servers that lblcr stores for one destination address.
pub const LOCALITY_SET: usize = 64;

/// Commands that `ipvsadm -R` sends in one request: enough that the cost of a snapshot per request is negligible, few
/// enough that a request has about a megabyte.
pub const APPLY_COMMANDS: usize = 4096;
