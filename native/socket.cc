// Sockets, and the files of /proc/net, as the kernel offers them: every call is synchronous and
// non-blocking, works on the caller's buffer and returns a length, a descriptor or a negative errno.
#include <fcntl.h>
#include <linux/if_packet.h>
#include <linux/netlink.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <string>

#include "addon.h"

namespace ipvs_director {
namespace {

// Two hardware addresses; the type of what follows is behind them.
constexpr size_t kEthernetTypeAt = 12;
constexpr size_t kEthernetHeaderBytes = 14;

// A netlink message that did not come from the kernel (port 0) is forged: skipped, but not for ever.
constexpr int kForeignMessagesAtMost = 64;

void SetInteger(int fd, int level, int option, int value) {
  setsockopt(fd, level, option, &value, sizeof value);
}

// The privileged form ignores net.core.[rw]mem_max; without the privilege the plain one is capped.
void SetBuffer(int fd, int forced, int plain, int bytes) {
  if (bytes <= 0) return;
  if (setsockopt(fd, SOL_SOCKET, forced, &bytes, sizeof bytes) != 0) {
    SetInteger(fd, SOL_SOCKET, plain, bytes);
  }
}

int OpenNetlinkSocket(int protocol, int receive_bytes, int send_bytes) {
  int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, protocol);
  if (fd < 0) return -errno;
  SetInteger(fd, SOL_NETLINK, NETLINK_CAP_ACK, 1);
  SetInteger(fd, SOL_NETLINK, NETLINK_EXT_ACK, 1);
  SetBuffer(fd, SO_RCVBUFFORCE, SO_RCVBUF, receive_bytes);
  SetBuffer(fd, SO_SNDBUFFORCE, SO_SNDBUF, send_bytes);
  sockaddr_nl address{};
  address.nl_family = AF_NETLINK;
  if (bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) {
    int error = errno;
    close(fd);
    return -error;
  }
  return fd;
}

int OpenDatagramSocket() {
  int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  return fd < 0 ? -errno : fd;
}

// Of protocol 0: it sends, and nothing is queued for it.
int OpenPacketSocket() {
  int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  return fd < 0 ? -errno : fd;
}

struct Bytes {
  uint8_t* data = nullptr;
  size_t length = 0;
  bool valid = false;
};

Bytes BytesOf(const Napi::Value& value) {
  if (!value.IsTypedArray()) return {};
  Napi::TypedArray array = value.As<Napi::TypedArray>();
  if (array.TypedArrayType() != napi_uint8_array) return {};
  Napi::Uint8Array bytes = array.As<Napi::Uint8Array>();
  return {bytes.Data(), bytes.ByteLength(), true};
}

int IntegerOf(const Napi::Value& value) {
  return value.IsNumber() ? value.As<Napi::Number>().Int32Value() : -1;
}

Napi::Value Result(const Napi::CallbackInfo& info, long value) {
  return Napi::Number::New(info.Env(), static_cast<double>(value));
}

// openNetlink(protocol, namespacePath, receiveBufferBytes, sendBufferBytes)
Napi::Value OpenNetlink(const Napi::CallbackInfo& info) {
  if (!info[1].IsString()) return Result(info, -EINVAL);
  int protocol = IntegerOf(info[0]);
  int receive_bytes = IntegerOf(info[2]);
  int send_bytes = IntegerOf(info[3]);
  int fd = InNamespace(info[1].As<Napi::String>(),
                       [&] { return OpenNetlinkSocket(protocol, receive_bytes, send_bytes); });
  return Result(info, EnvironmentOf(info).Adopt(fd));
}

// openDatagram(namespacePath)
Napi::Value OpenDatagram(const Napi::CallbackInfo& info) {
  if (!info[0].IsString()) return Result(info, -EINVAL);
  int fd = InNamespace(info[0].As<Napi::String>(), OpenDatagramSocket);
  return Result(info, EnvironmentOf(info).Adopt(fd));
}

// openPacket(namespacePath)
Napi::Value OpenPacket(const Napi::CallbackInfo& info) {
  if (!info[0].IsString()) return Result(info, -EINVAL);
  int fd = InNamespace(info[0].As<Napi::String>(), OpenPacketSocket);
  return Result(info, EnvironmentOf(info).Adopt(fd));
}

// openProcNet(namespacePath, name): the file /proc/net/NAME as that namespace sees it, for reading
Napi::Value OpenProcNet(const Napi::CallbackInfo& info) {
  if (!info[0].IsString() || !info[1].IsString()) return Result(info, -EINVAL);
  std::string name = info[1].As<Napi::String>();
  if (name.empty() || name.find_first_of("/.") != std::string::npos) return Result(info, -EINVAL);
  // /proc/net is that of the whole process; the thread that enters the namespace has its own.
  std::string path = "/proc/thread-self/net/" + name;
  int fd = InNamespace(info[0].As<Napi::String>(), [&] {
    int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
    return fd < 0 ? -errno : fd;
  });
  return Result(info, EnvironmentOf(info).Adopt(fd));
}

// send(fd, bytes, length): the first length bytes, as one datagram to the kernel
Napi::Value Send(const Napi::CallbackInfo& info) {
  int fd = IntegerOf(info[0]);
  Bytes bytes = BytesOf(info[1]);
  int length = IntegerOf(info[2]);
  if (!EnvironmentOf(info).Owns(fd)) return Result(info, -EBADF);
  if (!bytes.valid || length < 0 || static_cast<size_t>(length) > bytes.length) {
    return Result(info, -EINVAL);
  }
  sockaddr_nl kernel{};
  kernel.nl_family = AF_NETLINK;
  ssize_t sent;
  do {
    sent = sendto(fd, bytes.data, length, 0, reinterpret_cast<sockaddr*>(&kernel), sizeof kernel);
  } while (sent < 0 && errno == EINTR);
  return Result(info, sent < 0 ? -errno : sent);
}

// sendPacket(fd, interfaceIndex, bytes): a whole Ethernet frame
Napi::Value SendPacket(const Napi::CallbackInfo& info) {
  int fd = IntegerOf(info[0]);
  int index = IntegerOf(info[1]);
  Bytes bytes = BytesOf(info[2]);
  if (!EnvironmentOf(info).Owns(fd)) return Result(info, -EBADF);
  if (!bytes.valid || bytes.length < kEthernetHeaderBytes || index <= 0) return Result(info, -EINVAL);
  sockaddr_ll link{};
  link.sll_family = AF_PACKET;
  link.sll_ifindex = index;
  // Kernels before 5.2 do not look for it in the frame.
  memcpy(&link.sll_protocol, bytes.data + kEthernetTypeAt, sizeof link.sll_protocol);
  ssize_t sent;
  do {
    sent = sendto(fd, bytes.data, bytes.length, 0, reinterpret_cast<sockaddr*>(&link), sizeof link);
  } while (sent < 0 && errno == EINTR);
  return Result(info, sent < 0 ? -errno : sent);
}

// receive(fd, bytes): the datagram's whole length, which is more than bytes.length when the kernel
// had to cut it off
Napi::Value Receive(const Napi::CallbackInfo& info) {
  int fd = IntegerOf(info[0]);
  Bytes bytes = BytesOf(info[1]);
  if (!EnvironmentOf(info).Owns(fd)) return Result(info, -EBADF);
  if (!bytes.valid || bytes.length == 0) return Result(info, -EINVAL);
  for (int i = 0; i < kForeignMessagesAtMost; i++) {
    sockaddr_nl sender{};
    socklen_t size = sizeof sender;
    ssize_t received;
    do {
      received = recvfrom(fd, bytes.data, bytes.length, MSG_TRUNC,
                          reinterpret_cast<sockaddr*>(&sender), &size);
    } while (received < 0 && errno == EINTR);
    if (received < 0) return Result(info, -errno);
    if (sender.nl_family == AF_NETLINK && sender.nl_pid == 0) return Result(info, received);
  }
  return Result(info, -EAGAIN);
}

// getOption(fd, level, name, bytes): bytes is the kernel's argument, in and out; returns the length
Napi::Value GetOption(const Napi::CallbackInfo& info) {
  int fd = IntegerOf(info[0]);
  Bytes bytes = BytesOf(info[3]);
  if (!EnvironmentOf(info).Owns(fd)) return Result(info, -EBADF);
  if (!bytes.valid) return Result(info, -EINVAL);
  socklen_t length = bytes.length;
  int error = getsockopt(fd, IntegerOf(info[1]), IntegerOf(info[2]), bytes.data, &length);
  return Result(info, error == 0 ? static_cast<long>(length) : -errno);
}

// setOption(fd, level, name, bytes)
Napi::Value SetOption(const Napi::CallbackInfo& info) {
  int fd = IntegerOf(info[0]);
  Bytes bytes = BytesOf(info[3]);
  if (!EnvironmentOf(info).Owns(fd)) return Result(info, -EBADF);
  if (!bytes.valid) return Result(info, -EINVAL);
  int error = setsockopt(fd, IntegerOf(info[1]), IntegerOf(info[2]), bytes.data, bytes.length);
  return Result(info, error == 0 ? 0 : -errno);
}

// close(fd)
Napi::Value Close(const Napi::CallbackInfo& info) {
  return Result(info, EnvironmentOf(info).Close(IntegerOf(info[0])));
}

}  // namespace

void ExportSockets(Napi::Env env, Napi::Object exports) {
  exports.Set("openNetlink", Napi::Function::New(env, OpenNetlink, "openNetlink"));
  exports.Set("openDatagram", Napi::Function::New(env, OpenDatagram, "openDatagram"));
  exports.Set("openPacket", Napi::Function::New(env, OpenPacket, "openPacket"));
  exports.Set("openProcNet", Napi::Function::New(env, OpenProcNet, "openProcNet"));
  exports.Set("send", Napi::Function::New(env, Send, "send"));
  exports.Set("sendPacket", Napi::Function::New(env, SendPacket, "sendPacket"));
  exports.Set("receive", Napi::Function::New(env, Receive, "receive"));
  exports.Set("getOption", Napi::Function::New(env, GetOption, "getOption"));
  exports.Set("setOption", Napi::Function::New(env, SetOption, "setOption"));
  exports.Set("close", Napi::Function::New(env, Close, "close"));
}

}  // namespace ipvs_director
