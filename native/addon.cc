#include "addon.h"

#include <unistd.h>

#include <cerrno>

namespace ipvs_director {

Environment::~Environment() {
  for (int fd : fds_) close(fd);
}

int Environment::Adopt(int fd) {
  if (fd >= 0) fds_.insert(fd);
  return fd;
}

bool Environment::Owns(int fd) const { return fds_.count(fd) != 0; }

int Environment::Close(int fd) {
  if (fds_.erase(fd) == 0) return -EBADF;
  return close(fd) == 0 ? 0 : -errno;
}

Environment& EnvironmentOf(const Napi::CallbackInfo& info) {
  return *info.Env().GetInstanceData<Environment>();
}

bool ReadText(const Napi::Value& value, std::string* text) {
  if (!value.IsString()) return false;
  *text = value.As<Napi::String>();
  return text->find('\0') == std::string::npos;
}

}  // namespace ipvs_director

static Napi::Object Init(Napi::Env env, Napi::Object exports) {
  env.SetInstanceData(new ipvs_director::Environment);  // deleted by Node with the environment
  ipvs_director::ExportSockets(env, exports);
  ipvs_director::ExportNamespace(env, exports);
  ipvs_director::ExportLock(env, exports);
  return exports;
}

NODE_API_MODULE(ipvs_director, Init)
