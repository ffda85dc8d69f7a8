#include <dlfcn.h>

#include <array>
#include <filesystem>
#include <string>
#include <vector>

#include "kernels/ops.h"

namespace rankscope::kernels {

namespace {

// A GPU's presence is asked of the driver itself, which is installed with it and needs no toolkit.
bool gpuPresent() {
  void* driver = ::dlopen("libcuda.so.1", RTLD_NOW | RTLD_LOCAL);
  if (!driver) return false;
  const auto init = reinterpret_cast<int (*)(unsigned)>(::dlsym(driver, "cuInit"));
  const auto count = reinterpret_cast<int (*)(int*)>(::dlsym(driver, "cuDeviceGetCount"));
  int devices = 0;
  return init && count && init(0) == 0 && count(&devices) == 0 && devices > 0;
}

std::vector<std::filesystem::path> candidates() {
  std::error_code failure;
  const auto program = std::filesystem::read_symlink("/proc/self/exe", failure);
  if (failure) return {};
  const auto folder = program.parent_path();
  constexpr const char* kName = "librankscope_cuda.so";
  return {folder / kName, folder.parent_path() / "lib" / kName, folder.parent_path() / "lib/rankscope" / kName};
}

}  // namespace

bool loadCudaIfPresent() {
  static const bool loaded = [] {
    if (!gpuPresent()) return false;
    // LibTorch's half first, by the name that its own folder and the run path resolve.
    if (!::dlopen("libtorch_cuda.so", RTLD_NOW | RTLD_GLOBAL)) return false;
    for (const auto& path : candidates())
      if (std::filesystem::exists(path) && ::dlopen(path.c_str(), RTLD_NOW | RTLD_GLOBAL)) return true;
    return false;
  }();
  return loaded;
}

}  // namespace rankscope::kernels
