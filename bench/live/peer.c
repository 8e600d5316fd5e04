/* The client and the server of bench/live. One server for every contender: it takes streams with a PROXY header of
 * version 1 or 2, and streams without one, so that all contenders have the same load at both ends.
 *
 *   peer server PORT                               TCP and UDP; prints "ready"
 *   peer send ADDRESS PORT STREAMS SECONDS         prints octets a second, as the server received them
 *   peer receive ADDRESS PORT STREAMS SECONDS      prints octets a second, as they came here
 *   peer messages ADDRESS PORT OCTETS SECONDS      prints messages a second on one stream, as the server received them
 *   peer pingpong ADDRESS PORT OCTETS SECONDS      prints round trips, and their p50, p99 and p99.9 in nanoseconds
 *   peer udp ADDRESS PORT OCTETS SECONDS           prints datagrams a second, as the server received them, and sent
 *
 * The first octet of a stream behind its header says what the server does: S takes and counts, R gives, E echoes. A
 * datagram that begins with Q is answered with the count of those before it. Every failure ends the program. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define CHUNK (128 * 1024)
#define MAX_STREAMS 64
#define MAX_ROUND_TRIPS (4 * 1000 * 1000)
#define DATAGRAMS 64
#define QUERY_TRIES 100

static const unsigned char V2[12] = "\r\n\r\n\0\r\nQUIT\n";

static void fail(const char *what) {
  fprintf(stderr, "peer: %s: %s\n", what, strerror(errno));
  exit(1);
}

static int64_t now_ns(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static bool read_all(int fd, void *to, size_t length) {
  for (size_t got = 0; got < length;) {
    const ssize_t n = recv(fd, (char *)to + got, length - got, 0);
    if (n <= 0) return false;
    got += (size_t)n;
  }
  return true;
}

static bool write_all(int fd, const void *from, size_t length) {
  for (size_t sent = 0; sent < length;) {
    const ssize_t n = send(fd, (const char *)from + sent, length - sent, MSG_NOSIGNAL);
    if (n <= 0) return false;
    sent += (size_t)n;
  }
  return true;
}

/* ---- server ---- */

/* The stream's first octet behind its PROXY header, or -1. */
static int command(int fd) {
  unsigned char head[16];
  unsigned char rest[65535];
  if (!read_all(fd, head, 1)) return -1;
  if (head[0] == V2[0]) {
    if (!read_all(fd, head + 1, 15) || memcmp(head, V2, sizeof V2) != 0) return -1;
    if (!read_all(fd, rest, (size_t)(head[14] << 8 | head[15])) || !read_all(fd, head, 1)) return -1;
  } else if (head[0] == 'P') {
    while (head[0] != '\n')
      if (!read_all(fd, head, 1)) return -1;
    if (!read_all(fd, head, 1)) return -1;
  }
  return head[0];
}

static void *serve(void *argument) {
  const int fd = (int)(intptr_t)argument;
  char *chunk = calloc(1, CHUNK);
  const int what = command(fd);
  uint64_t octets = 0;
  ssize_t n;
  if (what == 'S') {
    while ((n = recv(fd, chunk, CHUNK, 0)) > 0) octets += (uint64_t)n;
    if (n == 0) write_all(fd, &octets, sizeof octets);
  } else if (what == 'R') {
    while (write_all(fd, chunk, CHUNK)) continue;
  } else if (what == 'E') {
    while ((n = recv(fd, chunk, CHUNK, 0)) > 0 && write_all(fd, chunk, (size_t)n)) continue;
  } else {
    fprintf(stderr, "peer: a stream that begins with %d\n", what);
  }
  free(chunk);
  close(fd);
  return NULL;
}

