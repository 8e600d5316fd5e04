#include "queue.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "coalesce.h"

/* Kernel headers before 6.2 do not have it. */
#ifndef TUN_F_USO4
#define TUN_F_USO4 0x20
#endif

const uint8_t *window_packet(const struct window *w, int i) {
  const int64_t at = w->offsets[i];
  const int64_t length = w->lengths[i];
  if (at < VNET_HEADER || length <= 0 || (uint64_t)at + (uint64_t)length > w->slab_length) return NULL;
  return w->slab + at;
}

static void count(struct queue *q, enum counter which, double by) { q->counters[which] += by; }

int queue_open(struct queue *q, const char *name, bool vnet, bool multi, bool exclusive, const char **step) {
  *step = "open /dev/net/tun";
  int fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
  if (fd < 0) return -errno;

  struct ifreq request;
  memset(&request, 0, sizeof request);
  request.ifr_flags = IFF_TUN | IFF_NO_PI;
  if (vnet) request.ifr_flags |= IFF_VNET_HDR;
  if (multi) request.ifr_flags |= IFF_MULTI_QUEUE;
  if (exclusive) request.ifr_flags |= IFF_TUN_EXCL;
  strncpy(request.ifr_name, name, IFNAMSIZ - 1);
  *step = "TUNSETIFF";
  int failed = ioctl(fd, TUNSETIFF, &request);
  if (failed == 0 && vnet) {
    /* Both are the defaults of little-endian machines; said aloud, they hold on every machine. */
    int size = VNET_HEADER;
    int yes = 1;
    *step = "TUNSETVNETHDRSZ";
    failed = ioctl(fd, TUNSETVNETHDRSZ, &size);
    if (failed == 0) {
      *step = "TUNSETVNETLE";
      failed = ioctl(fd, TUNSETVNETLE, &yes);
    }
  }
  if (failed != 0) {
    int error = errno;
    close(fd);
    return -error;
  }
  q->fd = fd;
  q->vnet = vnet;
  q->tso = q->uso = false;
  q->gone = false;
  memcpy(q->name, request.ifr_name, IFNAMSIZ);
  q->name[IFNAMSIZ - 1] = '\0';
  return 0;
}

int queue_offload(struct queue *q, unsigned flags) {
  if (ioctl(q->fd, TUNSETOFFLOAD, (unsigned long)flags) != 0) return -errno;
  /* A kernel that gives super-packets of a kind takes them too. */
  q->tso = q->vnet && (flags & TUN_F_TSO4) != 0;
  q->uso = q->vnet && (flags & TUN_F_USO4) != 0;
  return 0;
}

/* The kernel cuts a packet that is longer than the buffer without a word; only the packet's own length tells.
 * A total length of 0 (BIG TCP) cannot be told from a cut, and is let pass. */
static bool cut_short(const uint8_t *packet, size_t length) {
  if (length >= 4 && packet[0] >> 4 == 4) return (size_t)(packet[2] << 8 | packet[3]) > length;
  if (length >= 6 && packet[0] >> 4 == 6) return (size_t)(packet[4] << 8 | packet[5]) + 40 > length;
  return false;
}

