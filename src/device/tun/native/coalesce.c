/* What the kernel's GRO does with what a network card receives, done before the write: packets of one flow that stand
 * in one burst go into the kernel as one, which passes its stack once. Sockets get what they would have got:
 *
 * - Payloads of one size, a smaller one last, make a super-packet, by whose size of segments the kernel cuts it up
 *   again where it has to: a socket without UDP_GRO gets datagrams as they were.
 * - A small TCP segment and a larger one behind it make one segment of at most 576 octets, which is what a host takes
 *   that has named no MSS (RFC 9293 section 3.7.1). Mostly these are the PROXY header and the client's first data.
 *   Where a receiver or a path beyond this host takes less, the segment may be lost; then both go again, and at the
 *   latest when the header's timer sends it, apart.
 *
 * Rules of the receiving host that look into packets, or count them, see one in place of several.
 *
 * Only what is fully understood goes together, and says the same in all but payload and what follows from it:
 * - The payload is as its sender wrote it. Either its checksum is left to us (NEEDS_CSUM), so that a TCP or UDP of this
 *   machine vouches for it, or it is a small TCP segment whose checksum is right. A damaged payload or IPv4 header
 *   would get a new, right checksum.
 * - IPv4 without options, whole, with DF: its identification then means nothing (RFC 6864), and nobody misses it.
 * - Same addresses, ports, TOS and TTL. TCP: same acknowledgment, window and options (so the same time stamp), no flag
 *   but ACK and PSH, and each segment begins where the one before ended.
 * - A shorter datagram ends a run of at least two: a datagram that is larger than its neighbours may be a probe of the
 *   path's MTU (RFC 8899), made to be lost, and must not take the next one along.
 *
 * Other flows' packets may stand in between; no packet overtakes one of its own flow. */
#include "coalesce.h"

#include <string.h>

#define NEEDS_CSUM 1
#define GSO_NONE 0
#define GSO_TCPV4 1
#define GSO_UDP_L4 5

#define IP 20
#define UDP 8
#define TCP 20
#define PROTOCOL_TCP 6
#define PROTOCOL_UDP 17
#define ACK 0x10
#define PSH 0x08
#define MOST_OCTETS 65535
#define JOINED_OCTETS 576

static unsigned get16(const uint8_t *at) { return (unsigned)at[0] << 8 | at[1]; }
static uint32_t get32(const uint8_t *at) { return (uint32_t)get16(at) << 16 | get16(at + 2); }

static void set16(uint8_t *at, unsigned value) {
  at[0] = (uint8_t)(value >> 8);
  at[1] = (uint8_t)value;
}

/* One's complement sum (RFC 1071) of an even number of octets. */
static unsigned sum16(const uint8_t *at, size_t octets, unsigned sum) {
  for (size_t i = 0; i < octets; i += 2) sum += get16(at + i);
  while (sum >> 16 != 0) sum = (sum & 0xffff) + (sum >> 16);
  return sum;
}

/* The sum over a TCP segment and its pseudo header; 0xffff where the checksum is right. */
static unsigned sum_of_tcp(const uint8_t *p, size_t length) {
  unsigned sum = sum16(p + IP, (length - IP) & ~(size_t)1, PROTOCOL_TCP + (unsigned)(length - IP));
  if (length % 2 != 0) sum += (unsigned)p[length - 1] << 8;
  return sum16(p + 12, 8, sum);
}

/* Octets of a packet's headers if it is one that can go with others, else 0. */
static size_t headers_of(const uint8_t *p, size_t length, bool tcp, bool udp) {
  if (length < IP + UDP || p[0] != 0x45 || get16(p + 2) != length || get16(p + 6) != 0x4000) return 0;
  if (p[1 - VNET_HEADER] != GSO_NONE || sum16(p, IP, 0) != 0xffff) return 0;
  size_t headers = 0;
  if (udp && p[9] == PROTOCOL_UDP && get16(p + IP + 4) == length - IP) headers = IP + UDP;
  if (tcp && p[9] == PROTOCOL_TCP && length >= IP + TCP) {
    const size_t header = (size_t)(p[IP + 12] >> 4) * 4;
    if (header >= TCP && (p[IP + 13] & ~PSH) == ACK) headers = IP + header;
  }
  return headers < length ? headers : 0;
}

/* The payload of a packet that has passed headers_of is as its sender wrote it. */
static bool is_sound(const uint8_t *p, size_t length) {
  const bool is_tcp = p[9] == PROTOCOL_TCP;
  if (p[-VNET_HEADER] == NEEDS_CSUM) {
    const uint8_t place[4] = {IP, 0, is_tcp ? 16 : 6, 0}; /* csum_start, csum_offset */
    return memcmp(p - sizeof place, place, sizeof place) == 0;
  }
  return p[-VNET_HEADER] == 0 && is_tcp && length <= JOINED_OCTETS && sum_of_tcp(p, length) == 0xffff;
}

