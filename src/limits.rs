//! Every bound of the program with its reason.

/// Frames taken from a queue at once: one burst fills the prefetch window and still fits the L1 cache.
pub const BURST: usize = 32;

/// Workers (RSS queues) one director runs at most; a hand-off set is a 64-bit mask.
pub const WORKERS_MAX: usize = 64;

/// Ports one director polls at most.
pub const PORTS_MAX: usize = 32;

/// Default capacity: services.
pub const SERVICES_DEFAULT: usize = 16_384;

/// Default capacity: destinations over all services.
pub const DESTINATIONS_DEFAULT: usize = 131_072;

/// Default capacity: connections per worker and address family.
pub const CONNECTIONS_DEFAULT: usize = 1 << 20;

/// Virtual addresses and ports that one NAT server's address and port is traced back to one by one. A hash for each costs
/// what comparing it costs; sixteen of them cost about as much as handing the packet over to one more worker. A reply of a
/// server with more services is looked for at every worker.
pub const ORIGINS: usize = 16;

/// One service has at most the configured number of persistence templates. This part of them is there besides, for the
/// other services: an eighth costs little memory and serves their new clients while one service is flooded.
pub const TEMPLATE_RESERVE: usize = 8;

/// Templates a new one looks at for a place to take when there is no room: about two microseconds under the lock.
pub const TEMPLATES_LOOKED_AT: usize = 32;

/// Ranges of one datagram that are kept apart. The 44 fragments of 64 KiB in Ethernet frames have no more than this in any
/// order.
pub const FRAGMENT_RANGES: usize = 22;

/// Fragments of one source address that wait for their first ones, so that a sender of stray ones takes no other's room.
/// A datagram of 64 KiB in Ethernet frames that comes in reverse order has 44; most have two or three.
pub const FRAGMENTS_OF_SOURCE: usize = 48;

/// ARP and neighbour discovery sent to a port itself that one worker's ring holds: answers to the director's own questions and
/// checks of its address. Neighbours answer at most three quarters of [`INJECT_RING`] questions in 100 ms, and control
/// empties the ring many times in between.
pub const PUNT_RING_NEIGHBOUR_UNICAST: usize = 512;

/// ARP and neighbour discovery sent to a group that one worker's ring holds. Every host of a link causes some.
pub const PUNT_RING_NEIGHBOUR_GROUP: usize = 128;

/// Frames that wait for a next hop's address that one worker's ring holds.
pub const PUNT_RING_UNRESOLVED: usize = 128;

/// All other punts that one worker's ring holds. Strangers can cause each of them.
pub const PUNT_RING_HOST: usize = 256;

/// Frames the punt rings of one worker hold together; beyond its own ring a punt is a counted drop.
pub const PUNT_RINGS: usize =
    PUNT_RING_NEIGHBOUR_UNICAST + PUNT_RING_NEIGHBOUR_GROUP + PUNT_RING_UNRESOLVED + PUNT_RING_HOST;

/// Host punts of one reason that one worker passes on each second, at most [`PUNT_RING_HOST`] at once. Control needs about a
/// microsecond for each, so a flood of one reason at one worker takes half a percent of its time.
pub const HOST_PUNTS_PER_SECOND: u32 = 5000;

/// Frames for one unresolved next hop that one worker passes on each second: control keeps [`NEIGHBOUR_QUEUE`] of them.
pub const UNRESOLVED_PUNTS_PER_SECOND: u32 = 1000;

/// The same, at once: twice what control keeps, as it empties the ring meanwhile.
pub const UNRESOLVED_PUNTS_BURST: u32 = 2 * NEIGHBOUR_QUEUE as u32;

/// Unresolved next hops that one worker tells apart for that bound. Two that fall together share it.
pub const UNRESOLVED_BUCKETS: usize = 256;

/// Frames control may have waiting to be sent through one worker.
pub const INJECT_RING: usize = 1024;

/// Frames in flight from one worker to another.
pub const HANDOFF_RING: usize = 2048;

/// Frames kept per next hop while its address is being resolved.
pub const NEIGHBOUR_QUEUE: usize = 32;

/// Frames kept for all unresolved next hops together, so that a scan of a network does not empty the buffer pool.
pub const NEIGHBOUR_QUEUES: usize = 1024;

/// Next hops control keeps track of.
pub const NEIGHBOURS_MAX: usize = 16_384;

/// Datagrams for the director itself that wait for more fragments.
pub const REASSEMBLY_DATAGRAMS: usize = 64;

/// The same of one source, so that one host does not push out the others'.
pub const REASSEMBLY_PER_SOURCE: usize = 4;

/// Bytes of all their fragments: room for some of the longest.
pub const REASSEMBLY_BYTES: usize = 1 << 20;

/// Fragments of one answer of the director: the longest packet at an MTU of 1280.
pub const REPLY_FRAGMENTS: usize = 54;

/// Rows of one reply on the control socket; larger listings come in several.
pub const REPLY_ROWS: usize = 256;

/// Sessions on the control socket at once; one thread each.
pub const SESSIONS: usize = 32;

/// Bytes of one request line on the control socket: room for the rules of 10,000 services in one request.
pub const REQUEST_BYTES: usize = 16 << 20;

/// Pieces of an answer that wait for a client to read them.
pub const REPLY_PIECES: usize = 8;

/// Longest scheduler name of the ipvsadm interface.
pub const SCHEDULER_NAME: usize = 15;

/// Edits of a destination list that a worker's place in it can catch up with; one that is further
/// behind starts afresh.
pub const SCHEDULER_EDITS: usize = 64;

/// Destination addresses in one of the 1024 cache buckets of an lblc or lblcr service: four times what
/// the kernel aims at, because the addresses come from whoever sends packets.
pub const LOCALITY_BUCKET: usize = 64;

/// Servers that lblcr remembers for one destination address.
pub const LOCALITY_SET: usize = 64;

/// Commands `ipvsadm -R` sends in one request: enough that building and publishing a snapshot for
/// each request does not count, few enough that one request stays about a megabyte.
pub const APPLY_COMMANDS: usize = 4096;
