/* Packets of one flow as one. Knows nothing of JavaScript. */
#ifndef CULVERT_TUN_COALESCE_H
#define CULVERT_TUN_COALESCE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

#include "queue.h"

/* IPv4 header without options, TCP header with all that it can have. */
#define MOST_HEADERS 80

/* Packets that go as one. */
struct together {
  int packets;
  /* Of all of them, each with its headers. */
  size_t octets;
  /* Bit k: the packet k entries behind the first. */
  uint64_t members;
  /* The virtio-net header and the packets' common headers, then their payloads where they lie. */
  struct iovec parts[1 + MAX_BURST];
  uint8_t head[VNET_HEADER + MOST_HEADERS];
};

/* Finds what goes together with the packet `from`, before `to` and at most 63 entries on: all of its flow up to the
 * first that does not fit. The rest of `together` is set where `packets` is two or more. */
void coalesce(const struct window *w, int from, int to, bool tcp, bool udp, struct together *together);

#endif
