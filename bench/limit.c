// The limit that the library is compared with: what C does over the same sockets with nothing around it.
//
//   limit program SERVICES DESTINATIONS   adds services 10.1.x.y:80 with that many destinations each:
//                                         256 requests in a send, only refusals answered
//   limit dump netlink|sockopt            reads services, destinations and counters; by netlink alone, or
//                                         with getsockopt(2) alone
//   limit edit COUNT                      changes a weight that often, one request and its answer each
//   limit expect SERVICES DESTINATIONS    fails unless the table holds what "program" adds
//
// Prints the microseconds that it took without the start of the process. Any refusal ends it.
#include <arpa/inet.h>
#include <err.h>
#include <errno.h>
#include <linux/genetlink.h>
#include <linux/ip_vs.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

enum { BATCH = 256, FIRST_SERVICE = 0x0a010000, FIRST_DESTINATION = 0x0a800000, WEIGHT = 1 };
// The kernel builds a dump in pieces as large as the largest read so far. Destinations are dumped
// service by service, where a small piece costs less.
enum { LARGE_READ = 64 * 1024, SMALL_READ = 4 * 1024 };

static uint16_t family;
static uint32_t sequence;

static double microseconds(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * 1e6 + now.tv_nsec / 1e3;
}

// Requests, one behind the other.

static _Alignas(8) char out[BATCH * 256];
static size_t out_length;
static struct nlmsghdr *open_message;

static void begin(uint16_t type, uint8_t command, uint16_t flags) {
  open_message = (struct nlmsghdr *)(out + out_length);
  *open_message = (struct nlmsghdr){.nlmsg_type = type, .nlmsg_flags = NLM_F_REQUEST | flags, .nlmsg_seq = ++sequence};
  struct genlmsghdr *generic = NLMSG_DATA(open_message);
  *generic = (struct genlmsghdr){.cmd = command, .version = 1};
  out_length += NLMSG_HDRLEN + GENL_HDRLEN;
}

static void end(void) { open_message->nlmsg_len = out + out_length - (char *)open_message; }

static void attribute(uint16_t type, const void *value, size_t length) {
  struct nlattr *header = (struct nlattr *)(out + out_length);
  *header = (struct nlattr){.nla_len = NLA_HDRLEN + length, .nla_type = type};
  memset((char *)header + NLA_HDRLEN, 0, NLA_ALIGN(length));
  memcpy((char *)header + NLA_HDRLEN, value, length);
  out_length += NLA_HDRLEN + NLA_ALIGN(length);
}

static void u16(uint16_t type, uint16_t value) { attribute(type, &value, sizeof value); }
static void u32(uint16_t type, uint32_t value) { attribute(type, &value, sizeof value); }

static struct nlattr *nest(uint16_t type) {
  struct nlattr *header = (struct nlattr *)(out + out_length);
  *header = (struct nlattr){.nla_type = type | NLA_F_NESTED};
  out_length += NLA_HDRLEN;
  return header;
}

static void close_nest(struct nlattr *header) { header->nla_len = out + out_length - (char *)header; }

static void address(uint16_t type, uint32_t host_order) {
  uint32_t padded[4] = {htonl(host_order)};
  attribute(type, padded, sizeof padded);
}

static void service_id(uint32_t ip) {
  u16(IPVS_SVC_ATTR_AF, AF_INET);
  u16(IPVS_SVC_ATTR_PROTOCOL, IPPROTO_TCP);
  address(IPVS_SVC_ATTR_ADDR, ip);
  u16(IPVS_SVC_ATTR_PORT, htons(80));
}

static void add_service(uint32_t ip, uint16_t flags) {
  begin(family, IPVS_CMD_NEW_SERVICE, flags);
  struct nlattr *service = nest(IPVS_CMD_ATTR_SERVICE);
  service_id(ip);
  attribute(IPVS_SVC_ATTR_SCHED_NAME, "rr", 3);
  attribute(IPVS_SVC_ATTR_FLAGS, &(struct ip_vs_flags){.flags = 0, .mask = ~0u}, sizeof(struct ip_vs_flags));
  u32(IPVS_SVC_ATTR_TIMEOUT, 0);
  u32(IPVS_SVC_ATTR_NETMASK, ~0u);
  close_nest(service);
  end();
}

static void put_destination(uint8_t command, uint32_t service_ip, uint32_t ip, uint32_t weight, uint16_t flags) {
  begin(family, command, flags);
  struct nlattr *service = nest(IPVS_CMD_ATTR_SERVICE);
  service_id(service_ip);
  close_nest(service);
  struct nlattr *destination = nest(IPVS_CMD_ATTR_DEST);
  address(IPVS_DEST_ATTR_ADDR, ip);
  u16(IPVS_DEST_ATTR_PORT, htons(80));
  u32(IPVS_DEST_ATTR_FWD_METHOD, IP_VS_CONN_F_MASQ);
  u32(IPVS_DEST_ATTR_WEIGHT, weight);
  u32(IPVS_DEST_ATTR_U_THRESH, 0);
  u32(IPVS_DEST_ATTR_L_THRESH, 0);
  close_nest(destination);
  end();
}

