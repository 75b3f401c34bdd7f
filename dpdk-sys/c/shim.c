/* One function per inline function of DPDK, and the assertions the Rust side relies on. */
#include "dpdk.h"

#define SAME_PLACE(mine, theirs)                                                                   \
	_Static_assert(offsetof(struct director_mbuf_head, mine) ==                                \
			       offsetof(struct rte_mbuf, theirs),                                  \
		       "struct rte_mbuf has moved " #theirs)

SAME_PLACE(buf_addr, buf_addr);
SAME_PLACE(data_off, data_off);
SAME_PLACE(refcnt, refcnt);
SAME_PLACE(nb_segs, nb_segs);
SAME_PLACE(port, port);
SAME_PLACE(ol_flags, ol_flags);
SAME_PLACE(packet_type, packet_type);
SAME_PLACE(pkt_len, pkt_len);
SAME_PLACE(data_len, data_len);
SAME_PLACE(vlan_tci, vlan_tci);
SAME_PLACE(hash_rss, hash.rss);
SAME_PLACE(vlan_tci_outer, vlan_tci_outer);
SAME_PLACE(buf_len, buf_len);
SAME_PLACE(pool, pool);
_Static_assert(sizeof(struct director_mbuf_head) == 64, "one cache line");
_Static_assert(sizeof(struct director_mbuf_head) <= RTE_CACHE_LINE_SIZE, "of this processor, too");

/* A frame that is received, looked at, rewritten, sent or dropped is asked for nothing behind the members above. What lies
 * in the second line is touched where there is no other way, and never for a frame that is only forwarded:
 *   next        director_mbuf_free, director_mbuf_truncate_chain: of frames in several segments alone (where DPDK is built
 *               for addresses of virtual memory it is in the first line); drivers that are not allowed to free sent mbufs
 *               without a look at each (RTE_ETH_TX_OFFLOAD_MBUF_FAST_FREE) read it, too
 *   tx_offload  written with zero by director_mbuf_alloc, that is for pieces of a fragmented packet and for frames of the
 *               control thread; no offload is ever asked for */

int director_errno(void)
{
	return rte_errno;
}

uint64_t director_rdtsc(void)
{
	return rte_rdtsc();
}

uint16_t director_rx_burst(uint16_t port, uint16_t queue, struct rte_mbuf **mbufs, uint16_t count)
{
	return rte_eth_rx_burst(port, queue, mbufs, count);
}

uint16_t director_tx_burst(uint16_t port, uint16_t queue, struct rte_mbuf **mbufs, uint16_t count)
{
	return rte_eth_tx_burst(port, queue, mbufs, count);
}

struct rte_mbuf *director_mbuf_alloc(struct rte_mempool *pool)
{
	return rte_pktmbuf_alloc(pool);
}

int director_mbuf_alloc_bulk(struct rte_mempool *pool, struct rte_mbuf **mbufs, uint32_t count)
{
	return rte_pktmbuf_alloc_bulk(pool, mbufs, count);
}

void director_mbuf_free(struct rte_mbuf *mbuf)
{
	/* One segment with a buffer of its own that nobody else holds: as it has to be in its pool, `next` included. */
	if (likely(mbuf->nb_segs == 1 && RTE_MBUF_DIRECT(mbuf) && rte_mbuf_refcnt_read(mbuf) == 1))
		rte_mbuf_raw_free(mbuf);
	else
		rte_pktmbuf_free(mbuf);
}

void director_mbuf_truncate_chain(struct rte_mbuf *mbuf, uint32_t length)
{
	struct rte_mbuf *last = mbuf;
	uint32_t left = length;
	uint16_t segments = 1;

	if (length >= mbuf->pkt_len)
		return;
	while (left > last->data_len && last->next != NULL) {
		left -= last->data_len;
		last = last->next;
		segments++;
	}
	rte_pktmbuf_free(last->next);
	last->next = NULL;
	last->data_len = (uint16_t)left;
	mbuf->nb_segs = segments;
	mbuf->pkt_len = length;
}

uint32_t director_ring_enqueue(struct rte_ring *ring, struct rte_mbuf **mbufs, uint32_t count)
{
	return rte_ring_sp_enqueue_burst(ring, (void *const *)mbufs, count, NULL);
}

uint32_t director_ring_dequeue(struct rte_ring *ring, struct rte_mbuf **mbufs, uint32_t count)
{
	return rte_ring_sc_dequeue_burst(ring, (void **)mbufs, count, NULL);
}

uint32_t director_ring_count(const struct rte_ring *ring)
{
	return rte_ring_count(ring);
}

uint32_t director_ring_capacity(const struct rte_ring *ring)
{
	return rte_ring_get_capacity(ring);
}

struct rte_ring *director_ring_create(const char *name, uint32_t size, int socket)
{
	return rte_ring_create(name, size, socket,
			       RING_F_SP_ENQ | RING_F_SC_DEQ | RING_F_EXACT_SZ);
}

struct rte_hash *director_hash_create(const char *name, uint32_t entries, uint32_t key_length,
				      int socket)
{
	/* One thread: no locks. The extension buckets take what finds no place by moving others, so that
	 * every entry asked for can be used. Without a function of the caller's the library hashes by CRC-32C,
	 * on x86 with the instruction for it; its header would leave a constructor in every program. */
	const struct rte_hash_parameters parameters = {
		.name = name,
		.entries = entries,
		.key_len = key_length,
		.socket_id = socket,
		.extra_flag = RTE_HASH_EXTRA_FLAGS_EXT_TABLE,
	};

	return rte_hash_create(&parameters);
}

struct rte_mempool *director_packed_pool_create(const char *name, uint32_t count, uint32_t cache,
						uint16_t room, int socket)
{
	struct rte_pktmbuf_pool_private private = { .mbuf_data_room_size = room };
	struct rte_mempool *pool =
		rte_mempool_create_empty(name, count, sizeof(struct rte_mbuf) + room, cache, sizeof(private), socket,
					 RTE_MEMPOOL_F_NO_IOVA_CONTIG);
	int outcome;

	if (pool == NULL)
		return NULL;
	outcome = rte_mempool_set_ops_byname(pool, rte_mbuf_best_mempool_ops(), NULL);
	if (outcome == 0) {
		rte_pktmbuf_pool_init(pool, &private);
		outcome = rte_mempool_populate_default(pool);
	}
	if (outcome >= 0 && pool->nb_mem_chunks != 1)
		outcome = -ENOMEM;
	if (outcome < 0) {
		rte_mempool_free(pool);
		rte_errno = -outcome;
		return NULL;
	}
	rte_mempool_obj_iter(pool, rte_pktmbuf_init, NULL);
	return pool;
}

uint32_t director_mempool_size(const struct rte_mempool *pool)
{
	return pool->size;
}

int director_link_get(uint16_t port, struct director_link *link)
{
	struct rte_eth_link now = {0};
	int outcome = rte_eth_link_get_nowait(port, &now);

	if (outcome != 0)
		return outcome;
	link->speed_mbps = now.link_speed == RTE_ETH_SPEED_NUM_UNKNOWN ? 0 : now.link_speed;
	link->up = now.link_status == RTE_ETH_LINK_UP;
	link->full_duplex = now.link_duplex == RTE_ETH_LINK_FULL_DUPLEX;
	link->autonegotiated = now.link_autoneg == RTE_ETH_LINK_AUTONEG;
	return 0;
}