/* Neither says anything of the other's flow. A packet with options, or a later fragment, may be of any. */
static bool are_strangers(const uint8_t *a, const uint8_t *b, size_t length) {
  if (length < IP + UDP || b[0] != 0x45 || (get16(b + 6) & 0x1fff) != 0) return false;
  return memcmp(a + IP, b + IP, 4) != 0 || memcmp(a + 12, b + 12, 8) != 0 || a[9] != b[9];
}

/* Both headers say the same, but for lengths, checksums, identification, PSH and TCP's sequence number. */
static bool alike(const uint8_t *a, const uint8_t *b, size_t headers) {
  if (a[1] != b[1] || memcmp(a + 8, b + 8, 2) != 0 || memcmp(a + 12, b + 12, 12) != 0) return false;
  if (a[9] == PROTOCOL_UDP) return true;
  return memcmp(a + IP + 8, b + IP + 8, 5) == 0 && memcmp(a + IP + 14, b + IP + 14, 2) == 0 &&
         memcmp(a + IP + TCP, b + IP + TCP, headers - IP - TCP) == 0;
}

/* Writes the headers of all, after those of the first. @param size octets of each segment; 0: one segment */
static void head_of(struct together *all, const uint8_t *first, size_t headers, size_t octets, unsigned size,
                    unsigned push) {
  uint8_t *vnet = all->head;
  uint8_t *ip = vnet + VNET_HEADER;
  memcpy(ip, first, headers);
  const bool udp = ip[9] == PROTOCOL_UDP;
  const unsigned segment = (unsigned)(headers - IP + octets);

  set16(ip + 2, IP + segment);
  set16(ip + 10, 0);
  set16(ip + 10, ~sum16(ip, IP, 0) & 0xffff);
  const unsigned pseudo = sum16(ip + 12, 8, ip[9] + segment);
  if (udp) {
    set16(ip + IP + 4, segment);
    set16(ip + IP + 6, pseudo);
  } else {
    ip[IP + 13] |= (uint8_t)push;
    set16(ip + IP + 16, pseudo);
  }

  /* struct virtio_net_hdr, little-endian: flags, gso_type, hdr_len, gso_size, csum_start, csum_offset. */
  const uint16_t words[4] = {size == 0 ? 0 : (uint16_t)headers, (uint16_t)size, IP, udp ? 6 : 16};
  vnet[0] = NEEDS_CSUM;
  vnet[1] = size == 0 ? GSO_NONE : udp ? GSO_UDP_L4 : GSO_TCPV4;
  for (int i = 0; i < 4; i++) {
    vnet[2 + 2 * i] = (uint8_t)words[i];
    vnet[3 + 2 * i] = (uint8_t)(words[i] >> 8);
  }
}

void coalesce(const struct window *w, int from, int to, bool tcp, bool udp, struct together *together) {
  together->packets = 1;
  together->members = 1;
  if (from + 1 >= to) return;
  const uint8_t *first = window_packet(w, from);
  if (first == NULL) return;
  const size_t headers = headers_of(first, (size_t)w->lengths[from], tcp, udp);
  if (headers == 0) return;

  const size_t size = (size_t)w->lengths[from] - headers;
  const bool is_tcp = first[9] == PROTOCOL_TCP;
  size_t octets = size;
  size_t last = size;
  unsigned push = 0;
  bool joined = false;
  if (to > from + MAX_BURST) to = from + MAX_BURST;
  for (int i = from + 1; i < to && last == size; i++) {
    const uint8_t *next = window_packet(w, i);
    const size_t length = (size_t)w->lengths[i];
    if (next == NULL) break;
    if (are_strangers(first, next, length)) continue;
    if (headers_of(next, length, tcp, udp) != headers || !alike(first, next, headers)) break;
    const size_t more = length - headers;
    if (!is_tcp && more < size && together->packets == 1) break;
    const bool joins = more > size;
    if (joins && (!is_tcp || together->packets > 1 || headers + size + more > JOINED_OCTETS)) break;
    if (headers + octets + more > MOST_OCTETS) break;
    if (is_tcp && get32(next + IP + 4) != (uint32_t)(get32(first + IP + 4) + octets)) break;
    if (!is_sound(next, length) || (together->packets == 1 && !is_sound(first, headers + size))) break;
    together->parts[++together->packets] = (struct iovec){(void *)(next + headers), more};
    together->members |= (uint64_t)1 << (i - from);
    push |= is_tcp ? next[IP + 13] & PSH : 0;
    octets += more;
    last = more;
    joined = joins;
  }
  if (together->packets == 1) return;
  together->octets = headers * (size_t)together->packets + octets;
  together->parts[0] = (struct iovec){together->head, VNET_HEADER + headers};
  together->parts[1] = (struct iovec){(void *)(first + headers), size};
  head_of(together, first, headers, octets, joined ? 0 : (unsigned)size, push);
}
