// A file as a lock between processes, which the kernel lets go of when its holder dies.
#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <string>

#include "addon.h"

namespace ipvs_director {
namespace {

int OpenLocked(const std::string& path) {
  int fd = open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644);
  if (fd < 0) return -errno;
  if (flock(fd, LOCK_EX | LOCK_NB) == 0) return fd;
  int error = errno;
  close(fd);
  return -error;
}

// lockFile(path)
Napi::Value LockFile(const Napi::CallbackInfo& info) {
  std::string path;
  int fd = ReadText(info[0], &path) ? OpenLocked(path) : -EINVAL;
  return Napi::Number::New(info.Env(), EnvironmentOf(info).Adopt(fd));
}

}  // namespace

void ExportLock(Napi::Env env, Napi::Object exports) {
  exports.Set("lockFile", Napi::Function::New(env, LockFile, "lockFile"));
}

}  // namespace ipvs_director
