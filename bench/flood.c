// A SYN flood with spoofed sources, for bench/flood.mjs: bounded, and unable to reach anything that exists.
//
//   flood INTERFACE NETWORK ADDRESS PORT RATE SECONDS
//
// Sends RATE SYNs a second (at most 20000) to ADDRESS:PORT through INTERFACE, for SECONDS (at most 120). Each comes from
// a random port of a random host of NETWORK, which is inside of 198.18.0.0/15, the network of benchmarks (RFC 2544);
// ADDRESS is inside of that one or of 192.0.2.0/24, a network of documents (RFC 5737). It runs only in a network
// namespace that is not the first one. What it cannot send in time it leaves out. Prints what it sent, as JSON.
#include <arpa/inet.h>
#include <err.h>
#include <errno.h>
#include <net/if.h>
#include <netinet/ip.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

enum { MOST_RATE = 20000, MOST_SECONDS = 120, BATCH = 64, FIRST_PORT = 1024, REFUSED = 64 };
enum { TICK_NS = 2 * 1000 * 1000 };

struct network { uint32_t base, mask; };
static const struct network benchmarks = {0xc6120000, 0xfffe0000}, documents = {0xc0000200, 0xffffff00};

struct packet { struct iphdr ip; struct tcphdr tcp; };

static bool holds(struct network outer, uint32_t ip) { return (ip & outer.mask) == outer.base; }

// What it is told.

static uint32_t parse_address(const char *text) {
  struct in_addr address;
  if (inet_pton(AF_INET, text, &address) != 1) errx(REFUSED, "\"%s\" is no IPv4 address", text);
  return ntohl(address.s_addr);
}

static unsigned parse_number(const char *name, const char *text, unsigned most) {
  char *end;
  errno = 0;
  unsigned long number = strtoul(text, &end, 10);
  if (text[0] < '0' || text[0] > '9' || *end != '\0' || errno != 0 || number < 1 || number > most)
    errx(REFUSED, "%s is a number from 1 to %u, not \"%s\"", name, most, text);
  return number;
}

static struct network parse_network(const char *text) {
  char address[INET_ADDRSTRLEN] = "";
  const char *slash = strchr(text, '/');
  if (slash == NULL || (size_t)(slash - text) >= sizeof address) errx(REFUSED, "\"%s\" is no network", text);
  memcpy(address, text, slash - text);
  struct network network = {parse_address(address), ~0u << (32 - parse_number("the length of a prefix", slash + 1, 30))};
  if (!holds(network, network.base)) errx(REFUSED, "%s is no network: bits of hosts are set", text);
  if ((network.mask & benchmarks.mask) != benchmarks.mask || !holds(benchmarks, network.base))
    errx(REFUSED, "%s is not inside of 198.18.0.0/15: only the network of benchmarks may be a source", text);
  return network;
}

static uint32_t parse_target(const char *text) {
  uint32_t address = parse_address(text);
  if (!holds(benchmarks, address) && !holds(documents, address))
    errx(REFUSED, "%s is neither in 198.18.0.0/15 nor in 192.0.2.0/24: nothing real may be a target", text);
  return address;
}

static void refuse_first_namespace(void) {
  struct stat own, first;
  if (stat("/proc/self/ns/net", &own) != 0 || stat("/proc/1/ns/net", &first) != 0)
    err(REFUSED, "which network namespace this is");
  if (own.st_ino == first.st_ino) errx(REFUSED, "this is the first network namespace: run it in one made for it");
}

// What it sends.

// Anything but the clock, so that all runs are alike (xorshift64, Marsaglia).
static uint64_t random_state = 0x9e3779b97f4a7c15;

static uint32_t random_number(void) {
  random_state ^= random_state << 13;
  random_state ^= random_state >> 7;
  random_state ^= random_state << 17;
  return random_state >> 32;
}

