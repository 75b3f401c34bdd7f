/* What the director uses of DPDK: the headers the bindings are read from, the constants that are
 * macros there, and one C function per inline function there. */
#ifndef DIRECTOR_DPDK_H
#define DIRECTOR_DPDK_H

#include <stddef.h>
#include <stdint.h>

#include <rte_alarm.h>
#include <rte_build_config.h>
#include <rte_cycles.h>
#include <rte_dev.h>
#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_ethdev.h>
#include <rte_hash.h>
#include <rte_launch.h>
#include <rte_lcore.h>
#include <rte_mbuf.h>
#include <rte_mbuf_pool_ops.h>
#include <rte_mempool.h>
#include <rte_ring.h>
#include <rte_version.h>

/* The first cache line of struct rte_mbuf. Its members moved in and out of anonymous unions between
 * releases, their offsets never did: shim.c asserts every one of them. */
struct director_mbuf_head {
	void *buf_addr;
	uint64_t iova_or_next;
	uint16_t data_off;
	uint16_t refcnt;
	uint16_t nb_segs;
	uint16_t port;
	uint64_t ol_flags;
	uint32_t packet_type;
	uint32_t pkt_len;
	uint16_t data_len;
	uint16_t vlan_tci;
	uint32_t hash_rss;
	uint32_t hash_high;
	uint16_t vlan_tci_outer;
	uint16_t buf_len;
	struct rte_mempool *pool;
};

static const uint64_t DIRECTOR_RX_RSS_HASH = RTE_MBUF_F_RX_RSS_HASH;
static const uint64_t DIRECTOR_RX_OFFLOAD_RSS_HASH = RTE_ETH_RX_OFFLOAD_RSS_HASH;
static const uint64_t DIRECTOR_TX_OFFLOAD_MBUF_FAST_FREE = RTE_ETH_TX_OFFLOAD_MBUF_FAST_FREE;

static const uint64_t DIRECTOR_RSS_IPV4 = RTE_ETH_RSS_IPV4;
static const uint64_t DIRECTOR_RSS_FRAG_IPV4 = RTE_ETH_RSS_FRAG_IPV4;
static const uint64_t DIRECTOR_RSS_IPV4_TCP = RTE_ETH_RSS_NONFRAG_IPV4_TCP;
static const uint64_t DIRECTOR_RSS_IPV4_UDP = RTE_ETH_RSS_NONFRAG_IPV4_UDP;
static const uint64_t DIRECTOR_RSS_IPV4_SCTP = RTE_ETH_RSS_NONFRAG_IPV4_SCTP;
static const uint64_t DIRECTOR_RSS_IPV4_OTHER = RTE_ETH_RSS_NONFRAG_IPV4_OTHER;
static const uint64_t DIRECTOR_RSS_IPV6 = RTE_ETH_RSS_IPV6;
static const uint64_t DIRECTOR_RSS_FRAG_IPV6 = RTE_ETH_RSS_FRAG_IPV6;
static const uint64_t DIRECTOR_RSS_IPV6_TCP = RTE_ETH_RSS_NONFRAG_IPV6_TCP;
static const uint64_t DIRECTOR_RSS_IPV6_UDP = RTE_ETH_RSS_NONFRAG_IPV6_UDP;
static const uint64_t DIRECTOR_RSS_IPV6_SCTP = RTE_ETH_RSS_NONFRAG_IPV6_SCTP;
static const uint64_t DIRECTOR_RSS_IPV6_OTHER = RTE_ETH_RSS_NONFRAG_IPV6_OTHER;
static const uint64_t DIRECTOR_RSS_IPV6_EX = RTE_ETH_RSS_IPV6_EX;
static const uint64_t DIRECTOR_RSS_IPV6_TCP_EX = RTE_ETH_RSS_IPV6_TCP_EX;
static const uint64_t DIRECTOR_RSS_IPV6_UDP_EX = RTE_ETH_RSS_IPV6_UDP_EX;
static const uint64_t DIRECTOR_RSS_L3_SRC_ONLY = RTE_ETH_RSS_L3_SRC_ONLY;
static const uint64_t DIRECTOR_RSS_L3_DST_ONLY = RTE_ETH_RSS_L3_DST_ONLY;

static const uint32_t DIRECTOR_MULTI_QUEUE_NONE = RTE_ETH_MQ_RX_NONE;
static const uint32_t DIRECTOR_MULTI_QUEUE_RSS = RTE_ETH_MQ_RX_RSS;

struct director_link {
	uint32_t speed_mbps;
	uint8_t up;
	uint8_t full_duplex;
	uint8_t autonegotiated;
};

int director_errno(void);
uint64_t director_rdtsc(void);

uint16_t director_rx_burst(uint16_t port, uint16_t queue, struct rte_mbuf **mbufs, uint16_t count);
uint16_t director_tx_burst(uint16_t port, uint16_t queue, struct rte_mbuf **mbufs, uint16_t count);

struct rte_mbuf *director_mbuf_alloc(struct rte_mempool *pool);
int director_mbuf_alloc_bulk(struct rte_mempool *pool, struct rte_mbuf **mbufs, uint32_t count);
void director_mbuf_free(struct rte_mbuf *mbuf);
/* Cuts a chain of segments to `length` bytes, freeing the segments that lie wholly behind it. */
void director_mbuf_truncate_chain(struct rte_mbuf *mbuf, uint32_t length);

uint32_t director_ring_enqueue(struct rte_ring *ring, struct rte_mbuf **mbufs, uint32_t count);
uint32_t director_ring_dequeue(struct rte_ring *ring, struct rte_mbuf **mbufs, uint32_t count);
uint32_t director_ring_count(const struct rte_ring *ring);
uint32_t director_ring_capacity(const struct rte_ring *ring);
struct rte_ring *director_ring_create(const char *name, uint32_t size, int socket);

struct rte_hash *director_hash_create(const char *name, uint32_t entries, uint32_t key_length,
				      int socket);

/* A pool of mbufs with `room` bytes each that lie one behind the other in one piece of memory, for devices that register
 * all of it by its start and the size of an object (AF_XDP). An mbuf may cross a page, so no device may reach it by
 * physical addresses. NULL with rte_errno set. */
struct rte_mempool *director_packed_pool_create(const char *name, uint32_t count, uint32_t cache,
						uint16_t room, int socket);
uint32_t director_mempool_size(const struct rte_mempool *pool);
int director_link_get(uint16_t port, struct director_link *link);

#endif
