/* One queue of a TUN interface, and the bursts in and out of it. Knows nothing of JavaScript. */
#ifndef CULVERT_TUN_QUEUE_H
#define CULVERT_TUN_QUEUE_H

#include <net/if.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Octets of the virtio-net header (struct virtio_net_hdr), which lie right before each packet. */
#define VNET_HEADER 10
#define MAX_BURST 64

/* What read and write answer once the interface is gone; the same number as GONE in src/device/device.ts. */
#define QUEUE_GONE (-1)
/* A slot does not lie in the slab. */
#define QUEUE_BAD_SLOT (-2)

/* Places in the array of counters; the same order as in src/device/tun/tun-device.ts. */
enum counter {
  READ_PACKETS,
  READ_OCTETS,
  WRITTEN_PACKETS,
  WRITTEN_OCTETS,
  READ_ERRORS,
  WRITE_ERRORS,
  FULL,
  COUNTERS
};

/* Memory of the caller's: packets lie in the slab at `offsets`, their octets are in `lengths`. */
struct window {
  uint8_t *slab;
  size_t slab_length;
  int32_t *offsets;
  int32_t *lengths;
  /* Entries of `offsets` and `lengths`. */
  size_t count;
  /* Reading only: octets that a packet may take. */
  size_t slot_size;
};

/* The packet of an entry, or NULL where it does not lie in the slab with room for a virtio-net header before it. */
const uint8_t *window_packet(const struct window *w, int i);

struct queue {
  int fd;
  /* IFF_VNET_HDR: the kernel gives and takes a virtio-net header. */
  bool vnet;
  /* It takes super-packets of TCP, and of UDP. */
  bool tso;
  bool uso;
  /* The interface was removed; only closing is left. */
  bool gone;
  char name[IFNAMSIZ];
  struct window rx;
  struct window tx;
  double *counters;
};

/* Opens a queue of the interface `name` (empty: the kernel chooses), which is made if it is not there; with `exclusive`
 * it must not be there.
 * Returns 0, or -errno with *step naming the call that failed. */
int queue_open(struct queue *q, const char *name, bool vnet, bool multi, bool exclusive, const char **step);

/* TUNSETOFFLOAD with TUN_F_* flags. Returns 0 or -errno. */
int queue_offload(struct queue *q, unsigned flags);

/* Fills up to `max` slots of q->rx. Returns packets read, QUEUE_GONE or QUEUE_BAD_SLOT. */
int queue_read(struct queue *q, int max);

/* Sends the packets [from, count) of q->tx, those of one flow together (coalesce.h). Returns how many were dealt with
 * (sent, or refused by the kernel and counted), or QUEUE_GONE. Where it ends early, these are put first: a packet may have
 * gone with one before it, past others that the kernel did not take. */
int queue_write(struct queue *q, int from, int count);

void queue_close(struct queue *q);

#endif