// Sockets.

static int open_netlink(void) {
  int fd = socket(AF_NETLINK, SOCK_RAW, NETLINK_GENERIC);
  struct sockaddr_nl self = {.nl_family = AF_NETLINK};
  if (fd < 0 || bind(fd, (struct sockaddr *)&self, sizeof self) != 0) err(1, "netlink");
  return fd;
}

static void send_all(int fd) {
  if (send(fd, out, out_length, 0) != (ssize_t)out_length) err(1, "send");
  out_length = 0;
}

static ssize_t receive(int fd, void *buffer, size_t size) {
  ssize_t length = recv(fd, buffer, size, MSG_TRUNC | MSG_DONTWAIT);
  if (length < 0) err(1, "receive");
  if ((size_t)length > size) errx(1, "a message of %zd bytes", length);
  return length;
}

static void refuse_error(const struct nlmsghdr *message) {
  const struct nlmsgerr *error = NLMSG_DATA(message);
  if (error->error != 0) errx(1, "the kernel refused: %s", strerror(-error->error));
}

// The answers up to the acknowledgement of the last request.
static void await_barrier(int fd) {
  static _Alignas(8) char in[LARGE_READ];
  for (;;) {
    int length = receive(fd, in, sizeof in);
    for (struct nlmsghdr *m = (struct nlmsghdr *)in; NLMSG_OK(m, length); m = NLMSG_NEXT(m, length)) {
      if (m->nlmsg_type != NLMSG_ERROR) continue;
      refuse_error(m);
      if (m->nlmsg_seq == sequence) return;
    }
  }
}

typedef void visit(const struct nlmsghdr *message);

static void dump(int fd, size_t read_bytes, visit *object) {
  static _Alignas(8) char in[LARGE_READ];
  end();
  send_all(fd);
  for (;;) {
    int length = receive(fd, in, read_bytes);
    for (struct nlmsghdr *m = (struct nlmsghdr *)in; NLMSG_OK(m, length); m = NLMSG_NEXT(m, length)) {
      if (m->nlmsg_type == NLMSG_DONE) return;
      if (m->nlmsg_type == NLMSG_ERROR) refuse_error(m);
      object(m);
    }
  }
}

static void read_family(const struct nlmsghdr *message) {
  const char *at = (const char *)NLMSG_DATA(message) + GENL_HDRLEN;
  const char *last = (const char *)message + message->nlmsg_len;
  while (at < last) {
    const struct nlattr *header = (const struct nlattr *)at;
    if (header->nla_type == CTRL_ATTR_FAMILY_ID) memcpy(&family, at + NLA_HDRLEN, sizeof family);
    at += NLA_ALIGN(header->nla_len);
  }
}

static int open_ipvs(void) {
  int fd = open_netlink();
  begin(GENL_ID_CTRL, CTRL_CMD_GETFAMILY, 0);
  attribute(CTRL_ATTR_FAMILY_NAME, "IPVS", 5);
  end();
  send_all(fd);
  static _Alignas(8) char in[LARGE_READ];
  receive(fd, in, sizeof in);
  struct nlmsghdr *answer = (struct nlmsghdr *)in;
  if (answer->nlmsg_type == NLMSG_ERROR) refuse_error(answer);
  read_family(answer);
  if (family == 0) errx(1, "the kernel has no IPVS");
  return fd;
}

// What is measured.

static int program(int services, int destinations) {
  int fd = open_ipvs();
  int total = services * (1 + destinations);
  double started = microseconds();
  for (int done = 0; done < total;) {
    int last = done + BATCH < total ? done + BATCH : total;
    for (; done < last; done++) {
      int service = done / (1 + destinations), part = done % (1 + destinations);
      uint16_t flags = done == last - 1 ? NLM_F_ACK : 0;
      uint32_t ip = FIRST_SERVICE + service;
      if (part == 0) add_service(ip, flags);
      else put_destination(IPVS_CMD_NEW_DEST, ip, FIRST_DESTINATION + service * destinations + part - 1, WEIGHT, flags);
    }
    send_all(fd);
    await_barrier(fd);
  }
  printf("%.0f\n", microseconds() - started);
  return 0;
}

// The identity of each service, as attributes to send back; and how many destinations there were.
static struct identity { uint8_t bytes[96]; size_t length; } *identities;
static int services_seen, destinations_seen;