static uint16_t tcp_checksum(const struct packet *packet) {
  struct { uint32_t source, destination; uint16_t protocol, length; struct tcphdr tcp; } summed = {
    packet->ip.saddr, packet->ip.daddr, htons(IPPROTO_TCP), htons(sizeof packet->tcp), packet->tcp,
  };
  uint16_t words[sizeof summed / sizeof(uint16_t)];
  memcpy(words, &summed, sizeof words);
  uint32_t sum = 0;
  for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) sum += words[i];
  while (sum >> 16 != 0) sum = (sum & 0xffff) + (sum >> 16);
  return ~sum;
}

// The kernel adds the length, the identification and the checksum of the IP header.
static void make_syn(struct packet *packet, struct network sources, uint32_t target, uint16_t port) {
  *packet = (struct packet){
    .ip = {
      .version = 4, .ihl = sizeof packet->ip / 4, .ttl = 64, .protocol = IPPROTO_TCP,
      .saddr = htonl(sources.base | (random_number() & ~sources.mask)), .daddr = htonl(target),
    },
    .tcp = {
      .source = htons(FIRST_PORT + random_number() % (65536 - FIRST_PORT)), .dest = htons(port),
      .seq = random_number(), .doff = sizeof packet->tcp / 4, .syn = 1, .window = htons(65535),
    },
  };
  packet->tcp.check = tcp_checksum(packet);
}

static int open_raw(const char *interface) {
  int fd = socket(AF_INET, SOCK_RAW, IPPROTO_RAW);
  if (fd < 0) err(1, "raw socket");
  if (setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, interface, strlen(interface)) != 0) err(1, "%s", interface);
  return fd;
}

static uint64_t now_ns(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * UINT64_C(1000000000) + now.tv_nsec;
}

int main(int argc, char **argv) {
  if (argc != 7) errx(REFUSED, "usage: flood INTERFACE NETWORK ADDRESS PORT RATE SECONDS");
  struct network sources = parse_network(argv[2]);
  uint32_t target = parse_target(argv[3]);
  uint16_t port = parse_number("the port", argv[4], 65535);
  unsigned rate = parse_number("the rate", argv[5], MOST_RATE);
  unsigned seconds = parse_number("the time in seconds", argv[6], MOST_SECONDS);
  refuse_first_namespace();
  int fd = open_raw(argv[1]);
  // Whatever happens, it ends.
  alarm(seconds + 5);

  static struct packet packets[BATCH];
  static struct iovec parts[BATCH];
  static struct mmsghdr messages[BATCH];
  struct sockaddr_in to = {.sin_family = AF_INET, .sin_addr = {htonl(target)}};
  for (int i = 0; i < BATCH; i++) {
    parts[i] = (struct iovec){&packets[i], sizeof packets[i]};
    messages[i].msg_hdr = (struct msghdr){.msg_name = &to, .msg_namelen = sizeof to, .msg_iov = &parts[i], .msg_iovlen = 1};
  }

  uint64_t sent = 0, left_out = 0, begin = now_ns(), end = begin + seconds * UINT64_C(1000000000), now;
  while ((now = now_ns()) < end) {
    uint64_t due = (now - begin) * rate / 1000000000 - sent - left_out;
    // No burst after a pause: what is late by more than a tenth of a second is left out.
    uint64_t most = rate / 10 + 1;
    if (due > most) {
      left_out += due - most;
      due = most;
    }
    for (; due > 0;) {
      unsigned batch = due < BATCH ? due : BATCH;
      for (unsigned i = 0; i < batch; i++) make_syn(&packets[i], sources, target, port);
      int done = sendmmsg(fd, messages, batch, 0);
      if (done < 0 && errno != ENOBUFS && errno != EAGAIN && errno != ENOMEM) err(1, "send");
      // A full queue: the rest of the batch is lost, as on a full line.
      sent += done > 0 ? done : 0;
      left_out += batch - (done > 0 ? done : 0);
      due -= batch;
    }
    nanosleep(&(struct timespec){.tv_nsec = TICK_NS}, NULL);
  }
  printf("{\"sent\":%llu,\"leftOut\":%llu,\"seconds\":%.3f}\n", (unsigned long long)sent, (unsigned long long)left_out,
         (now_ns() - begin) / 1e9);
  return 0;
}
