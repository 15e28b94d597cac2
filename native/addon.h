// Raw I/O for IPVS Director: sockets, network namespaces and a lock, nothing else.
// No policy and no encoding live here; src/native.ts declares what is exported.
#ifndef IPVS_DIRECTOR_ADDON_H_
#define IPVS_DIRECTOR_ADDON_H_

// Feature macros stand here so that binding.gyp and CMakeLists.txt need not repeat them.
#define NAPI_VERSION 8
#define NAPI_DISABLE_CPP_EXCEPTIONS
#include <napi.h>

#include <functional>
#include <set>
#include <string>

namespace ipvs_director {

// What one JavaScript environment (the main thread or a worker) has open. Node deletes it when the
// environment ends, and with it every descriptor that JavaScript forgot.
class Environment {
 public:
  Environment() = default;
  Environment(const Environment&) = delete;
  Environment& operator=(const Environment&) = delete;
  ~Environment();

  int Adopt(int fd);        // remembers fd, unless it is a negative errno, and returns it
  bool Owns(int fd) const;  // guards against descriptors that are not ours
  int Close(int fd);        // 0 or negative errno

 private:
  std::set<int> fds_;
};

Environment& EnvironmentOf(const Napi::CallbackInfo& info);

// False for what is no string, and for one with a NUL in it, which the kernel would take for its end.
bool ReadText(const Napi::Value& value, std::string* text);

// Runs open() in the network namespace at path (empty: the current one) and returns its result:
// a descriptor or a negative errno. The calling thread never changes its namespace.
int InNamespace(const std::string& path, const std::function<int()>& open);

void ExportSockets(Napi::Env env, Napi::Object exports);
void ExportNamespace(Napi::Env env, Napi::Object exports);
void ExportLock(Napi::Env env, Napi::Object exports);

}  // namespace ipvs_director

#endif  // IPVS_DIRECTOR_ADDON_H_