static void *serve_datagrams(void *argument) {
  const int fd = (int)(intptr_t)argument;
  static char room[DATAGRAMS][2048];
  struct mmsghdr messages[DATAGRAMS];
  struct iovec pieces[DATAGRAMS];
  struct sockaddr_in from[DATAGRAMS];
  uint64_t count = 0;
  memset(messages, 0, sizeof messages);
  for (int i = 0; i < DATAGRAMS; i++) {
    pieces[i] = (struct iovec){room[i], sizeof room[i]};
    messages[i].msg_hdr.msg_iov = &pieces[i];
    messages[i].msg_hdr.msg_iovlen = 1;
    messages[i].msg_hdr.msg_name = &from[i];
  }
  for (;;) {
    for (int i = 0; i < DATAGRAMS; i++) messages[i].msg_hdr.msg_namelen = sizeof from[i];
    const int n = recvmmsg(fd, messages, DATAGRAMS, MSG_WAITFORONE, NULL);
    if (n < 0) fail("recvmmsg");
    for (int i = 0; i < n; i++) {
      if (room[i][0] != 'Q') count++;
      else sendto(fd, &count, sizeof count, 0, (struct sockaddr *)&from[i], sizeof from[i]);
    }
  }
  return NULL;
}

static int bound(int kind, int port) {
  const int fd = socket(AF_INET, kind, 0);
  const int yes = 1;
  const struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
  if (bind(fd, (const struct sockaddr *)&at, sizeof at) != 0) fail("bind");
  return fd;
}

static void start(void *(*what)(void *), int fd) {
  pthread_t thread;
  if (pthread_create(&thread, NULL, what, (void *)(intptr_t)fd) != 0) fail("pthread_create");
  pthread_detach(thread);
}

static void server(int port) {
  const int listener = bound(SOCK_STREAM, port);
  const int yes = 1;
  const int large = 4 << 20;
  if (listen(listener, 128) != 0) fail("listen");
  const int datagrams = bound(SOCK_DGRAM, port);
  setsockopt(datagrams, SOL_SOCKET, SO_RCVBUFFORCE, &large, sizeof large);
  start(serve_datagrams, datagrams);
  puts("ready");
  fflush(stdout);
  for (;;) {
    const int fd = accept(listener, NULL, NULL);
    if (fd < 0) fail("accept");
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    start(serve, fd);
  }
}

/* ---- client ---- */

static struct sockaddr_in target;
static double seconds;
/* Octets of each send. */
static size_t message = CHUNK;

static int connected(int kind) {
  const int fd = socket(AF_INET, kind, 0);
  const int yes = 1;
  if (connect(fd, (struct sockaddr *)&target, sizeof target) != 0) fail("connect");
  if (kind == SOCK_STREAM) setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
  return fd;
}

static int64_t deadline(void) { return now_ns() + (int64_t)(seconds * 1e9); }

/* Octets that the server counted. */
static void *send_stream(void *unused) {
  (void)unused;
  const int fd = connected(SOCK_STREAM);
  char *chunk = calloc(1, CHUNK);
  uint64_t octets = 0;
  if (!write_all(fd, "S", 1)) fail("send");
  for (const int64_t end = deadline(); now_ns() < end;)
    if (!write_all(fd, chunk, message)) fail("send");
  shutdown(fd, SHUT_WR);
  if (!read_all(fd, &octets, sizeof octets)) fail("the server's count");
  close(fd);
  free(chunk);
  return (void *)(uintptr_t)octets;
}

static void *receive_stream(void *unused) {
  (void)unused;
  const int fd = connected(SOCK_STREAM);
  char *chunk = calloc(1, CHUNK);
  uint64_t octets = 0;
  if (!write_all(fd, "R", 1)) fail("send");
  for (const int64_t end = deadline(); now_ns() < end;) {
    const ssize_t n = recv(fd, chunk, CHUNK, 0);
    if (n <= 0) fail("receive");
    octets += (uint64_t)n;
  }
  close(fd);
  free(chunk);
  return (void *)(uintptr_t)octets;
}

