/* Bursts through the native queue with a kernel that refuses. Built from src/device/tun/native with `write` and `writev`
 * named as the two below, so no interface is needed.
 *
 * Each burst holds packets of a few flows, UDP and TCP, and goes through `queue_write` as the pump calls it: again a few
 * times where it ends early, and then the rest is lost. The kernel is random: it takes a packet or a super-packet, is full
 * for a while, refuses, or is gone. Of every packet must be true: it was delivered once, or is in the rest, or was refused
 * and counted, one of the three; and what is delivered of a flow is in order.
 *
 * queue-faults SEED BURSTS: says what happened as NAME=COUNT, or the first fault, with exit code 1. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>

#include "queue.h"

#define FLOWS 4
#define HEADERS 28 /* of UDP; TCP's are 40 */
#define SLOT (VNET_HEADER + 1500)
/* Calls without progress, as MAX_WRITE_TRIES of src/gateway/pump.ts. */
#define TRIES 8

enum fate { PENDING, DELIVERED, LOST, REFUSED };

static uint64_t state;
static unsigned burst;
static enum fate fates[MAX_BURST];
static int last_of[FLOWS];
static struct {
  unsigned together, delivered, lost, refused, early, behind, full, gone, interrupted;
} seen;

static unsigned under(unsigned n) {
  state = state * 6364136223846793005u + 1442695040888963407u;
  return (unsigned)(state >> 33) % n;
}

static void fault(const char *what, int packet) {
  printf("burst %u, packet %d: %s\n", burst, packet, what);
  exit(1);
}

static void put16(uint8_t *at, unsigned value) {
  at[0] = (uint8_t)(value >> 8);
  at[1] = (uint8_t)value;
}

static unsigned get16(const uint8_t *at) { return (unsigned)at[0] << 8 | at[1]; }

static void meet(int packet, enum fate fate) {
  if (packet < 0 || packet >= MAX_BURST) fault("is none of the burst", packet);
  if (fates[packet] != PENDING) fault("met its fate twice", packet);
  fates[packet] = fate;
}

/* Payloads say how long they are, and whose: what went together is told apart by them. */
static int deliver(const uint8_t *payload, size_t octets) {
  int packets = 0;
  for (; octets > 0; packets++) {
    const size_t length = get16(payload);
    const int packet = payload[2];
    const int flow = payload[3];
    if (length < 4 || length > octets) fault("was cut", packet);
    meet(packet, DELIVERED);
    if (last_of[flow] >= packet) fault("overtook one of its flow", packet);
    last_of[flow] = packet;
    payload += length;
    octets -= length;
  }
  seen.delivered += (unsigned)packets;
  return packets;
}

/* The kernel's moods last for some calls: a full queue is full for all that is tried next. */
static int refusal(void) {
  static int mood;
  static unsigned left;
  const int moods[] = {0, EAGAIN, ENOBUFS, ENOMEM, EIO, EINVAL, EINTR, EBADFD};
  if (left-- == 0) {
    left = under(12);
    mood = under(2) == 0 ? 0 : moods[under(100) == 0 ? 7 : under(7)];
  }
  if (mood == EINTR) left = 0;
  return mood;
}

ssize_t fake_write(int fd, const void *from, size_t octets) {
  (void)fd;
  const uint8_t *packet = (const uint8_t *)from + VNET_HEADER;
  const uint8_t *payload = packet + (packet[9] == 17 ? 28 : 40);
  errno = refusal();
  if (errno == EINTR) seen.interrupted++;
  if (errno == EIO || errno == EINVAL) {
    meet(payload[2], REFUSED);
    seen.refused++;
  }
  if (errno != 0) return -1;
  if (deliver(payload, octets - (size_t)(payload - (const uint8_t *)from)) != 1) fault("is not one", payload[2]);
  return (ssize_t)octets;
}

ssize_t fake_writev(int fd, const struct iovec *parts, int count) {
  (void)fd;
  static uint8_t all[1 << 16];
  errno = refusal();
  if (errno != 0) return -1;
  size_t octets = 0;
  for (int i = 1; i < count; i++) {
    memcpy(all + octets, parts[i].iov_base, parts[i].iov_len);
    octets += parts[i].iov_len;
  }
  if (deliver(all, octets) != count - 1) fault("are not as many as were counted", all[2]);
  seen.together++;
  return (ssize_t)(octets + parts[0].iov_len);
}

static unsigned sum16(const uint8_t *at, size_t octets) {
  unsigned sum = 0;
  for (size_t i = 0; i < octets; i += 2) sum += get16(at + i);
  while (sum >> 16 != 0) sum = (sum & 0xffff) + (sum >> 16);
  return sum;
}