static void keep_service(const struct nlmsghdr *message) {
  const char *nested = (const char *)NLMSG_DATA(message) + GENL_HDRLEN;
  const char *last = (const char *)message + message->nlmsg_len;
  if ((services_seen & (services_seen + 1)) == 0) {
    identities = realloc(identities, (services_seen + 1) * 2 * sizeof *identities);
    if (identities == NULL) err(1, "memory");
  }
  struct identity *identity = &identities[services_seen++];
  identity->length = 0;
  for (const char *at = nested + NLA_HDRLEN; at < last;) {
    const struct nlattr *header = (const struct nlattr *)at;
    size_t size = NLA_ALIGN(header->nla_len);
    if (header->nla_type <= IPVS_SVC_ATTR_FWMARK && identity->length + size <= sizeof identity->bytes) {
      memcpy(identity->bytes + identity->length, at, size);
      identity->length += size;
    }
    at += size;
  }
}

static void count_destination(const struct nlmsghdr *message) {
  (void)message;
  destinations_seen++;
}

static int dump_netlink(void) {
  int fd = open_ipvs();
  int small = open_netlink();
  double started = microseconds();
  begin(family, IPVS_CMD_GET_SERVICE, NLM_F_DUMP);
  dump(fd, LARGE_READ, keep_service);
  for (int i = 0; i < services_seen; i++) {
    begin(family, IPVS_CMD_GET_DEST, NLM_F_DUMP);
    struct nlattr *service = nest(IPVS_CMD_ATTR_SERVICE);
    memcpy(out + out_length, identities[i].bytes, identities[i].length);
    out_length += identities[i].length;
    close_nest(service);
    dump(small, SMALL_READ, count_destination);
  }
  printf("%.0f\n", microseconds() - started);
  return 0;
}

static int dump_sockopt(void) {
  int fd = socket(AF_INET, SOCK_DGRAM, 0);
  double started = microseconds();
  struct ip_vs_getinfo info;
  socklen_t length = sizeof info;
  if (fd < 0 || getsockopt(fd, IPPROTO_IP, IP_VS_SO_GET_INFO, &info, &length) != 0) err(1, "info");
  length = sizeof(struct ip_vs_get_services) + info.num_services * sizeof(struct ip_vs_service_entry);
  struct ip_vs_get_services *services = calloc(1, length);
  if (services == NULL) err(1, "memory");
  services->num_services = info.num_services;
  if (getsockopt(fd, IPPROTO_IP, IP_VS_SO_GET_SERVICES, services, &length) != 0) err(1, "services");
  struct ip_vs_get_dests *dests = NULL;
  unsigned room = 0;
  for (unsigned i = 0; i < info.num_services; i++) {
    const struct ip_vs_service_entry *service = &services->entrytable[i];
    if (dests == NULL || service->num_dests > room) {
      room = service->num_dests;
      dests = realloc(dests, sizeof *dests + room * sizeof(struct ip_vs_dest_entry));
      if (dests == NULL) err(1, "memory");
    }
    *dests = (struct ip_vs_get_dests){.protocol = service->protocol, .addr = service->addr, .port = service->port,
                                      .fwmark = service->fwmark, .num_dests = service->num_dests};
    length = sizeof *dests + service->num_dests * sizeof(struct ip_vs_dest_entry);
    if (getsockopt(fd, IPPROTO_IP, IP_VS_SO_GET_DESTS, dests, &length) != 0) err(1, "destinations");
    destinations_seen += service->num_dests;
  }
  services_seen = info.num_services;
  printf("%.0f\n", microseconds() - started);
  return 0;
}

static int expect(int services, int destinations) {
  dump_netlink();
  if (services_seen == services && destinations_seen == services * destinations) return 0;
  errx(1, "%d services and %d destinations", services_seen, destinations_seen);
}

static int edit(int count) {
  int fd = open_ipvs();
  double started = microseconds();
  for (int i = 0; i < count; i++) {
    put_destination(IPVS_CMD_SET_DEST, FIRST_SERVICE, FIRST_DESTINATION, WEIGHT + 1 + i % 2, NLM_F_ACK);
    send_all(fd);
    await_barrier(fd);
  }
  printf("%.0f\n", microseconds() - started);
  return 0;
}

int main(int argc, char **argv) {
  const char *what = argc > 1 ? argv[1] : "";
  if (argc == 4 && strcmp(what, "program") == 0) return program(atoi(argv[2]), atoi(argv[3]));
  if (argc == 3 && strcmp(what, "dump") == 0 && strcmp(argv[2], "netlink") == 0) return dump_netlink();
  if (argc == 3 && strcmp(what, "dump") == 0 && strcmp(argv[2], "sockopt") == 0) return dump_sockopt();
  if (argc == 3 && strcmp(what, "edit") == 0) return edit(atoi(argv[2]));
  if (argc == 4 && strcmp(what, "expect") == 0) return expect(atoi(argv[2]), atoi(argv[3]));
  errx(64, "usage: limit program SERVICES DESTINATIONS | dump netlink|sockopt | edit COUNT | expect SERVICES DESTINATIONS");
}
