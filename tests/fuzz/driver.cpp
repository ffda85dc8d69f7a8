// Stands in for libFuzzer where the compiler has none: runs every file of the corpus, then mutations of them, the same
// ones at every run (seeded). `program CORPUS [seconds]`; a crash is the failure.
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>
#include <string>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

namespace {

int run(const std::string& bytes) {
  return LLVMFuzzerTestOneInput(reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size());
}

// One to eight small changes: bits, bytes, interesting numbers, cuts, doubled and moved pieces, pieces of another file.
std::string mutated(std::string bytes, const std::string& other, std::mt19937& random) {
  const auto below = [&](size_t n) { return n == 0 ? 0 : random() % n; };
  for (size_t round = 1 + below(8); round > 0; --round) {
    const size_t at = below(bytes.size() + 1);
    switch (random() % 8) {
      case 0:
        if (at < bytes.size()) bytes[at] = static_cast<char>(bytes[at] ^ (1 << random() % 8));
        break;
      case 1:
        if (at < bytes.size()) bytes[at] = static_cast<char>(random());
        break;
      case 2: {
        static constexpr unsigned char kBytes[] = {0x00, 0xFF, 0x7F, 0x80, '"', '{', '[', '\\', '9', '-', 0xC3, 0xED};
        if (at < bytes.size()) bytes[at] = static_cast<char>(kBytes[random() % std::size(kBytes)]);
        break;
      }
      case 3: bytes.resize(at); break;
      case 4: bytes.erase(at, below(32)); break;
      case 5: bytes.insert(at, bytes.substr(below(bytes.size() + 1), below(64))); break;
      case 6: bytes.insert(at, other.substr(below(other.size() + 1), below(64))); break;
      default: bytes.insert(at, 1 + below(8), static_cast<char>(random()));
    }
    if (bytes.size() > (1u << 20)) bytes.resize(1u << 20);
  }
  return bytes;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) {
    std::fprintf(stderr, "usage: %s CORPUS [seconds]\n", argv[0]);
    return 2;
  }
  std::vector<std::string> corpus;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(argv[1])) {
    if (!entry.is_regular_file()) continue;
    std::ifstream in(entry.path(), std::ios::binary);
    corpus.emplace_back(std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>());
  }
  if (corpus.empty()) {
    std::fprintf(stderr, "the corpus %s is empty\n", argv[1]);
    return 1;
  }
  for (const std::string& bytes : corpus) run(bytes);
  const double seconds = argc > 2 ? std::atof(argv[2]) : 1.0;
  const auto end = std::chrono::steady_clock::now() + std::chrono::duration<double>(seconds);
  std::mt19937 random(20240607);
  uint64_t tried = 0;
  while (std::chrono::steady_clock::now() < end) {
    // What a mutation leads to is kept now and then, so that changes add up.
    const std::string bytes = mutated(corpus[random() % corpus.size()], corpus[random() % corpus.size()], random);
    run(bytes);
    if (++tried % 16 == 0 && corpus.size() < 2000) corpus.push_back(bytes);
  }
  std::printf("%llu mutations of %s, no crash\n", static_cast<unsigned long long>(tried), argv[1]);
  return 0;
}