/* Octets a second. */
static double bulk(void *(*stream)(void *), int streams) {
  pthread_t threads[MAX_STREAMS];
  uint64_t octets = 0;
  const int64_t from = now_ns();
  for (int i = 0; i < streams; i++)
    if (pthread_create(&threads[i], NULL, stream, NULL) != 0) fail("pthread_create");
  for (int i = 0; i < streams; i++) {
    void *count;
    pthread_join(threads[i], &count);
    octets += (uint64_t)(uintptr_t)count;
  }
  return (double)octets * 1e9 / (double)(now_ns() - from);
}

static void messages(size_t octets) {
  message = octets;
  printf("%.0f\n", bulk(send_stream, 1) / (double)octets);
}

static int ascending(const void *a, const void *b) {
  const uint32_t x = *(const uint32_t *)a;
  const uint32_t y = *(const uint32_t *)b;
  return x < y ? -1 : x > y;
}

static void pingpong(size_t octets) {
  const int fd = connected(SOCK_STREAM);
  uint32_t *times = malloc(MAX_ROUND_TRIPS * sizeof *times);
  char *message = calloc(1, octets);
  size_t count = 0;
  if (!write_all(fd, "E", 1)) fail("send");
  for (const int64_t end = deadline(); count < MAX_ROUND_TRIPS;) {
    const int64_t from = now_ns();
    if (from >= end) break;
    if (!write_all(fd, message, octets) || !read_all(fd, message, octets)) fail("ping-pong");
    times[count++] = (uint32_t)(now_ns() - from);
  }
  if (count == 0) fail("no round trip");
  qsort(times, count, sizeof *times, ascending);
  printf("%zu %u %u %u\n", count, times[count / 2], times[count * 99 / 100], times[count * 999 / 1000]);
}

/* Datagrams that the server has counted so far. */
static uint64_t query(int fd) {
  const struct timeval patience = {.tv_usec = 50000};
  uint64_t count;
  setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  for (int i = 0; i < QUERY_TRIES; i++) {
    send(fd, "Q", 1, 0);
    if (recv(fd, &count, sizeof count, 0) == sizeof count) return count;
  }
  fail("no answer to a query");
  return 0;
}

static void udp(size_t octets) {
  const int fd = connected(SOCK_DGRAM);
  static char room[65536];
  uint64_t sent = 0;
  const uint64_t before = query(fd);
  const int64_t from = now_ns();
  for (const int64_t end = deadline(); now_ns() < end;)
    if (send(fd, room, octets, 0) >= 0) sent++;
  const double taken = (double)(now_ns() - from) / 1e9;
  usleep(50000); /* what is under way arrives, and old answers are gone */
  printf("%.0f %.0f\n", (double)(query(fd) - before) / taken, (double)sent / taken);
}

int main(int argc, char **argv) {
  signal(SIGPIPE, SIG_IGN);
  if (argc == 3 && strcmp(argv[1], "server") == 0) server(atoi(argv[2]));
  if (argc != 6) {
    fputs("peer: server PORT | send|receive|messages|pingpong|udp ADDRESS PORT N SECONDS\n", stderr);
    return 2;
  }
  target = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(argv[3]))};
  inet_pton(AF_INET, argv[2], &target.sin_addr);
  const int n = atoi(argv[4]);
  seconds = atof(argv[5]);
  if (n < 1) return 2;
  if (strcmp(argv[1], "send") == 0 && n <= MAX_STREAMS) printf("%.0f\n", bulk(send_stream, n));
  else if (strcmp(argv[1], "receive") == 0 && n <= MAX_STREAMS) printf("%.0f\n", bulk(receive_stream, n));
  else if (strcmp(argv[1], "messages") == 0 && n <= CHUNK) messages((size_t)n);
  else if (strcmp(argv[1], "pingpong") == 0) pingpong((size_t)n);
  else if (strcmp(argv[1], "udp") == 0 && n <= 65507) udp((size_t)n);
  else return 2;
  return 0;
}
