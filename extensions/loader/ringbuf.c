// SPDX-License-Identifier: GPL-2.0-only
/*
 * Take samples out of a ring buffer through its pages: first the consumer's
 * position, then the producer's, then the data, mapped twice in a row so that
 * every sample is contiguous. libbpf's reader takes all samples: it can't stop
 * after some of them, nor tell if more are left.
 */
#include "answer.h"
#include "info.h"
#include "maps.h"

#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>

struct ring {
	uint64_t *consumer;       /* written by this process */
	const uint64_t *producer; /* written by the kernel */
	const uint8_t *data;
	size_t page, size;
};

static int map_ring(struct ring *ring, const struct map *map)
{
	ring->page = (size_t)sysconf(_SC_PAGESIZE);
	ring->size = map->max_entries;
	ring->consumer = mmap(NULL, ring->page, PROT_READ | PROT_WRITE, MAP_SHARED, map->fd, 0);
	if (ring->consumer == MAP_FAILED)
		return -errno;
	ring->producer = mmap(NULL, ring->page + 2 * ring->size, PROT_READ, MAP_SHARED, map->fd,
			      (off_t)ring->page);
	if (ring->producer == MAP_FAILED) {
		int error = -errno;

		munmap(ring->consumer, ring->page);
		return error;
	}
	ring->data = (const uint8_t *)ring->producer + ring->page;
	return 0;
}

static void unmap_ring(struct ring *ring)
{
	munmap(ring->consumer, ring->page);
	munmap((void *)(uintptr_t)ring->producer, ring->page + 2 * ring->size);
}

/* True if there is a sample, even one that its producer has not finished. */
static bool more(const struct ring *ring)
{
	return *ring->consumer < __atomic_load_n(ring->producer, __ATOMIC_ACQUIRE);
}

void read_ring(const struct map *map, uint64_t limit, struct json *answer)
{
	uint64_t count = 0, place;
	struct ring ring = { 0 };
	int error = map_ring(&ring, map);

	if (error) {
		fail(answer, "read", error, "%s: its pages can't be mapped: %s", map->name,
		     error_text(error));
		return;
	}
	json_open(answer, "entries", '[');
	while (count < limit && more(&ring)) {
		const uint8_t *sample = ring.data + (*ring.consumer & (ring.size - 1));
		uint32_t head = __atomic_load_n((const uint32_t *)sample, __ATOMIC_ACQUIRE);
		uint32_t size = head & ~(BPF_RINGBUF_BUSY_BIT | BPF_RINGBUF_DISCARD_BIT);

		if (head & BPF_RINGBUF_BUSY_BIT)
			break; /* reserved, and neither submitted nor discarded */
		if (!(head & BPF_RINGBUF_DISCARD_BIT)) {
			describe_value(answer, sample + BPF_RINGBUF_HDR_SZ, size);
			count++;
		}
		place = *ring.consumer + ((size + BPF_RINGBUF_HDR_SZ + 7) & ~7u);
		__atomic_store_n(ring.consumer, place, __ATOMIC_RELEASE);
	}
	json_close(answer, ']');
	json_bool(answer, "truncated", more(&ring));
	unmap_ring(&ring);
}
