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
  // Of what is no namespace: a FIFO would wait for somebody who writes.
  int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
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
  uint32_t length = array.Length();  // a getter may make it longer
  for (uint32_t i = 0; i < length; i++) {
    std::string text;
    if (!ReadText(array.Get(i), &text)) return false;
    strings->push_back(text);
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
  std::string path;
  std::string file;
  std::vector<std::string> arguments;
  std::vector<std::string> environment;
  if (!ReadText(info[0], &path) || !ReadText(info[1], &file) || !ReadStrings(info[2], &arguments) ||
      !ReadStrings(info[3], &environment)) {
    return Napi::Number::New(env, -EINVAL);
  }
  int result = Enter(path);
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
