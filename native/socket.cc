// Sockets, and the files of /proc/net, as the kernel offers them: every call is synchronous and
// non-blocking, works on the caller's buffer and returns a length, a descriptor or a negative errno.
#include <fcntl.h>
#include <linux/if_packet.h>
#include <linux/netlink.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <climits>
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

// Not more than the kernel's own lengths can say.
Bytes BytesOf(const Napi::Value& value) {
  if (!value.IsTypedArray()) return {};
  Napi::TypedArray array = value.As<Napi::TypedArray>();
  if (array.TypedArrayType() != napi_uint8_array) return {};
  Napi::Uint8Array bytes = array.As<Napi::Uint8Array>();
  if (bytes.ByteLength() > INT_MAX) return {};
  return {bytes.Data(), bytes.ByteLength(), true};
}

// -1 for what is no whole number, or too large: it is no descriptor, no length and no option.
int IntegerOf(const Napi::Value& value) {
  if (!value.IsNumber()) return -1;
  double number = value.As<Napi::Number>().DoubleValue();
  if (!(number >= INT_MIN && number <= INT_MAX)) return -1;
  int integer = static_cast<int>(number);
  return integer == number ? integer : -1;
}

Napi::Value Result(const Napi::CallbackInfo& info, long value) {
  return Napi::Number::New(info.Env(), static_cast<double>(value));
}

// openNetlink(protocol, namespacePath, receiveBufferBytes, sendBufferBytes)
Napi::Value OpenNetlink(const Napi::CallbackInfo& info) {
  std::string path;
  if (!ReadText(info[1], &path)) return Result(info, -EINVAL);
  int protocol = IntegerOf(info[0]);
  int receive_bytes = IntegerOf(info[2]);
  int send_bytes = IntegerOf(info[3]);
  int fd = InNamespace(path, [&] { return OpenNetlinkSocket(protocol, receive_bytes, send_bytes); });
  return Result(info, EnvironmentOf(info).Adopt(fd));
}

// openDatagram(namespacePath)
Napi::Value OpenDatagram(const Napi::CallbackInfo& info) {
  std::string path;
  if (!ReadText(info[0], &path)) return Result(info, -EINVAL);
  int fd = InNamespace(path, OpenDatagramSocket);
  return Result(info, EnvironmentOf(info).Adopt(fd));
}

// openPacket(namespacePath)
Napi::Value OpenPacket(const Napi::CallbackInfo& info) {
  std::string path;
  if (!ReadText(info[0], &path)) return Result(info, -EINVAL);
  int fd = InNamespace(path, OpenPacketSocket);
  return Result(info, EnvironmentOf(info).Adopt(fd));
}

// openProcNet(namespacePath, name): the file /proc/net/NAME as that namespace sees it, for reading
Napi::Value OpenProcNet(const Napi::CallbackInfo& info) {
  std::string path;
  std::string name;
  if (!ReadText(info[0], &path) || !ReadText(info[1], &name)) return Result(info, -EINVAL);
  if (name.empty() || name.find_first_of("/.") != std::string::npos) return Result(info, -EINVAL);
  // /proc/net is that of the whole process; the thread that enters the namespace has its own.
  std::string file = "/proc/thread-self/net/" + name;
  int fd = InNamespace(path, [&] {
    int fd = open(file.c_str(), O_RDONLY | O_CLOEXEC);
    return fd < 0 ? -errno : fd;
  });
  return Result(info, EnvironmentOf(info).Adopt(fd));
}

// A path below a folder that cannot lead out of it.
static bool StaysBelow(const std::string& path) {
  if (path.empty() || path.front() == '/' || path.back() == '/') return false;
  std::string whole = "/" + path + "/";
  return whole.find("//") == std::string::npos && whole.find("/./") == std::string::npos &&
         whole.find("/../") == std::string::npos;
}

// openProcSysNet(namespacePath, path, forWriting): the file /proc/sys/net/PATH as that namespace sees it
Napi::Value OpenProcSysNet(const Napi::CallbackInfo& info) {
  std::string path;
  std::string name;
  if (!ReadText(info[0], &path) || !ReadText(info[1], &name) || !info[2].IsBoolean()) return Result(info, -EINVAL);
  if (!StaysBelow(name)) return Result(info, -EINVAL);
  int mode = info[2].As<Napi::Boolean>() ? O_WRONLY : O_RDONLY;
  std::string file = "/proc/sys/net/" + name;
  // The kernel looks the name up in the namespace of the thread that opens it; the descriptor stays there.
  int fd = InNamespace(path, [&] {
    int fd = open(file.c_str(), mode | O_CLOEXEC);
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
  exports.Set("openProcSysNet", Napi::Function::New(env, OpenProcSysNet, "openProcSysNet"));
  exports.Set("send", Napi::Function::New(env, Send, "send"));
  exports.Set("sendPacket", Napi::Function::New(env, SendPacket, "sendPacket"));
  exports.Set("receive", Napi::Function::New(env, Receive, "receive"));
  exports.Set("getOption", Napi::Function::New(env, GetOption, "getOption"));
  exports.Set("setOption", Napi::Function::New(env, SetOption, "setOption"));
  exports.Set("close", Napi::Function::New(env, Close, "close"));
}

}  // namespace ipvs_director
