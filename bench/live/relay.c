/* A bare relay between two TUN devices, a yardstick for what the devices themselves cost: one thread reads a packet,
 * writes other addresses over the old ones, and writes it into the other device. What it loses against nftables is
 * system calls, one copy out and one in, and wake-ups, which any program has that moves packet by packet with one
 * thread, in whatever language. As root:
 *
 *   relay DEVICE DEVICE WAIT_US     prints "ready" once both are there
 *
 * WAIT_US: how long it goes on asking after a single packet before it sleeps; 0: it sleeps at once.
 *
 * 10.90.0.5 -> 10.90.0.9 becomes 10.89.0.5 -> 10.91.0.9, and the other way round. Both pairs have the same sum, so that
 * no checksum changes. Every failure but that of an interface that is down ends the program. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#define BURST 64
#define LARGE_BURST 16
#define LARGE 4096
#define SLOT 65600
#define VNET 10
#define SOURCE (VNET + 12)

static uint8_t slab[BURST][SLOT];
static ssize_t lengths[BURST];
/* What stands in the packets that go into each device: source and destination. */
static const uint8_t addresses[2][8] = {{10, 90, 0, 9, 10, 90, 0, 5}, {10, 89, 0, 5, 10, 91, 0, 9}};

static void fail(const char *what) {
  fprintf(stderr, "relay: %s: %s\n", what, strerror(errno));
  exit(1);
}

static int64_t now_us(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static int opened(const char *name) {
  const int fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK);
  struct ifreq request = {.ifr_flags = IFF_TUN | IFF_NO_PI | IFF_VNET_HDR};
  strncpy(request.ifr_name, name, IFNAMSIZ - 1);
  if (fd < 0 || ioctl(fd, TUNSETIFF, &request) != 0) fail(name);
  if (ioctl(fd, TUNSETOFFLOAD, TUN_F_CSUM | TUN_F_TSO4) != 0) fail("TUNSETOFFLOAD");
  return fd;
}

/* Moves what waits at one device. */
static int move(const struct pollfd *ends, int from) {
  const int to = 1 - from;
  int most = BURST;
  int n = 0;
  for (; n < most; n++) {
    lengths[n] = read(ends[from].fd, slab[n], SLOT);
    if (lengths[n] < 0 && errno == EAGAIN) break;
    if (lengths[n] < 0) fail("read");
    if (lengths[n] > LARGE) most = LARGE_BURST;
  }
  for (int i = 0; i < n; i++) {
    if (slab[i][VNET] >> 4 != 4) continue;
    memcpy(slab[i] + SOURCE, addresses[to], 8);
    if (write(ends[to].fd, slab[i], (size_t)lengths[i]) < 0 && errno != EIO) fail("write");
  }
  return n;
}

int main(int argc, char **argv) {
  if (argc != 4) {
    fputs("relay: DEVICE DEVICE WAIT_US\n", stderr);
    return 2;
  }
  struct pollfd ends[2];
  for (int i = 0; i < 2; i++) ends[i] = (struct pollfd){.fd = opened(argv[1 + i]), .events = POLLIN};
  const int64_t wait_us = atoi(argv[3]);
  puts("ready");
  fflush(stdout);
  for (int64_t since = 0;;) {
    const int one = move(ends, 0);
    const int other = move(ends, 1);
    if (one == 1 || other == 1) since = now_us();
    if (one + other > 0 || (wait_us > 0 && now_us() - since < wait_us)) continue;
    if (poll(ends, 2, -1) < 0 && errno != EINTR) fail("poll");
  }
}