int queue_read(struct queue *q, int max) {
  const struct window *w = &q->rx;
  if (q->gone) return QUEUE_GONE;
  if (max > MAX_BURST) max = MAX_BURST;
  if (max > 0 && (size_t)max > w->count) max = (int)w->count;

  const size_t header = q->vnet ? VNET_HEADER : 0;
  int n = 0;
  double octets = 0;
  /* Packets that the kernel gave and that count for nothing must not keep a burst going for ever. */
  for (int tries = 0; n < max && tries < 2 * MAX_BURST; tries++) {
    const int64_t at = w->offsets[n];
    if (at < VNET_HEADER || (uint64_t)at + w->slot_size > w->slab_length) {
      if (n == 0) return QUEUE_BAD_SLOT;
      break;
    }
    uint8_t *packet = w->slab + at;
    if (header == 0) memset(packet - VNET_HEADER, 0, VNET_HEADER);
    const ssize_t got = read(q->fd, packet - header, w->slot_size + header);
    if (got < 0) {
      if (errno == EINTR) continue;
      if (errno == EAGAIN) break;
      if (errno == EBADFD || errno == EIO || errno == EFAULT || errno == ENODEV) {
        q->gone = true;
        break;
      }
      count(q, READ_ERRORS, 1);
      continue;
    }
    const size_t length = (size_t)got - header;
    if ((size_t)got <= header || (length == w->slot_size && cut_short(packet, length))) {
      count(q, READ_ERRORS, 1);
      continue;
    }
    w->lengths[n++] = (int32_t)length;
    octets += (double)length;
  }
  count(q, READ_PACKETS, n);
  count(q, READ_OCTETS, octets);
  return n == 0 && q->gone ? QUEUE_GONE : n;
}

/* Puts the packets that have gone (bit k: the entry i + k) before those that have not, each in their order. Returns where
 * these begin. */
static int settle(const struct window *w, int i, uint64_t gone) {
  for (int k = i; gone != 0; k++, gone >>= 1) {
    if ((gone & 1) == 0) continue;
    const int32_t offset = w->offsets[k];
    const int32_t length = w->lengths[k];
    const size_t octets = (size_t)(k - i) * sizeof(int32_t);
    memmove(w->offsets + i + 1, w->offsets + i, octets);
    memmove(w->lengths + i + 1, w->lengths + i, octets);
    w->offsets[i] = offset;
    w->lengths[i++] = length;
  }
  return i;
}

int queue_write(struct queue *q, int from, int count_) {
  const struct window *w = &q->tx;
  if (q->gone) return QUEUE_GONE;
  if (from < 0) from = 0;
  if (count_ > 0 && (size_t)count_ > w->count) count_ = (int)w->count;

  const size_t header = q->vnet ? VNET_HEADER : 0;
  int i = from;
  int sent = 0;
  double octets = 0;
  /* Bit k: the packet k entries on has gone with one before it. */
  uint64_t gone = 0;
  struct together together;
  for (; i < count_; i++, gone >>= 1) {
    if ((gone & 1) != 0) continue;
    const uint8_t *packet = window_packet(w, i);
    const size_t length = (size_t)w->lengths[i];
    if (packet == NULL) {
      count(q, WRITE_ERRORS, 1);
      continue;
    }
    if (q->tso || q->uso) {
      coalesce(w, i, count_, q->tso, q->uso, &together);
      if (together.packets > 1 && writev(q->fd, together.parts, 1 + together.packets) >= 0) {
        sent += together.packets;
        gone |= together.members;
        octets += (double)together.octets;
        continue;
      }
      /* What the kernel refuses together may be right one by one, and each is counted. */
    }
    ssize_t written;
    do written = write(q->fd, packet - header, length + header);
    while (written < 0 && errno == EINTR);
    if (written >= 0) {
      sent++;
      octets += (double)length;
      continue;
    }
    if (errno == EAGAIN || errno == ENOBUFS || errno == ENOMEM) {
      count(q, FULL, 1);
      break;
    }
    if (errno == EBADFD || errno == ENODEV) {
      q->gone = true;
      break;
    }
    /* EINVAL: malformed. EIO: the interface is down, as a router would find it; it may come up again. */
    count(q, WRITE_ERRORS, 1);
  }
  if (i < count_) i = settle(w, i, gone);
  count(q, WRITTEN_PACKETS, sent);
  count(q, WRITTEN_OCTETS, octets);
  if (i == from && q->gone) return QUEUE_GONE;
  return i > from ? i - from : 0;
}

void queue_close(struct queue *q) {
  if (q->fd >= 0) close(q->fd);
  q->fd = -1;
  q->gone = true;
}
