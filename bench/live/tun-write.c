/* What a packet into a TUN costs by write, by writev of header and packet, by io_uring with 64 writes a call, and 16
 * together as one super-packet (UDP segmentation): processor time of the process, with UDP packets to a socket that
 * nobody reads. With "napi", the device has IFF_NAPI. As root, in a namespace of its own:
 *
 *   cc -O2 -o /tmp/tun-write bench/live/tun-write.c && ip netns add tun-write
 *   ip netns exec tun-write /tmp/tun-write OCTETS PACKETS [napi]; ip netns del tun-write
 *
 * Every failure ends the program. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <linux/io_uring.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#define BURST 64
#define SLOT 65600
#define VNET 10
#define PORT 9
#define ROUNDS 3
#define TOGETHER 16

static void fail(const char *what) {
  fprintf(stderr, "tun-write: %s: %s\n", what, strerror(errno));
  exit(1);
}

static double cpu_ns(void) {
  struct timespec t;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
  return t.tv_sec * 1e9 + t.tv_nsec;
}

static uint16_t checksum(const uint8_t *b, int n) {
  unsigned s = 0;
  for (int i = 0; i < n; i += 2) s += b[i] << 8 | b[i + 1];
  while (s >> 16) s = (s & 0xffff) + (s >> 16);
  return ~s;
}

/* A UDP packet without a checksum from 10.9.0.2 to 10.9.0.1. */
static void put(uint8_t *ip, int length) {
  const uint8_t header[28] = {0x45, 0, length >> 8, length, 0, 0, 0, 0, 64, 17, 0, 0, 10, 9, 0, 2, 10, 9, 0, 1,
                              4, 0, 0, PORT, (length - 20) >> 8, length - 20};
  memcpy(ip, header, sizeof header);
  const uint16_t sum = checksum(ip, 20);
  ip[10] = sum >> 8;
  ip[11] = sum;
}

/* TOGETHER packets of that length as one, with a virtio-net header, its checksum left to the kernel. @returns octets */
static int put_super(uint8_t *at, int length) {
  const int segment = length - 28, octets = 28 + TOGETHER * segment, udp = octets - 20;
  const uint8_t header[VNET] = {1, 5 /* GSO_UDP_L4 */, 28, 0, segment, segment >> 8, 20, 0, 6, 0};
  memcpy(at, header, VNET);
  put(at + VNET, octets);
  unsigned sum = 2 * 0x0a09 + 2 + 1 + 17 + udp;
  while (sum >> 16) sum = (sum & 0xffff) + (sum >> 16);
  at[VNET + 26] = sum >> 8;
  at[VNET + 27] = sum;
  return VNET + octets;
}

int main(int argc, char **argv) {
  if (argc != 3 && argc != 4) return fprintf(stderr, "usage: tun-write OCTETS PACKETS [napi]\n"), 2;
  const int length = atoi(argv[1]), count = atoi(argv[2]) / BURST * BURST;
  if (length < 28 || length > 65535 || count <= 0) return fprintf(stderr, "28 to 65535 octets, 64 packets or more\n"), 2;

  const int fd = open("/dev/net/tun", O_RDWR);
  struct ifreq request = {.ifr_flags = IFF_TUN | IFF_NO_PI | IFF_VNET_HDR, .ifr_name = "t0"};
  if (argc == 4) request.ifr_flags |= IFF_NAPI;
  if (fd < 0 || ioctl(fd, TUNSETIFF, &request) < 0) fail("/dev/net/tun");
  if (system("ip link set lo up && ip address add 10.9.0.1/24 dev t0 && ip link set t0 mtu 65535 up") != 0) fail("ip");
  const int sink = socket(AF_INET, SOCK_DGRAM, 0);
  const struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(PORT)};
  if (bind(sink, (const struct sockaddr *)&to, sizeof to) < 0) fail("bind");

  uint8_t *slots = calloc(BURST, SLOT);
  static uint8_t super[SLOT];
  for (int k = 0; k < BURST; k++) put(slots + k * SLOT + VNET, length);

  struct io_uring_params p = {0};
  const int ring = syscall(__NR_io_uring_setup, BURST, &p);
  if (ring < 0) fail("io_uring_setup");
  const int prot = PROT_READ | PROT_WRITE, flags = MAP_SHARED | MAP_POPULATE;
  uint8_t *sq = mmap(0, p.sq_off.array + p.sq_entries * 4, prot, flags, ring, IORING_OFF_SQ_RING);
  uint8_t *cq = mmap(0, p.cq_off.cqes + p.cq_entries * sizeof(struct io_uring_cqe), prot, flags, ring, IORING_OFF_CQ_RING);
  struct io_uring_sqe *entries = mmap(0, p.sq_entries * sizeof *entries, prot, flags, ring, IORING_OFF_SQES);
  if (sq == MAP_FAILED || cq == MAP_FAILED || entries == MAP_FAILED) fail("mmap");
  unsigned *tail = (unsigned *)(sq + p.sq_off.tail), *array = (unsigned *)(sq + p.sq_off.array);
  const unsigned mask = *(unsigned *)(sq + p.sq_off.ring_mask);
  unsigned *head = (unsigned *)(cq + p.cq_off.head), *done = (unsigned *)(cq + p.cq_off.tail);

  for (int round = 0; round < ROUNDS; round++) {
    double from = cpu_ns();
    for (int i = 0; i < count; i++)
      if (write(fd, slots + i % BURST * SLOT, VNET + length) != VNET + length) fail("write");
    const double by_write = (cpu_ns() - from) / count;

    from = cpu_ns();
    for (int i = 0; i < count; i++) {
      uint8_t *at = slots + i % BURST * SLOT;
      const struct iovec parts[2] = {{at, VNET}, {at + VNET, length}};
      if (writev(fd, parts, 2) != VNET + length) fail("writev");
    }
    const double by_writev = (cpu_ns() - from) / count;

    from = cpu_ns();
    for (int i = 0; i < count; i += BURST) {
      const unsigned first = *tail;
      for (unsigned k = 0; k < BURST; k++) {
        const unsigned at = (first + k) & mask;
        entries[at] = (struct io_uring_sqe){
            .opcode = IORING_OP_WRITE, .fd = fd, .addr = (uintptr_t)(slots + k * SLOT), .len = VNET + length};
        array[at] = at;
      }
      __atomic_store_n(tail, first + BURST, __ATOMIC_RELEASE);
      if (syscall(__NR_io_uring_enter, ring, BURST, BURST, IORING_ENTER_GETEVENTS, 0, 0) != BURST) fail("io_uring_enter");
      __atomic_store_n(head, __atomic_load_n(done, __ATOMIC_ACQUIRE), __ATOMIC_RELEASE);
    }
    const double by_ring = (cpu_ns() - from) / count;
    printf("%d octets: write %.0f ns, writev %.0f ns, io_uring %.0f ns", length, by_write, by_writev, by_ring);

    if (28 + TOGETHER * (length - 28) <= 65535 && length > 28) {
      const int octets = put_super(super, length);
      from = cpu_ns();
      for (int i = 0; i < count; i += TOGETHER)
        if (write(fd, super, octets) != octets) fail("write of a super-packet");
      printf(", together %.0f ns", (cpu_ns() - from) / count);
    }
    puts("");
  }
}