/* A packet whose checksum is left to the kernel, as a sender of this machine's leaves it. */
static int make(uint8_t *p, int number, int flow, unsigned payload, uint32_t *sequence) {
  const bool udp = flow < FLOWS / 2;
  const unsigned headers = udp ? 28 : 40;
  memset(p - VNET_HEADER, 0, VNET_HEADER + headers + payload);
  p[-10] = 1; /* NEEDS_CSUM */
  p[-4] = 20;
  p[-2] = udp ? 6 : 16;
  p[0] = 0x45;
  put16(p + 2, headers + payload);
  put16(p + 6, 0x4000);
  p[8] = 63;
  p[9] = udp ? 17 : 6;
  memcpy(p + 12, (const uint8_t[]){10, 0, 0, 5, 10, 0, 0, 9}, 8);
  put16(p + 10, ~sum16(p, 20) & 0xffff);
  put16(p + 20, 1000 + (unsigned)flow);
  put16(p + 22, 80);
  if (udp) {
    put16(p + 24, 8 + payload);
  } else {
    put16(p + 24, *sequence >> 16);
    put16(p + 26, *sequence & 0xffff);
    p[32] = 5 << 4;
    p[33] = 0x10;
    *sequence += payload;
  }
  put16(p + headers, payload);
  p[headers + 2] = (uint8_t)number;
  p[headers + 3] = (uint8_t)flow;
  return (int)(headers + payload);
}

int main(int argc, char **argv) {
  if (argc != 3) return 2;
  state = strtoull(argv[1], NULL, 10);
  const unsigned bursts = (unsigned)strtoul(argv[2], NULL, 10);
  static uint8_t slab[MAX_BURST * SLOT];
  int32_t offsets[MAX_BURST];
  int32_t lengths[MAX_BURST];
  double counters[COUNTERS] = {0};
  unsigned missing = 0;
  struct queue q = {.fd = -1, .vnet = true, .tso = true, .uso = true, .counters = counters};
  q.tx = (struct window){slab, sizeof slab, offsets, lengths, MAX_BURST, 0};

  for (burst = 0; burst < bursts; burst++) {
    uint32_t sequences[FLOWS] = {0};
    const unsigned payload = 4 + under(300);
    const int count = 1 + (int)under(MAX_BURST);
    const unsigned flows = 1 + under(FLOWS);
    for (int f = 0; f < FLOWS; f++) last_of[f] = -1;
    for (int i = 0; i < count; i++) {
      const int flow = (int)(FLOWS - 1 - under(flows));
      offsets[i] = i * SLOT + VNET_HEADER;
      lengths[i] = make(slab + offsets[i], i, flow, under(8) == 0 ? 4 + under(300) : payload, &sequences[flow]);
      fates[i] = PENDING;
      if (under(200) != 0) continue;
      /* Nobody's mistake but the caller's: it is counted as refused, and never read. */
      lengths[i] = 0;
      fates[i] = REFUSED;
      missing++;
    }
    q.gone = false;

    int from = 0;
    for (int tries = 0; from < count && tries < TRIES;) {
      const int n = queue_write(&q, from, count);
      if (n == QUEUE_GONE) {
        seen.gone++;
        break;
      }
      if (n < 0 || n > count - from) fault("is beyond the burst", from + n);
      from += n;
      if (from < count) seen.early++;
      tries = n > 0 ? 0 : tries + 1;
    }
    /* What is left over is lost, and nothing that lies before it. */
    int before = -1;
    for (int i = from; i < count; i++) {
      const int packet = (offsets[i] - VNET_HEADER) / SLOT;
      if (packet <= before) fault("is left over, out of order", packet);
      before = packet;
      if (lengths[i] == 0) {
        missing--;
        fates[packet] = PENDING;
      }
      meet(packet, LOST);
      seen.lost++;
    }
    const int first = from < count ? (offsets[from] - VNET_HEADER) / SLOT : count;
    for (int i = 0; i < count; i++) {
      if (fates[i] == PENDING) fault("met no fate", i);
      if (fates[i] == DELIVERED && i > first) seen.behind++;
    }
  }
  if (counters[WRITTEN_PACKETS] != seen.delivered) fault("delivered, but not counted so", (int)counters[WRITTEN_PACKETS]);
  if (counters[WRITE_ERRORS] != seen.refused + missing) fault("refused, but not counted so", (int)counters[WRITE_ERRORS]);
  seen.full = (unsigned)counters[FULL];
  printf("together=%u delivered=%u lost=%u refused=%u early=%u behind=%u full=%u gone=%u interrupted=%u\n", seen.together,
         seen.delivered, seen.lost, seen.refused, seen.early, seen.behind, seen.full, seen.gone, seen.interrupted);
  return 0;
}
