// Network namespaces: opening a descriptor in one, and moving this program into one.
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <unistd.h>

#include <cerrno>
#include <vector>

#include "addon.h"

namespace ipvs_director {

// Makes the calling thread a member of the namespace at path. 0 or negative errno.
static int Enter(const std::string& path) {
  int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return -errno;
  int result = setns(fd, CLONE_NEWNET) == 0 ? 0 : -errno;
  close(fd);
  return result;
}

struct Task {
  const std::string& path;
  const std::function<int()>& open;
  int result;

  static void* Run(void* argument) {
    Task* task = static_cast<Task*>(argument);
    task->result = Enter(task->path);
    if (task->result == 0) task->result = task->open();
    return nullptr;
  }
};

int InNamespace(const std::string& path, const std::function<int()>& open) {
  if (path.empty()) return open();
  // setns() acts on one thread. A thread of its own makes a way back unnecessary: a socket stays in
  // the namespace that it was opened in, and the thread ends. (std::thread would throw where the
  // system has no thread left; this one reports it.)
  Task task{path, open, 0};
  pthread_t thread;
  int error = pthread_create(&thread, nullptr, Task::Run, &task);
  if (error != 0) return -error;
  pthread_join(thread, nullptr);
  return task.result;
}

// False if the value is not a list of strings.
static bool ReadStrings(const Napi::Value& value, std::vector<std::string>* strings) {
  if (!value.IsArray()) return false;
  Napi::Array array = value.As<Napi::Array>();
  for (uint32_t i = 0; i < array.Length(); i++) {
    Napi::Value item = array.Get(i);
    if (!item.IsString()) return false;
    strings->push_back(item.As<Napi::String>());
  }
  return true;
}

static std::vector<char*> Pointers(std::vector<std::string>& strings) {
  std::vector<char*> pointers;
  for (std::string& s : strings) pointers.push_back(s.data());
  pointers.push_back(nullptr);
  return pointers;
}

// execInNamespace(path, file, argv, environment): does not return unless it fails.
// execve() ends all other threads, so the whole new program lives in the namespace.
static Napi::Value ExecInNamespace(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  std::vector<std::string> arguments;
  std::vector<std::string> environment;
  if (!info[0].IsString() || !info[1].IsString() || !ReadStrings(info[2], &arguments) ||
      !ReadStrings(info[3], &environment)) {
    return Napi::Number::New(env, -EINVAL);
  }
  std::string file = info[1].As<Napi::String>();
  int result = Enter(info[0].As<Napi::String>());
  if (result == 0) {
    // libuv reopens a terminal close-on-exec; the new program wants its standard streams all the same.
    for (int fd = 0; fd <= 2; fd++) fcntl(fd, F_SETFD, 0);
    execve(file.c_str(), Pointers(arguments).data(), Pointers(environment).data());
    result = -errno;
  }
  return Napi::Number::New(env, result);
}

void ExportNamespace(Napi::Env env, Napi::Object exports) {
  exports.Set("execInNamespace", Napi::Function::New(env, ExecInNamespace, "execInNamespace"));
}

}  // namespace ipvs_director
